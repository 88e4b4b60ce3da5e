"""``etl-assets explain``: shows where a row came from and what became of a key, and the story of a delivery."""

from __future__ import annotations

import math
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

import click

from etl_assets.cli.environment import declared, environment
from etl_assets.cli.options import ROW_ID
from etl_assets.cli.terminal import emit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.catalog import Catalog
    from etl_assets.source import Source

_DELIVERY: Final = "delivery"


@click.command(name="explain")
@click.argument("what", metavar="TABLE|delivery")
@click.argument("values", metavar="COLUMN=VALUE…|ID", nargs=-1)
@click.option("--all", "whole", is_flag=True, help="Search the frozen bytes of every delivery for the key.")
@click.option("--reveal", is_flag=True, help="Show masked values.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(what: str, values: Sequence[str], *, whole: bool, reveal: bool, as_json: bool) -> None:
    """Show where a row came from, or the story of a delivery; nothing is changed.

    \b
      etl-assets explain core.flights carrier=UA flight=1545 time_hour=2013-01-01T10:00:00Z
      etl-assets explain delivery 17

    Name a row by the columns of its key; of a table without a key, by any of its columns. Write values as the
    publisher does, or as the database shows them. A key that has no row is explained, too.

    Which other deliveries had the key is known only from their frozen bytes. The newest 20 deliveries are searched,
    and no more than 256 MiB; with --all, every delivery. What the role of the database may not read is left out, with
    a sentence.
    """  # noqa: D301 -- click reads the escape
    if what == _DELIVERY:
        _explain_delivery(_id_of(values), as_json=as_json)
        return
    from etl_assets.cli.explained_row import print_row, row_as_json
    from etl_assets.cli.masking import Masking
    from etl_assets.explain import Limits, explain_row, parse_key

    texts = dict(_pair(value) for value in values)
    with environment() as env:
        known = declared(env.settings)
        source = _source_of(known, what)
        key = parse_key(source, texts)
        with env.connection() as connection:
            limits = Limits(math.inf, math.inf) if whole else Limits()
            story = explain_row(connection, known, source, key, env.warehouse.store, limits)
        below = _assets_downstream(source)
    shown = {**row_as_json(story, Masking(source, reveal)), "assets_downstream": below}
    if as_json:
        emit(shown)
    else:
        print_row(shown)


def _explain_delivery(id_: int, *, as_json: bool) -> None:
    from etl_assets.cli.explained_delivery import delivery_as_json, print_delivery
    from etl_assets.errors import ExplainError
    from etl_assets.explain import stories

    with environment() as env, env.connection() as connection:
        fingerprints = {name: source.fingerprint for name, source in declared(env.settings).sources.items()}
        found = stories(connection, [id_], fingerprints)
    if not found:
        raise ExplainError(f"There is no delivery {id_}. See the ids in the table etl.delivery, or on a status page.")
    shown = delivery_as_json(found[0])
    if as_json:
        emit(shown)
    else:
        print_delivery(shown)


def _id_of(values: Sequence[str]) -> int:
    try:
        (value,) = values
        return int(ROW_ID(value))
    except (ValueError, click.BadParameter):
        raise click.UsageError("Write the id of one delivery: etl-assets explain delivery 17") from None


def _pair(value: str) -> tuple[str, str]:
    name, equals, text = value.partition("=")
    if not equals:
        raise click.UsageError(f"{value!r} is no COLUMN=VALUE. Write one for each column of the key: carrier=UA")
    return name, text


def _source_of(known: Catalog, table: str) -> Source:
    """Return the source of a table, which may be named with or without its schema, or by its history."""
    tables = {source.table: source for source in known.sources.values()}
    named = {**tables, **{source.stored_table: source for source in known.sources.values()}, **known.sources}
    if table in named:
        return named[table]
    if (name := table.removeprefix("core.")) in known.broken:
        raise known.broken[name].error
    near = get_close_matches(table, named, 1)
    hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(tables) or 'none'}."
    raise click.UsageError(f"No source declares the table {table!r}. {hint}")


def _assets_downstream(source: Source) -> list[str]:
    """Return the assets directly downstream of a table, such as marts; the environment says which files define them."""
    import dagster as dg

    from etl_assets.definitions import defs
    from etl_assets.source import CORE, QUARANTINE

    graph, key = defs.resolve_asset_graph(), dg.AssetKey([CORE, source.name])
    below = graph.get(key).child_keys if graph.has(key) else set()
    return sorted(child.to_user_string() for child in below if child.path[0] != QUARANTINE)
