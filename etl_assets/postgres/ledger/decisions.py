"""What people decide about records of the quarantine: corrections, dismissals and reopenings, and what a reload reads.

Each decision is entered in ``etl.decision`` too, in the same transaction, so that it stays known and can be taken back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from etl_assets.errors import QuarantineError
from etl_assets.postgres.ledger import locks
from etl_assets.postgres.ledger.quarantine import ABOUT, Rejected, with_contents

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime
    from typing import LiteralString

    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection

_WITHDRAWN: Final = (
    "reloaded AS (UPDATE etl.delivery SET needs_reload = true "
    "WHERE id IN (SELECT delivery_id FROM chosen WHERE correction_counts))"
)
"""SQL that marks the deliveries of chosen records whose corrections no longer count."""


def _entered(decision: LiteralString) -> LiteralString:
    """Return SQL that enters a decision about each of the chosen records, with what they were before."""
    return (
        "entered AS (INSERT INTO etl.decision (rejected_id, decision, reviewer, note, former_status, "
        f"former_correction) SELECT id, '{decision}', %(who)s, %(note)s, status, former FROM chosen ORDER BY id)"
    )


@dataclass(frozen=True)
class Decision:
    """A decision about a record, as it was entered."""

    decision: str
    reviewer: str
    decided_at: datetime
    note: str | None
    former_status: str


def correct(connection: Connection, id_: int, correction: dict[str, str | None], who: str, note: str | None) -> None:
    """Store a correction of one record; see `correct_several`.

    Raises:
        QuarantineError: If the record was closed otherwise than by a decision, or there is none of that id.
    """
    if not correct_several(connection, {id_: correction}, who, note):
        raise QuarantineError(
            f"Record {id_} is not waiting in the quarantine. Nothing was changed. "
            "See `etl-assets quarantine list --status open` for those that are."
        )


def correct_several(
    connection: Connection,
    corrections: Mapping[int, Mapping[str, str | None]],
    who: str,
    note: str | None,
    as_read: Mapping[int, Rejected] | None = None,
) -> set[int]:
    """Store corrections in one transaction, published name to the text it should have had; the records are then open.

    A correction counts once a replay has read it. If an earlier correction of the record counted, the delivery must be
    reloaded: until the replay, the published bytes count again.

    Args:
        connection: To the warehouse.
        corrections: By the id of the record; they are added to its earlier corrections.
        who: Who decided.
        note: Why.
        as_read: The records as the corrections were made for; one that has changed since is left as it is. None if
            that does not matter.

    Returns:
        The ids of the records that are corrected; the others were closed otherwise than by a decision, or changed.
    """
    read = as_read or {}
    with connection.transaction():
        _lock_writes(connection, corrections)
        rows = connection.execute(
            "WITH wanted AS (SELECT * FROM unnest(%(ids)s::bigint[], %(corrections)s::jsonb[], %(statuses)s::text[], "
            "%(formers)s::jsonb[]) AS w (id, correction, status, former)), "
            "chosen AS (SELECT r.id, r.delivery_id, r.correction_counts, r.status, r.correction AS former, "
            "w.correction FROM etl.rejected r JOIN wanted w USING (id) "
            "WHERE r.status IN ('open', 'parked', 'dismissed', 'known') AND (w.status IS NULL "
            "OR (r.status = w.status AND r.correction IS NOT DISTINCT FROM w.former))), "
            f"{_WITHDRAWN}, {_entered('corrected')} "
            "UPDATE etl.rejected r SET correction = coalesce(r.correction, '{}') || c.correction, "
            "correction_counts = false, reviewer = %(who)s, reviewed_at = clock_timestamp(), "
            "note = coalesce(%(note)s, note), status = 'open', closed_by = NULL "
            "FROM chosen c WHERE r.id = c.id RETURNING r.id",
            {
                "ids": list(corrections),
                "corrections": [Jsonb(dict(correction)) for correction in corrections.values()],
                "statuses": [read[id_].status if id_ in read else None for id_ in corrections],
                "formers": [_as_jsonb(read[id_].correction) if id_ in read else None for id_ in corrections],
                "who": who,
                "note": note,
            },
        ).fetchall()
    return {id_ for (id_,) in rows}


def dismiss(connection: Connection, ids: Collection[int], who: str, note: str | None) -> int:
    """Dismiss records: close them for good, since they are known and not wanted.

    Corrections of them are withdrawn. If one of them counted, the delivery must be reloaded: the published bytes count
    again, and may be valid by now.

    Returns:
        Number of records that were waiting and are now dismissed.
    """
    with connection.transaction():
        _lock_writes(connection, ids)
        row = connection.execute(
            "WITH chosen AS (SELECT id, delivery_id, correction_counts, status, correction AS former "
            "FROM etl.rejected WHERE id = ANY (%(ids)s) AND status IN ('open', 'parked')), "
            f"{_WITHDRAWN}, {_entered('dismissed')}, dismissed AS (UPDATE etl.rejected r "
            "SET status = 'dismissed', correction = NULL, correction_counts = false, reviewer = %(who)s, "
            "reviewed_at = clock_timestamp(), note = coalesce(%(note)s, note) "
            "FROM chosen c WHERE r.id = c.id RETURNING r.id) SELECT count(*) FROM dismissed",
            {"ids": list(ids), "who": who, "note": note},
        ).fetchone()
    return int(row[0]) if row else 0


def history(connection: Connection, id_: int) -> list[Decision]:
    """Return the decisions about a record, oldest first."""
    with connection.cursor(row_factory=class_row(Decision)) as cursor:
        return cursor.execute(
            "SELECT decision, reviewer, decided_at, note, former_status FROM etl.decision WHERE rejected_id = %s "
            "ORDER BY id",
            (id_,),
        ).fetchall()


def corrected_record_numbers(connection: Connection, delivery: Delivery) -> list[int]:
    """Return the numbers of the records of a delivery that a reload reads as people corrected them, in order."""
    rows = connection.execute(
        "SELECT record_no FROM etl.rejected WHERE delivery_id = %s AND correction_counts ORDER BY record_no",
        (delivery.id,),
    ).fetchall()
    return [record_no for (record_no,) in rows]


def corrected(connection: Connection, delivery: Delivery, first_record: int, last_record: int) -> list[Rejected]:
    """Return some of the records that a reload reads as people corrected them, by their number."""
    with connection.cursor(row_factory=class_row(Rejected)) as cursor:
        return cursor.execute(
            with_contents(
                f"SELECT {ABOUT} FROM etl.rejected WHERE delivery_id = %s AND correction_counts "
                "AND record_no BETWEEN %s AND %s"
            ),
            (delivery.id, first_record, last_record),
        ).fetchall()


def corrections(
    connection: Connection, delivery: Delivery, first_record: int, last_record: int
) -> dict[int, dict[str, str | None]]:
    """Return the corrections that count of some records, by record number."""
    rows = connection.execute(
        "SELECT record_no, correction FROM etl.rejected WHERE delivery_id = %s AND correction_counts "
        "AND record_no BETWEEN %s AND %s",
        (delivery.id, first_record, last_record),
    ).fetchall()
    return dict(rows)


def _as_jsonb(value: dict[str, Any] | None) -> Jsonb | None:
    return None if value is None else Jsonb(value)


def _lock_writes(connection: Connection, ids: Collection[int]) -> None:
    """Wait until no transaction writes the sources of some records, and let none begin before this one ends."""
    sources = connection.execute(
        "SELECT DISTINCT source FROM etl.rejected WHERE id = ANY (%s) ORDER BY 1", (list(ids),)
    ).fetchall()
    for (source,) in sources:
        locks.lock_writes(connection, source)
