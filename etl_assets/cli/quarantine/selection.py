"""Which records of the quarantine a command is about: the options ``--source``, ``--rule`` and ``--where``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from etl_assets.cli.completion import RULES, SOURCES
from etl_assets.cli.environment import declared, source_named
from etl_assets.cli.options import ROW_ID
from etl_assets.cli.suggestions import did_you_mean, named_option

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from etl_assets.cli.environment import Environment
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.quarantine import Filters
    from etl_assets.source import Source

_F = TypeVar("_F", bound="Callable[..., Any]")
_COLUMN: Final = "column."
_FACTS: Final = ("rule", "partition", "delivery")


def selecting(command: _F) -> _F:
    """Add the options that select records."""
    for option in (
        click.option(
            "--where",
            "conditions",
            metavar="NAME=VALUE",
            multiple=True,
            help="Only records with this rule, partition or delivery, or with this value of a column as published; "
            "may be given several times.",
        ),
        click.option("--rule", shell_complete=RULES, help="Only records that broke this rule, e.g. celsius__type."),
        click.option("--source", shell_complete=SOURCES, help="Only records of this source."),
    ):
        command = option(command)
    return command


def filters_of(
    env: Environment, connection: Connection, source: str | None, rule: str | None, conditions: Sequence[str]
) -> Filters:
    """Return what the options select.

    Args:
        env: The settings and databases of the command.
        connection: To the warehouse.
        source: The option ``--source``.
        rule: The option ``--rule``.
        conditions: The options ``--where``.

    Raises:
        click.UsageError: If a condition cannot be read, or names what does not exist.
    """
    filters: Filters = {"source": source, "rule": rule}
    values: list[tuple[Sequence[str], str]] = []
    for condition in conditions:
        name, equals, value = condition.partition("=")
        if not equals:
            raise click.UsageError(f"{condition!r} is not of the form NAME=VALUE.")
        match name:
            case "rule":
                filters["rule"] = value
            case "partition":
                filters["partition"] = value
            case "delivery":
                filters["delivery"] = _number(value)
            case _:
                if source is None:
                    raise click.UsageError(f"{name!r} is a column of a source: name it with --source.")
                declaration = source_named(declared(env.settings), source)
                values.append((_published_names(declaration, name.removeprefix(_COLUMN)), value))
    _check(env, connection, filters)
    filters["values"] = values
    return filters


def _number(text: str) -> int:
    try:
        return int(ROW_ID(text))
    except click.BadParameter:
        raise click.UsageError(f"{text!r} is not the number of a delivery.") from None


def _published_names(source: Source, name: str) -> Sequence[str]:
    for column in source.schema.published:
        if name in {column.name, *column.published_names}:
            return list(dict.fromkeys([*column.published_names, name]))
    names = [*_FACTS, *(column.name for column in source.schema.published)]
    raise click.UsageError(
        f"{name!r} is neither a column of {source.name} nor one of {', '.join(_FACTS)}.{did_you_mean(name, names)}"
    )


def _check(env: Environment, connection: Connection, filters: Filters) -> None:
    """Raise a usage error if the source or the rule is neither declared nor in the quarantine."""
    from etl_assets.postgres.ledger import quarantine

    source, rule = filters.get("source"), filters.get("rule")
    if source is None and rule is None:
        return
    known = declared(env.settings)
    present = quarantine.counts(connection, source)
    if source is not None and not present:
        source_named(known, source)
    sources = [one for name, one in known.sources.items() if source in {None, name}]
    named_option("rule", rule, dict.fromkeys([*(name for _, _, name, _ in present), *_rules(sources)]))


def _rules(sources: Sequence[Source]) -> list[str]:
    return [rule.name for source in sources for rule in source.rules]
