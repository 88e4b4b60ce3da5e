"""``etl-assets drift``: changes of what is published, listed, shown with what to declare for them, and decided on."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any

import click

from etl_assets import watch
from etl_assets.cli.environment import declared, environment
from etl_assets.cli.masking import MASK
from etl_assets.cli.terminal import console, counted, emit, harmless, table
from etl_assets.errors import DriftError
from etl_assets.model.drift import DRIFT_STATUSES
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries
from etl_assets.postgres.migrations.migrate import require_current
from etl_assets.postgres.watch import drift_events as memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from etl_assets.model.drift import DriftEvent
    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Column
    from etl_assets.source import Source

_NOTE = click.option("--note", help="Why.")
_REVIEWER = click.option("--reviewer", default=getpass.getuser, show_default="you", help="Who decided.")


@click.group(name="drift")
def command() -> None:
    """Look after changes of what is published.

    A change stays open until a later delivery takes it back, or somebody accepts it, so that what is published now is
    normal, or ignores it, so that neither it nor its taking back is told again.
    """


@command.command(name="list")
@click.option("--source", help="Only of this source.")
@click.option("--status", "statuses", multiple=True, type=click.Choice(DRIFT_STATUSES), help="Open by default.")
@click.option("--limit", default=50, show_default=True, help="How many at most, the newest.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(source: str | None, statuses: Sequence[str], limit: int, *, as_json: bool) -> None:
    """List changes, without anything that records hold."""
    chosen = statuses or ("open",)
    with environment() as env, connected(env.url) as connection:
        require_current(connection)
        events = memory.find(connection, source=source, statuses=chosen, limit=limit)
    if as_json:
        for event in events:
            emit(_shown(event))
        return
    if not events:
        console().print(f"No change is {' or '.join(chosen)}.")
        return
    columns = ("id", "source", "kind", "what", "status", "since delivery", "until delivery", "first seen")
    table(
        columns,
        (
            (
                str(event.id),
                event.source,
                event.change.kind,
                _what(event),
                event.status,
                str(event.first_delivery),
                str(event.last_delivery),
                f"{event.opened_at:%Y-%m-%d %H:%M}",
            )
            for event in events
        ),
    )
    if len(events) == limit:
        console().print(f"\nThese are the newest {limit}; --limit shows more.")


@command.command()
@click.argument("id_", metavar="ID", type=int)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(id_: int, *, as_json: bool) -> None:
    """Show one change: what it is, the deliveries that had it, and what to declare for it."""
    with environment() as env, connected(env.url) as connection:
        require_current(connection)
        event = _one(connection, id_)
        seen = {
            "since": _delivery(connection, event.first_delivery),
            "until": _delivery(connection, event.last_delivery),
            "taken back by": _delivery(connection, event.closed_delivery),
        }
        column = _column(declared(env.settings).get(event.source), event)
    proposal, detail = _proposal(column, event), _detail(column, event)
    if as_json:
        emit({**_shown(event), "detail": detail, "proposal": proposal, "deliveries": seen})
        return
    told = {
        "source": event.source,
        "kind": event.change.kind,
        "what": _what(event),
        **{name: _plain(value) for name, value in detail.items()},
        **seen,
        "status": event.status,
        "refused for it": "yes" if event.change.blocking else None,
        "closed": f"{event.closed_at:%Y-%m-%d %H:%M:%S} UTC" if event.closed_at else None,
        "by": event.reviewer or None,
        "note": event.note or None,
    }
    table((f"change {id_}", ""), ((name, value) for name, value in told.items() if value is not None))
    if proposal:
        console().print("\nDeclare, if it is to stay so:\n")
        click.echo(f"    {harmless(proposal)}")


@command.command()
@click.argument("ids", metavar="ID...", nargs=-1, type=int, required=True)
@_NOTE
@_REVIEWER
def accept(ids: Sequence[int], note: str | None, reviewer: str) -> None:
    """Close changes: what is published now is normal, and a way back would be a change."""
    closed = _decide(watch.accept, ids, reviewer, note)
    console().print(f"{counted(closed, 'change')} accepted.")


@command.command()
@click.argument("ids", metavar="ID...", nargs=-1, type=int, required=True)
@_NOTE
@_REVIEWER
def ignore(ids: Sequence[int], note: str | None, reviewer: str) -> None:
    """Close changes for good: neither they nor their taking back are told again."""
    closed = _decide(watch.ignore, ids, reviewer, note)
    console().print(f"{counted(closed, 'change')} ignored from now on.")


def _decide(decision: Callable[..., DriftEvent], ids: Sequence[int], reviewer: str, note: str | None) -> int:
    """Close events, all of them or none, and give how many."""
    with environment() as env, connected(env.url) as connection:
        require_current(connection)
        sources = declared(env.settings)
        with connection.transaction():
            for id_ in sorted(set(ids)):
                source = sources.get(_one(connection, id_).source)
                decision(connection, source.alert_rules if source else (), id_, reviewer, note)
    return len(set(ids))


def _one(connection: Connection, id_: int) -> DriftEvent:
    """The event of that id.

    Raises:
        DriftError: If there is none.
    """
    found = memory.find(connection, ids=[id_])
    if not found:
        raise DriftError(f"There is no drift event {id_}. See `etl-assets drift list`.")
    return found[0]


def _shown(event: DriftEvent) -> dict[str, Any]:
    """An event without anything that records hold."""
    change = {name: value for name, value in vars(event.change).items() if name != "detail"}
    return {**{name: value for name, value in vars(event).items() if name != "change"}, **change}


def _what(event: DriftEvent) -> str:
    """What the change is about, in a few words."""
    change = event.change
    if change.kind == "reordered":
        return "the order of the columns"
    return f"{change.subject!r} → {change.replacement!r}" if change.replacement else repr(change.subject)


def _column(source: Source | None, event: DriftEvent) -> Column | None:
    """The declared column that a change within cells is about."""
    columns = source.schema.published if source is not None else ()
    return next((column for column in columns if column.name == event.change.subject), None)


def _detail(column: Column | None, event: DriftEvent) -> Mapping[str, Any]:
    """The details; members of a category only where the column is declared and not sensitive."""
    if "members" in event.change.detail and (column is None or column.sensitive):
        return {**event.change.detail, "members": MASK}
    return event.change.detail


def _proposal(column: Column | None, event: DriftEvent) -> str:
    """What to declare, with the members of a category where they may be seen."""
    members = event.change.detail.get("members")
    if members is None or column is None or column.sensitive or event.change.foreseen:
        return event.change.proposal
    return watch.with_members(column, members)


def _delivery(connection: Connection, id_: int | None) -> str | None:
    """A delivery, for people."""
    delivery = deliveries.by_id(connection, id_) if id_ is not None else None
    return None if delivery is None else f"{delivery}: {delivery.manifest.name}"


def _plain(value: object) -> str:
    """A detail as it is printed."""
    if isinstance(value, list):
        return ", ".join(map(repr, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} ({number})" for name, number in value.items())
    return str(value)
