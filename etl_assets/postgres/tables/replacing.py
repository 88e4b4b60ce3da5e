"""Deletes the rows of a partition that its newest delivery, a complete copy of the partition, no longer has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import sql

from etl_assets.postgres.tables.copy import copy_in, encode, wire_frame
from etl_assets.postgres.tables.names import identifier
from etl_assets.schema import DELIVERY_ID

if TYPE_CHECKING:
    import polars as pl

    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Schema

_KEPT: Final = sql.Identifier("pg_temp", "etl_kept")


def remove_absent(connection: Connection, table: str, schema: Schema, delivery: Delivery, rows: pl.DataFrame) -> int:
    """Delete rows from any delivery of the same partition that are not among the rows of this delivery.

    Args:
        connection: In the batch's transaction.
        table: ``schema.table``.
        schema: Of the table.
        delivery: The newest delivery of its partition.
        rows: All rows of the delivery, with the key's columns.

    Returns:
        How many rows were deleted.
    """
    key = sql.SQL(", ").join(map(sql.Identifier, schema.key))
    connection.execute(
        sql.SQL("CREATE TEMP TABLE etl_kept ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
            key, identifier(table)
        )
    )
    copy_in(connection, _KEPT, schema.key, encode(wire_frame(rows.select(schema.key), schema)))
    connection.execute(sql.SQL("ANALYZE {}").format(_KEPT))
    match = sql.SQL(" AND ").join(sql.SQL("t.{0} = k.{0}").format(sql.Identifier(name)) for name in schema.key)
    return connection.execute(
        sql.SQL(
            "DELETE FROM {table} t WHERE t.{delivery} IN (SELECT id FROM etl.delivery WHERE source = %s "
            "AND partition = %s) AND NOT EXISTS (SELECT FROM {kept} k WHERE {match})"
        ).format(table=identifier(table), delivery=sql.Identifier(DELIVERY_ID), kept=_KEPT, match=match),
        (delivery.source, delivery.partition),
    ).rowcount
