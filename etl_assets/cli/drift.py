"""``etl-assets drift``: lists, shows, accepts and ignores changes of what is published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from etl_assets.cli.completion import CHANGES, SOURCES
from etl_assets.cli.emptied_columns import as_json as nulls_as_json
from etl_assets.cli.emptied_columns import confirm_empty, count_of_nulls
from etl_assets.cli.environment import declared, environment
from etl_assets.cli.masking import MASK
from etl_assets.cli.options import NOTE, REVIEWER, ROW_ID
from etl_assets.cli.terminal import console, count_text, emit, table
from etl_assets.errors import DriftError
from etl_assets.model.drift import DRIFT_STATUSES
from etl_assets.model.text import escape_control_characters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from etl_assets import watch
    from etl_assets.model.drift import DriftEvent
    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Column
    from etl_assets.source import Source


@click.group(name="drift")
def command() -> None:
    """List, show, accept and ignore changes of what is published.

    A change is open until a later delivery undoes it, or you accept or ignore it. If you accept it, what is published
    now becomes normal, and undoing it would be a new change. If you ignore it, neither it nor its undoing is reported
    again.
    """


@command.command(name="list")
@click.option("--source", shell_complete=SOURCES, help="Only changes of this source.")
@click.option("--status", "statuses", multiple=True, type=click.Choice(DRIFT_STATUSES), help="Open by default.")
@click.option("--limit", default=50, show_default=True, help="Show at most this many, the newest.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each change.")
def list_(source: str | None, statuses: Sequence[str], limit: int, *, as_json: bool) -> None:
    """List changes, without values of records."""
    from etl_assets.postgres.watch import drift_events

    chosen = statuses or ("open",)
    with environment() as env, env.connection() as connection:
        events = drift_events.find(connection, source=source, statuses=chosen, limit=limit)
    if as_json:
        for event in events:
            emit(_without_values(event))
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
                _subject(event),
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
@click.argument("id_", metavar="ID", type=ROW_ID, shell_complete=CHANGES)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(id_: int, *, as_json: bool) -> None:
    """Show one change: its details, the deliveries that have it, and what to declare for it."""
    from etl_assets import watch

    with environment() as env, env.connection() as connection:
        event = _event(connection, id_)
        concerned = {
            "since": _delivery(connection, event.first_delivery),
            "until": _delivery(connection, event.last_delivery),
            "taken back by": _delivery(connection, event.closed_delivery),
        }
        source = declared(env.settings).sources.get(event.source)
        column = _column(source, event)
        emptied = None if source is None else watch.emptied_column(connection, source, event)
    proposal, detail = _proposal(column, event), _detail(column, event)
    if as_json:
        nulls = None if emptied is None else nulls_as_json(emptied)
        values = {"detail": detail, "proposal": proposal, "deliveries": concerned, "emptied_column": nulls}
        emit({**_without_values(event), **values})
        return
    shown = {**_described(event, detail, concerned), "NULL": None if emptied is None else count_of_nulls(emptied)}
    table((f"change {id_}", ""), ((name, value) for name, value in shown.items() if value is not None))
    if proposal:
        console().print("\nTo keep the change, declare:\n")
        click.echo(f"    {escape_control_characters(proposal)}")


@command.command()
@click.argument("ids", metavar="ID...", nargs=-1, type=ROW_ID, required=True, shell_complete=CHANGES)
@NOTE
@REVIEWER
@click.option("--yes", is_flag=True, help="Do not ask, even if a column stays empty.")
def accept(ids: Sequence[int], note: str | None, reviewer: str, *, yes: bool) -> None:
    """Close changes: what is published now becomes normal, and undoing it would be a new change.

    If a change took the only name of a declared column, every row since has NULL in it, and this asks for confirmation.
    """
    from etl_assets import watch

    _decide(watch.accept, ids, reviewer, note, done="accepted", ask=not yes)


@command.command()
@click.argument("ids", metavar="ID...", nargs=-1, type=ROW_ID, required=True, shell_complete=CHANGES)
@NOTE
@REVIEWER
def ignore(ids: Sequence[int], note: str | None, reviewer: str) -> None:
    """Close changes for good: neither they nor their undoing are reported again."""
    from etl_assets import watch

    _decide(watch.ignore, ids, reviewer, note, done="ignored from now on")


def _decide(
    decision: Callable[..., DriftEvent],
    ids: Sequence[int],
    reviewer: str,
    note: str | None,
    *,
    done: str,
    ask: bool = False,
) -> None:
    """Close all of the events or none, and say what was done. If asked to, ask before a column is left empty."""
    with environment() as env, env.connection() as connection:
        sources = declared(env.settings).sources
        events = [_event(connection, id_) for id_ in sorted(set(ids))]
        if ask:
            confirm_empty(_left_empty(connection, sources, events))
        with connection.transaction():
            for event in events:
                source = sources.get(event.source)
                decision(connection, source.alert_rules if source else (), event.id, reviewer, note)
        refused = list(_refused(connection, sources, events))
    console().print(f"{count_text(len(events), 'change')} {done}.")
    for event, column in refused:
        click.echo(
            f"Deliveries of {event.source} are refused all the same: its column {column.name!r} is required, and none "
            f"of its names is published. etl-assets drift show {event.id} prints what to declare."
        )


def _refused(
    connection: Connection, sources: Mapping[str, Source], events: Iterable[DriftEvent]
) -> Iterator[tuple[DriftEvent, Column]]:
    """Return the events after which deliveries are refused, with the required column that they lack."""
    from etl_assets import watch

    for event in events:
        source = sources.get(event.source)
        column = None if source is None else watch.missing_column(connection, source, event)
        if column is not None:
            yield event, column


def _left_empty(
    connection: Connection, sources: Mapping[str, Source], events: Iterable[DriftEvent]
) -> Iterator[tuple[DriftEvent, watch.EmptiedColumn]]:
    """Return the open events that leave a declared column without a published name, with the column."""
    from etl_assets import watch

    for event in events:
        source = sources.get(event.source)
        column = None if source is None or event.status != "open" else watch.emptied_column(connection, source, event)
        if column is not None and not column.published:
            yield event, column


def _event(connection: Connection, id_: int) -> DriftEvent:
    """Return the event with an id.

    Raises:
        DriftError: If there is none.
    """
    from etl_assets.postgres.watch import drift_events

    events = drift_events.find(connection, ids=[id_])
    if not events:
        raise DriftError(f"There is no drift event {id_}. Nothing was changed. See `etl-assets drift list`.")
    return events[0]


def _without_values(event: DriftEvent) -> dict[str, Any]:
    """Return the fields of an event, without values of records."""
    change = {name: value for name, value in vars(event.change).items() if name != "detail"}
    return {**{name: value for name, value in vars(event).items() if name != "change"}, **change}


def _described(
    event: DriftEvent, detail: Mapping[str, Any], concerned: Mapping[str, str | None]
) -> dict[str, str | None]:
    """Return an event as rows for people; None where it has no such thing."""
    return {
        "source": event.source,
        "kind": event.change.kind,
        "what": _subject(event),
        **{name: _plain(value) for name, value in detail.items()},
        **concerned,
        "status": event.status,
        "delivery refused": "yes" if event.change.blocking else None,
        "closed": f"{event.closed_at:%Y-%m-%d %H:%M:%S} UTC" if event.closed_at else None,
        "by": event.reviewer or None,
        "note": event.note or None,
    }


def _subject(event: DriftEvent) -> str:
    """Return the subject of the change, in a few words."""
    change = event.change
    if change.kind == "reordered":
        return "the order of the columns"
    return f"{change.subject!r} → {change.replacement!r}" if change.replacement else repr(change.subject)


def _column(source: Source | None, event: DriftEvent) -> Column | None:
    """Return the declared column whose cells have changed; None for any other change."""
    columns = source.schema.published if source is not None else ()
    return next((column for column in columns if column.name == event.change.subject), None)


def _detail(column: Column | None, event: DriftEvent) -> Mapping[str, Any]:
    """Return the details; mask the members of a category unless the column is declared and not sensitive."""
    if "members" in event.change.detail and (column is None or column.sensitive):
        return {**event.change.detail, "members": MASK}
    return event.change.detail


def _proposal(column: Column | None, event: DriftEvent) -> str:
    """Return what to declare; with the members of a category, if the column is declared and not sensitive."""
    from etl_assets import watch

    members = event.change.detail.get("members")
    if members is None or column is None or column.sensitive or event.change.foreseen:
        return event.change.proposal
    return watch.with_members(column, members)


def _delivery(connection: Connection, id_: int | None) -> str | None:
    """Describe a delivery in words; None if there is none."""
    from etl_assets.postgres.ledger import deliveries

    delivery = deliveries.by_id(connection, id_) if id_ is not None else None
    return None if delivery is None else f"{delivery}: {delivery.manifest.name}"


def _plain(value: object) -> str:
    """Return a detail as text for people."""
    if isinstance(value, list):
        return ", ".join(map(repr, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} ({number})" for name, number in value.items())
    return str(value)
