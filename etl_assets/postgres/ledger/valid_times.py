"""The times of deliveries: from when the versions of rows are valid that they brought."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.postgres.ledger.order import newer, older, order_of

if TYPE_CHECKING:
    from datetime import datetime

    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection


def enter(connection: Connection, delivery: Delivery, at: datetime) -> bool:
    """Enter the time of a delivery; return whether it had another one, or none."""
    changed = connection.execute(
        "UPDATE etl.delivery SET valid_from = %(at)s WHERE id = %(id)s AND valid_from IS DISTINCT FROM %(at)s",
        {"id": delivery.id, "at": at},
    )
    return changed.rowcount > 0


def find_contradiction(
    connection: Connection, delivery: Delivery, at: datetime, fingerprint: str, *, same_partition: bool
) -> tuple[int, datetime] | None:
    """Find a delivery whose time contradicts the order of deliveries.

    Args:
        connection: In the transaction that enters the time.
        delivery: The delivery.
        at: Its time.
        fingerprint: Of the declaration; times by other declarations do not count.
        same_partition: Only deliveries of its own partition.

    Returns:
        Id and time of an older delivery with a later time, or of a newer one with an earlier time; None without one.
    """
    row = connection.execute(
        "SELECT d.id, d.valid_from FROM etl.delivery d WHERE source = %(source)s AND fingerprint = %(fingerprint)s "
        "AND (partition = %(partition)s OR NOT %(same_partition)s) "
        f"AND (({older()} AND valid_from > %(at)s) OR ({newer()} AND valid_from < %(at)s)) ORDER BY d.id LIMIT 1",
        {**order_of(delivery), "at": at, "fingerprint": fingerprint, "same_partition": same_partition},
    ).fetchone()
    return None if row is None else (row[0], row[1])
