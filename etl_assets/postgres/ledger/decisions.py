"""What people decide about records of the quarantine: corrections and dismissals, and what of them a reload reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from etl_assets.errors import QuarantineError
from etl_assets.postgres.ledger import locks
from etl_assets.postgres.ledger.quarantine import COLUMNS, Rejected

if TYPE_CHECKING:
    from collections.abc import Collection

    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection

_COLUMNS: Final = ", ".join(COLUMNS)
_WITHDRAWN: Final = (
    "reloaded AS (UPDATE etl.delivery SET needs_reload = true "
    "WHERE id IN (SELECT delivery_id FROM chosen WHERE correction_counts))"
)
"""SQL that marks the deliveries of chosen records whose corrections no longer count."""


def correct(connection: Connection, id_: int, correction: dict[str, str | None], who: str, note: str | None) -> None:
    """Store a correction, published name to the text it should have had, and set the record to ``open``.

    It counts once a replay has read it. If an earlier correction of the record counted, the delivery must be reloaded:
    until the replay, the published bytes count again.

    Raises:
        QuarantineError: If the record was closed otherwise than by a decision, or there is none of that id.
    """
    with connection.transaction():
        _lock_writes(connection, [id_])
        row = connection.execute(
            "WITH chosen AS (SELECT id, delivery_id, correction_counts FROM etl.rejected WHERE id = %s "
            f"AND status IN ('open', 'parked', 'dismissed', 'known')), {_WITHDRAWN} "
            "UPDATE etl.rejected r SET correction = coalesce(correction, '{}') || %s, correction_counts = false, "
            "reviewer = %s, reviewed_at = clock_timestamp(), note = coalesce(%s, note), status = 'open', "
            "closed_by = NULL FROM chosen c WHERE r.id = c.id RETURNING r.id",
            (id_, Jsonb(correction), who, note),
        ).fetchone()
    if row is None:
        raise QuarantineError(
            f"Record {id_} is not waiting in the quarantine. Nothing was changed. "
            "See `etl-assets quarantine list --status open` for those that are."
        )


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
            "WITH chosen AS (SELECT id, delivery_id, correction_counts FROM etl.rejected WHERE id = ANY (%s) "
            f"AND status IN ('open', 'parked')), {_WITHDRAWN}, dismissed AS (UPDATE etl.rejected r "
            "SET status = 'dismissed', correction = NULL, correction_counts = false, reviewer = %s, "
            "reviewed_at = clock_timestamp(), note = coalesce(%s, note) "
            "FROM chosen c WHERE r.id = c.id RETURNING r.id) SELECT count(*) FROM dismissed",
            (list(ids), who, note),
        ).fetchone()
    return int(row[0]) if row else 0


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
            f"SELECT {_COLUMNS} FROM etl.rejected WHERE delivery_id = %s AND correction_counts "
            "AND record_no BETWEEN %s AND %s ORDER BY record_no",
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


def _lock_writes(connection: Connection, ids: Collection[int]) -> None:
    """Wait until no transaction writes the sources of some records, and let none begin before this one ends."""
    sources = connection.execute(
        "SELECT DISTINCT source FROM etl.rejected WHERE id = ANY (%s) ORDER BY 1", (list(ids),)
    ).fetchall()
    for (source,) in sources:
        locks.lock_writes(connection, source)
