"""Drops the rows of a table that are older than its declaration keeps, without a load."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from etl_assets.postgres.connection import in_session
from etl_assets.postgres.ledger import retention
from etl_assets.postgres.tables import ddl

if TYPE_CHECKING:
    from etl_assets.landing import Warehouse
    from etl_assets.postgres.connection import Connection
    from etl_assets.source import Source


def drop_expired(source: Source, warehouse: Warehouse) -> int | None:
    """Drop the child tables of a source whose rows are all too old; loads do so too.

    Args:
        source: The declaration.
        warehouse: Has the table.

    Returns:
        How many rows were dropped; None if there was nothing to do.

    Raises:
        IncompatibleTableError: If the table is not partitioned as declared.
        LoadError: If somebody uses the table for too long. Nothing was dropped.
    """
    action = f"dropping rows of {source.table} that are too old"
    return in_session(warehouse.url, partial(_drop, source=source), action)


def _drop(connection: Connection, source: Source) -> int | None:
    if source.partition_by is None or not ddl.exists(connection, source.table):
        return None
    ddl.check_partitions(connection, source.table, source.extension)
    return retention.drop_expired(connection, source.name, source.table, source.partition_by)
