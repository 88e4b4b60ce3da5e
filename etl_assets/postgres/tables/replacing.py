"""Compares the rows of a partition's newest delivery, a complete copy of the partition, with those of the table.

The statements of a transaction share a temporary table of the delivery's keys, which `keep_keys` fills.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import sql

from etl_assets.postgres.tables.copy import copy_in, encode, wire_frame
from etl_assets.postgres.tables.guard import same_key
from etl_assets.postgres.tables.names import identifier
from etl_assets.schema import DELIVERY_ID

if TYPE_CHECKING:
    import polars as pl

    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Schema

_KEPT: Final = sql.Identifier("pg_temp", "etl_kept")


def keep_keys(connection: Connection, table: str, schema: Schema, rows: pl.DataFrame) -> None:
    """Fill the temporary table with the keys of all rows of a delivery.

    Args:
        connection: In the batch's transaction, at whose end the temporary table is dropped.
        table: ``schema.table``.
        schema: Of the table.
        rows: With the key's columns.
    """
    connection.execute(
        sql.SQL("CREATE TEMP TABLE etl_kept ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
            sql.SQL(", ").join(map(sql.Identifier, schema.key)), identifier(table)
        )
    )
    copy_in(connection, _KEPT, schema.key, encode(wire_frame(rows.select(schema.key), schema)))
    connection.execute(sql.SQL("ANALYZE {}").format(_KEPT))


def find_other_partition(connection: Connection, table: str, schema: Schema, delivery: Delivery) -> str | None:
    """Return a partition that brought a row with one of the kept keys, other than that of the delivery; or None."""
    row = connection.execute(
        sql.SQL(
            "SELECT d.partition FROM {kept} k JOIN {table} t ON {match} JOIN etl.delivery d ON d.id = t.{delivery} "
            "WHERE d.partition <> %s ORDER BY 1 LIMIT 1"
        ).format(
            kept=_KEPT, table=identifier(table), match=same_key(schema, "t", "k"), delivery=sql.Identifier(DELIVERY_ID)
        ),
        (delivery.partition,),
    ).fetchone()
    return None if row is None else str(row[0])


def remove_absent(connection: Connection, table: str, schema: Schema, delivery: Delivery) -> int:
    """Delete rows from any delivery of the same partition whose keys are not kept.

    Args:
        connection: In the batch's transaction, after `keep_keys`.
        table: ``schema.table``.
        schema: Of the table.
        delivery: The newest delivery of its partition.

    Returns:
        How many rows were deleted.
    """
    return connection.execute(
        sql.SQL(
            "DELETE FROM {table} t WHERE t.{delivery} IN (SELECT id FROM etl.delivery WHERE source = %s "
            "AND partition = %s) AND NOT EXISTS (SELECT FROM {kept} k WHERE {match})"
        ).format(
            table=identifier(table), delivery=sql.Identifier(DELIVERY_ID), kept=_KEPT, match=same_key(schema, "t", "k")
        ),
        (delivery.source, delivery.partition),
    ).rowcount
