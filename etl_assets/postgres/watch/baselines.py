"""Read and write ``etl.baseline``: from which delivery on the history of a number counts, as a person decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from etl_assets.postgres.ledger.order import newer, newest_first, order_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection


@dataclass(frozen=True)
class Baseline:
    """The delivery that brought an accepted level.

    Attributes:
        column: Name of the column; the empty text for the number of records.
        statistic: Name of the number.
        rank: Rank of the delivery.
        delivery_id: Its id.
    """

    column: str
    statistic: str
    rank: str
    delivery_id: int


def find(connection: Connection, source: str) -> list[Baseline]:
    """Return the accepted levels of a source."""
    rows = connection.execute(
        "SELECT b.column_name, b.statistic, d.rank, d.id FROM etl.baseline b JOIN etl.delivery d "
        "ON d.id = b.delivery_id WHERE b.source = %s",
        (source,),
    ).fetchall()
    return [Baseline(*row) for row in rows]


def accept(
    connection: Connection, source: str, numbers: Sequence[tuple[str, str]], delivery_id: int, who: str, note: str
) -> None:
    """Enter that a person accepted the levels which a delivery brought.

    Args:
        connection: In the transaction that resolves the alert.
        source: Name of the source.
        numbers: Column and statistic of each number.
        delivery_id: Of the delivery.
        who: Who accepted them.
        note: Why.
    """
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO etl.baseline (source, column_name, statistic, delivery_id, accepted_by, note) "
            "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (source, column_name, statistic) DO UPDATE SET "
            "delivery_id = EXCLUDED.delivery_id, accepted_by = EXCLUDED.accepted_by, note = EXCLUDED.note, "
            "accepted_at = clock_timestamp()",
            [(source, column, statistic, delivery_id, who, note) for column, statistic in numbers],
        )


def newest(connection: Connection, source: str) -> int | None:
    """Return the id of the newest complete delivery of a source; None if there is none."""
    row = connection.execute(
        f"SELECT id FROM etl.delivery d WHERE source = %s AND status = 'complete' ORDER BY {newest_first()} LIMIT 1",
        (source,),
    ).fetchone()
    return row[0] if row else None


def is_late(connection: Connection, delivery: Delivery) -> bool:
    """Return whether a delivery of another partition is complete and newer than this one."""
    row = connection.execute(
        "SELECT FROM etl.delivery d WHERE source = %(source)s AND status = 'complete' AND partition <> %(partition)s "
        f"AND {newer()} LIMIT 1",
        order_of(delivery),
    ).fetchone()
    return row is not None
