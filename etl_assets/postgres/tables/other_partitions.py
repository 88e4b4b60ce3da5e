"""Finds whether partitions of a table share keys, for deliveries that cannot be read again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from etl_assets.postgres.tables.guard import same_key
from etl_assets.postgres.tables.key_lists import KeyList
from etl_assets.postgres.tables.marks import NOT_MARKED, has_marks
from etl_assets.postgres.tables.names import identifier
from etl_assets.schema import DELIVERY_ID

if TYPE_CHECKING:
    import polars as pl

    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Schema


def find_other_partition(
    connection: Connection, table: str, schema: Schema, delivery: Delivery, rows: pl.DataFrame
) -> str | None:
    """Return a partition, other than that of a delivery, that brought a row with a key of its rows; None if none did.

    A row that is marked as deleted does not count: another partition may bring its key.

    Args:
        connection: In the batch's transaction.
        table: ``schema.table``.
        schema: Of the table.
        delivery: The delivery.
        rows: All of its rows, with the key's columns.
    """
    kept = KeyList(connection, "etl_kept", table, schema, at_commit="DROP")
    kept.add(rows)
    kept.analyze()
    row = connection.execute(
        sql.SQL(
            "SELECT d.partition FROM {kept} k JOIN {table} t ON {match} JOIN etl.delivery d ON d.id = t.{delivery} "
            "WHERE d.partition <> %s AND {there} ORDER BY 1 LIMIT 1"
        ).format(
            kept=kept.name,
            table=identifier(table),
            match=same_key(schema, "t", "k"),
            delivery=sql.Identifier(DELIVERY_ID),
            there=NOT_MARKED if has_marks(connection, table) else sql.SQL("true"),
        ),
        (delivery.partition,),
    ).fetchone()
    return None if row is None else str(row[0])
