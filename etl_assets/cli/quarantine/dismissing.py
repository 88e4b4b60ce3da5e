"""``etl-assets quarantine dismiss`` and ``reopen``: closes records for good, and takes that back."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

import click

from etl_assets.cli.environment import environment
from etl_assets.cli.options import NOTE, REVIEWER
from etl_assets.cli.quarantine.records import DRY_RUN, IDS, materialize
from etl_assets.cli.quarantine.selection import filters_of, selecting
from etl_assets.cli.terminal import console, count_text, table
from etl_assets.errors import QuarantineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from etl_assets.cli.environment import Environment
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.quarantine import Filters, Place
    from etl_assets.postgres.ledger.reopening import Closed

_MOST_LISTED: Final = 10


@dataclass(frozen=True)
class _Asked:
    """What a person decides, and about which records: the options of both commands."""

    ids: Sequence[int]
    source: str | None
    rule: str | None
    conditions: Sequence[str]
    note: str | None
    reviewer: str
    dry_run: bool


def _deciding(decide: Callable[[_Asked], None]) -> Callable[..., None]:
    """Add the options of both commands."""

    @wraps(decide)
    def command(**options: Any) -> None:
        asked = _Asked(**options)
        if bool(asked.ids) == bool(asked.source) or ((asked.rule or asked.conditions) and not asked.source):
            raise click.UsageError("Give either ids of records, or --source with or without --rule and --where.")
        decide(asked)

    return IDS(selecting(NOTE(REVIEWER(DRY_RUN(command)))))


@click.command()
@_deciding
def dismiss(asked: _Asked) -> None:
    """Close records for good: they are known and not wanted. `reopen` takes it back."""
    from etl_assets.postgres.ledger import decisions, quarantine

    with environment() as env, env.connection() as connection:
        filters = _filters(env, connection, asked)
        found = quarantine.places(connection, **filters)
        waiting = {id_: place for id_, place in found.items() if place.status in quarantine.WAITING}
        if asked.dry_run:
            _print_plan("dismissed", waiting)
        else:
            dismissed = decisions.dismiss(connection, waiting, asked.reviewer, asked.note)
            materialize(env, connection, ((place.source, place.partition) for place in waiting.values()))
            console().print(f"{count_text(dismissed, 'record')} dismissed.")
    _require_all(asked.ids, len(waiting), "waiting in the quarantine")


@click.command()
@_deciding
def reopen(asked: _Asked) -> None:
    """Take dismissals back: the records wait again, with the corrections that they had.

    Of a record that several deliveries brought, the newest one waits again: it is dismissed, or known.
    """
    from etl_assets.postgres.ledger import quarantine, reopening

    with environment() as env, env.connection() as connection:
        filters = _filters(env, connection, asked)
        filters["statuses"] = reopening.DISMISSED
        chosen = list(quarantine.places(connection, **filters))
        closed = (
            reopening.states(connection, chosen)
            if asked.dry_run
            else reopening.reopen(connection, chosen, asked.reviewer, asked.note)
        )
        free = [one for one in closed if one.obstacle is None]
        if asked.dry_run:
            _print_plan("reopened", {one.id: quarantine.Place(one.source, one.partition, one.status) for one in free})
        else:
            materialize(env, connection, ((one.source, one.partition) for one in free))
            console().print(f"{count_text(len(free), 'record')} reopened.")
    _print_obstacles(closed)
    _require_all(asked.ids, len(free), "dismissed, or cannot be reopened")


def _filters(env: Environment, connection: Connection, asked: _Asked) -> Filters:
    filters = filters_of(env, connection, asked.source, asked.rule, asked.conditions)
    if asked.ids:
        filters["ids"] = list(asked.ids)
    return filters


def _require_all(ids: Sequence[int], done: int, state: str) -> None:
    """Raise if records that were named by their ids are left as they are."""
    if ids and done < len(set(ids)):
        raise QuarantineError(
            f"{len(set(ids)) - done} of {len(set(ids))} records are not {state}. They were not changed. See "
            "`etl-assets quarantine list` for the records that are waiting, and --status for others."
        )


def _print_plan(what: str, chosen: Mapping[int, Place]) -> None:
    """Print which records would be changed."""
    console().print(f"{count_text(len(chosen), 'record')} would be {what}; nothing was changed.")
    if chosen:
        counted = Counter(chosen.values())
        table(("source", "partition", "status", "records"), ((*place, n) for place, n in sorted(counted.items())))
        first = ", ".join(map(str, list(chosen)[:_MOST_LISTED]))
        console().print(f"The first: {first}." if len(chosen) > _MOST_LISTED else f"Their ids: {first}.")


def _print_obstacles(closed: Sequence[Closed]) -> None:
    """Print which records are not reopened, and why."""
    kept = [one for one in closed if one.obstacle is not None]
    if not kept:
        return
    console().print(f"{count_text(len(kept), 'record')} cannot be reopened:")
    table(("id", "source", "status", "because"), ((str(c.id), c.source, c.status, c.obstacle) for c in kept[:50]))
