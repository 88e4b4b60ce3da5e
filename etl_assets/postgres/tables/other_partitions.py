"""Finds whether partitions of a table share keys, for deliveries that cannot be read again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from etl_assets.postgres.tables.guard import same_key
from etl_assets.postgres.tables.key_lists import KeyList
from etl_assets.postgres.tables.marks import NOT_MARKED
from etl_assets.postgres.tables.names import identifier
from etl_assets.schema import DELIVERY_ID, ROW_HASH

if TYPE_CHECKING:
    import polars as pl

    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Schema


def find_other_partition(
    connection: Connection, table: str, schema: Schema, delivery: Delivery, rows: pl.DataFrame, *, marked: bool = False
) -> str | None:
    """Return a partition, other than that of a delivery, that brought a row with a key of its rows; None if none did.

    Args:
        connection: In the batch's transaction.
        table: ``schema.table``.
        schema: Of the table.
        delivery: The delivery.
        rows: All of its rows, with the key's columns.
        marked: Whether the table has rows that are marked as deleted. Another partition may bring their keys; then they
            get another hash, so that the delivery writes them and they are rows of its partition.
    """
    kept = KeyList(connection, "etl_kept", table, schema, at_commit="DROP")
    kept.add(rows)
    kept.analyze()
    parts = {
        "kept": kept.name,
        "table": identifier(table),
        "match": same_key(schema, "t", "k"),
        "delivery": sql.Identifier(DELIVERY_ID),
        "there": NOT_MARKED if marked else sql.SQL("true"),
        "hash": sql.Identifier(ROW_HASH),
    }
    row = connection.execute(
        sql.SQL(
            "SELECT d.partition FROM {kept} k JOIN {table} t ON {match} JOIN etl.delivery d ON d.id = t.{delivery} "
            "WHERE d.partition <> %s AND {there} ORDER BY 1 LIMIT 1"
        ).format(**parts),
        (delivery.partition,),
    ).fetchone()
    if row is None and marked:
        connection.execute(
            sql.SQL(
                "UPDATE {table} t SET {hash} = ~t.{hash} FROM {kept} k, etl.delivery d WHERE {match} "
                "AND d.id = t.{delivery} AND d.partition <> %s AND NOT {there}"
            ).format(**parts),
            (delivery.partition,),
        )
    return None if row is None else str(row[0])
