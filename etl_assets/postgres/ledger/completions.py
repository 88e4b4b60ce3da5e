"""The deliveries that a write mode has completed, in their order, with the times at which they were fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.postgres.ledger.order import newer as newer_than
from etl_assets.postgres.ledger.order import older as older_than
from etl_assets.postgres.ledger.order import oldest_first, order_of

if TYPE_CHECKING:
    from datetime import datetime
    from typing import LiteralString

    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection


def newer(connection: Connection, delivery: Delivery, *, same_partition: bool) -> list[tuple[int, datetime]]:
    """Return the ids and times of the completed deliveries that are newer than one, oldest first.

    Args:
        connection: To the warehouse.
        delivery: The delivery to compare with.
        same_partition: Only of its own partition.
    """
    return _completed(connection, delivery, newer_than(), same_partition=same_partition)


def older(connection: Connection, delivery: Delivery, *, same_partition: bool) -> list[tuple[int, datetime]]:
    """Return the ids and times of the completed deliveries that are older than one, oldest first; see `newer`."""
    return _completed(connection, delivery, older_than(), same_partition=same_partition)


def _completed(
    connection: Connection, delivery: Delivery, condition: LiteralString, *, same_partition: bool
) -> list[tuple[int, datetime]]:
    return connection.execute(
        f"SELECT d.id, d.fetched_at FROM etl.delivery d WHERE source = %(source)s AND {condition} "
        "AND (partition = %(partition)s OR NOT %(same_partition)s) AND EXISTS (SELECT FROM etl.batch b "
        f"WHERE b.delivery_id = d.id AND b.kind = 'completion') ORDER BY {oldest_first()}",
        {**order_of(delivery), "same_partition": same_partition},
    ).fetchall()
