"""Read and write ``etl.observation``, what each delivery published, and ``etl.drift``, what changed.

*Before* and *after* mean the order of the source's deliveries by rank, then by id, not the order in which they came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from psycopg.types.json import Jsonb

from etl_assets.errors import DriftError
from etl_assets.model.drift import Change, DriftEvent, Observation, Published, Values
from etl_assets.postgres.ledger.order import newer, newest_first, older, oldest_first, order_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import LiteralString

    from etl_assets.model.delivery import Delivery
    from etl_assets.model.drift import DriftStatus
    from etl_assets.postgres.connection import Connection

THE_DECLARATION: Final = "the declaration"
"""The name entered as reviewer of foreseen changes."""
_CHANGE: Final = "kind, subject, replacement, foreseen, blocking, detail, proposal"
_EVENT: Final = (
    f"e.id, e.source, {_CHANGE}, e.status, e.first_delivery, e.last_delivery, e.opened_at, e.closed_at, "
    "e.closed_delivery, e.reviewer, e.note"
)


def lock_source(connection: Connection, source: str) -> None:
    """Lock the source until the transaction ends, so that only one process compares its deliveries at a time."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"drift {source}",))


def names_observed(connection: Connection, delivery: Delivery) -> bool:
    """Whether the published names of a delivery have been compared and remembered."""
    return _exists(connection, "SELECT FROM etl.observation WHERE delivery_id = %s", (delivery.id,))


def observed(connection: Connection, delivery: Delivery) -> tuple[bool, bool]:
    """Whether the published names of a delivery, and its cells, have been compared and remembered."""
    row = connection.execute(
        "SELECT cells IS NOT NULL FROM etl.observation WHERE delivery_id = %s", (delivery.id,)
    ).fetchone()
    return row is not None, bool(row and row[0])


def published_names(connection: Connection, delivery_id: int) -> frozenset[str]:
    """Return the published names of a delivery; none if it was not compared."""
    row = connection.execute(
        "SELECT published -> 'names' FROM etl.observation WHERE delivery_id = %s", (delivery_id,)
    ).fetchone()
    return frozenset(row[0]) if row else frozenset()


def observation_before(connection: Connection, delivery: Delivery) -> Observation | None:
    """Return the nearest delivery before this one: its baseline."""
    row = connection.execute(
        "SELECT delivery_id, published, cells FROM etl.observation WHERE source = %(source)s "
        f"AND {older('delivery_id')} ORDER BY {newest_first('delivery_id')} LIMIT 1",
        order_of(delivery),
    ).fetchone()
    return _observation(row) if row else None


def observation_after(connection: Connection, delivery: Delivery) -> Observation | None:
    """Return the nearest delivery after this one; there is one only if this one came late."""
    row = connection.execute(
        "SELECT delivery_id, published, cells FROM etl.observation WHERE source = %(source)s "
        f"AND {newer('delivery_id')} ORDER BY {oldest_first('delivery_id')} LIMIT 1",
        order_of(delivery),
    ).fetchone()
    return _observation(row) if row else None


def cells_before(connection: Connection, delivery: Delivery, most: int) -> list[Mapping[str, Any]]:
    """Return the cell summaries of the deliveries before this one, the nearest first."""
    rows = connection.execute(
        f"SELECT cells FROM etl.observation WHERE source = %(source)s AND {older('delivery_id')} "
        f"AND cells IS NOT NULL ORDER BY {newest_first('delivery_id')} LIMIT %(most)s",
        {**order_of(delivery), "most": most},
    ).fetchall()
    return [cells for (cells,) in rows]


def remember(connection: Connection, delivery: Delivery, published: Published) -> None:
    """Enter what a delivery published."""
    shown = {**vars(published), "values": {name: vars(values) for name, values in published.values.items()}}
    connection.execute(
        "INSERT INTO etl.observation (delivery_id, source, rank, published) VALUES (%s, %s, %s, %s)",
        (delivery.id, delivery.source, delivery.rank, Jsonb(shown)),
    )


def remember_cells(connection: Connection, delivery: Delivery, cells: Mapping[str, Any]) -> None:
    """Enter or replace the cell summary of an observed delivery."""
    connection.execute("UPDATE etl.observation SET cells = %s WHERE delivery_id = %s", (Jsonb(cells), delivery.id))


def enter(connection: Connection, delivery: Delivery, change: Change) -> DriftEvent:
    """Enter a change as an event: open, or accepted at once if the declaration provides for it."""
    status, reviewer = ("accepted", THE_DECLARATION) if change.foreseen else ("open", "")
    (event,) = _events(
        connection,
        f"INSERT INTO etl.drift AS e (source, {_CHANGE}, status, first_delivery, last_delivery, closed_at, reviewer) "
        "VALUES (%(source)s, %(kind)s, %(subject)s, %(replacement)s, %(foreseen)s, %(blocking)s, %(detail)s, "
        "%(proposal)s, %(status)s, %(delivery)s, %(delivery)s, "
        f"CASE WHEN %(foreseen)s THEN clock_timestamp() END, %(reviewer)s) RETURNING {_EVENT}",
        {
            **vars(change),
            "detail": Jsonb(change.detail),
            "source": delivery.source,
            "status": status,
            "delivery": delivery.id,
            "reviewer": reviewer,
        },
    )
    return event


