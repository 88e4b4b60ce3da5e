"""What a delivery that is read again is compared with: its rejected records, as they are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg.rows import class_row

from etl_assets.postgres.ledger.order import oldest_first
from etl_assets.postgres.ledger.quarantine import ABOUT, Rejected, with_contents

if TYPE_CHECKING:
    from etl_assets.model.delivery import Delivery, Span
    from etl_assets.postgres.connection import Connection


@dataclass(frozen=True)
class LoadedDelivery:
    """A delivery with entries in the ledger.

    Attributes:
        id: Its id.
        batches: How many batches of its current generation the ledger has.
        current: Whether it is complete, and read under the declaration; then its records yield the rows.
    """

    id: int
    batches: int
    current: bool


def loaded_deliveries(connection: Connection, source: str, fingerprint: str) -> list[LoadedDelivery]:
    """Return the deliveries of a source with entries in the ledger, oldest first.

    Args:
        connection: To the warehouse.
        source: Name of the source.
        fingerprint: Of the declaration.
    """
    rows = connection.execute(
        "SELECT d.id, count(*) FILTER (WHERE b.generation = d.generation AND b.kind = 'ingest'), "
        "d.status = 'complete' AND d.fingerprint = %s AND NOT d.needs_reload "
        "FROM etl.delivery d JOIN etl.batch b ON b.delivery_id = d.id WHERE d.source = %s GROUP BY d.id "
        f"ORDER BY {oldest_first()}",
        (fingerprint, source),
    ).fetchall()
    return [LoadedDelivery(*row) for row in rows]


def rejected_now(connection: Connection, delivery: Delivery, span: Span) -> list[Rejected]:
    """Return the records of a batch that the current generation of its delivery rejected, in any status."""
    with connection.cursor(row_factory=class_row(Rejected)) as cursor:
        return cursor.execute(
            with_contents(
                f"SELECT {ABOUT} FROM etl.rejected WHERE delivery_id = %s AND generation = %s "
                "AND record_no BETWEEN %s AND %s"
            ),
            (delivery.id, delivery.generation, span.first_record, span.last_record),
        ).fetchall()


def all_rejected_now(connection: Connection, delivery: Delivery) -> list[Rejected]:
    """Return the records that the current generation of a delivery rejected and that were not replayed since."""
    with connection.cursor(row_factory=class_row(Rejected)) as cursor:
        return cursor.execute(
            with_contents(
                f"SELECT {ABOUT} FROM etl.rejected WHERE delivery_id = %s AND generation = %s AND status <> 'replayed'"
            ),
            (delivery.id, delivery.generation),
        ).fetchall()


def any_replayed(connection: Connection, delivery: Delivery, span: Span) -> bool:
    """Return whether a replay was tried of any record of a batch, in any generation."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM etl.rejected WHERE delivery_id = %s AND replays > 0 "
        "AND record_no BETWEEN %s AND %s)",
        (delivery.id, span.first_record, span.last_record),
    ).fetchone()
    return bool(row and row[0])