def find(
    connection: Connection,
    *,
    source: str | None = None,
    statuses: Sequence[str] = ("open",),
    ids: Sequence[int] | None = None,
    first_delivery: int | None = None,
    limit: int | None = None,
) -> list[DriftEvent]:
    """Find events, oldest first.

    Args:
        connection: To the warehouse.
        source: Only events of this source.
        statuses: Only events with one of these statuses; ignored when ids or a delivery are given.
        ids: Only events with these ids.
        first_delivery: Only events that this delivery brought.
        limit: Maximum number of events; the newest are returned.
    """
    events = _events(
        connection,
        f"SELECT {_EVENT} FROM etl.drift e WHERE (%(source)s::text IS NULL OR source = %(source)s) "
        "AND (%(ids)s::bigint[] IS NULL OR id = ANY (%(ids)s)) "
        "AND (%(first)s::bigint IS NULL OR first_delivery = %(first)s) "
        "AND (%(ids)s::bigint[] IS NOT NULL OR %(first)s::bigint IS NOT NULL OR status = ANY (%(statuses)s)) "
        "ORDER BY id DESC LIMIT %(limit)s",
        {
            "source": source,
            "statuses": list(statuses),
            "ids": None if ids is None else list(ids),
            "first": first_delivery,
            "limit": limit,
        },
    )
    return events[::-1]


def find_open_before(connection: Connection, delivery: Delivery, kinds: Sequence[str]) -> list[DriftEvent]:
    """Return open events of some kinds whose last delivery is before a delivery, which may therefore take them back."""
    return _events(
        connection,
        f"SELECT {_EVENT} FROM etl.drift e JOIN etl.delivery d ON d.id = e.last_delivery WHERE e.source = %(source)s "
        f"AND e.status = 'open' AND kind = ANY (%(kinds)s) AND {older()} ORDER BY e.id",
        {**order_of(delivery), "kinds": list(kinds)},
    )


def move_last_delivery(connection: Connection, delivery: Delivery, events: Iterable[DriftEvent]) -> None:
    """Make a delivery the last delivery of events that it does not take back."""
    connection.execute(
        "UPDATE etl.drift SET last_delivery = %s WHERE id = ANY (%s)", (delivery.id, [event.id for event in events])
    )


def move_first_delivery(connection: Connection, delivery: Delivery, event: DriftEvent) -> None:
    """Make a delivery that came late the first delivery of an event, if it is before the present first one."""
    connection.execute(
        "UPDATE etl.drift e SET first_delivery = %(id)s FROM etl.delivery d "
        f"WHERE e.id = %(event)s AND d.id = e.first_delivery AND {newer()}",
        {**order_of(delivery), "event": event.id},
    )


def amend(connection: Connection, event: DriftEvent, change: Change) -> None:
    """Replace the detail and the proposal of an open event."""
    connection.execute(
        "UPDATE etl.drift SET detail = %s, proposal = %s WHERE id = %s",
        (Jsonb(change.detail), change.proposal, event.id),
    )


def resolve(connection: Connection, delivery_id: int, events: Iterable[DriftEvent]) -> list[DriftEvent]:
    """Close open events because a delivery took them back."""
    return _events(
        connection,
        "UPDATE etl.drift e SET status = 'resolved', closed_at = clock_timestamp(), closed_delivery = %s "
        f"WHERE id = ANY (%s) AND status = 'open' RETURNING {_EVENT}",
        (delivery_id, [event.id for event in events]),
    )


def review(connection: Connection, id_: int, status: DriftStatus, reviewer: str, note: str | None) -> DriftEvent:
    """Close an open event as a reviewer decided.

    Raises:
        DriftError: If there is no event with that id, or it is not open.
    """
    closed = _events(
        connection,
        "UPDATE etl.drift e SET status = %s, closed_at = clock_timestamp(), reviewer = %s, note = coalesce(%s, '') "
        f"WHERE id = %s AND status = 'open' RETURNING {_EVENT}",
        (status, reviewer, note, id_),
    )
    if not closed:
        raise DriftError(
            f"Drift event {id_} is not open. Nothing was changed. Use `etl-assets drift list` to see the open events."
        )
    return closed[0]


def _exists(connection: Connection, query: LiteralString, values: tuple[Any, ...]) -> bool:
    return connection.execute(query, values).fetchone() is not None


def _events(connection: Connection, query: str, values: tuple[Any, ...] | Mapping[str, Any]) -> list[DriftEvent]:
    return [_event(row) for row in connection.execute(query.encode(), values).fetchall()]


def _event(row: tuple[Any, ...]) -> DriftEvent:
    id_, source, *rest = row
    return DriftEvent(id_, source, Change(*rest[:7]), *rest[7:])


def _observation(row: tuple[Any, ...]) -> Observation:
    delivery_id, published, cells = row
    values = {name: Values(kept["distinct"], tuple(kept["hashes"])) for name, kept in published["values"].items()}
    remembered = Published(
        tuple(published["names"]),
        values,
        published.get("unterminated"),
        published.get("skipped"),
        published.get("types", {}),
    )
    return Observation(delivery_id, remembered, cells)
