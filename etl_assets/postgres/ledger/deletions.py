"""The table ``etl.deletion``: which rows a delivery no longer had, by key, with the record that had given them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from etl_assets.schema import DELIVERY_ID, RECORD_NO

if TYPE_CHECKING:
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Schema


def enter(connection: Connection, delivery: Delivery, schema: Schema, rows: sql.Identifier) -> None:
    """Enter the rows that a delivery no longer has, before they are deleted.

    Args:
        connection: In the transaction that deletes them.
        delivery: The delivery.
        schema: Of their table.
        rows: A table with their keys and marks.
    """
    key = sql.SQL(", ").join(sql.SQL("{}, a.{}").format(sql.Literal(name), sql.Identifier(name)) for name in schema.key)
    connection.execute(
        sql.SQL(
            "INSERT INTO etl.deletion (deleted_by, source, partition, key, delivery_id, record_no) "
            "SELECT {id}, {source}, {partition}, jsonb_build_object({key}), a.{delivery}, a.{record} FROM {rows} a"
        ).format(
            id=sql.Literal(delivery.id),
            source=sql.Literal(delivery.source),
            partition=sql.Literal(delivery.partition),
            key=key,
            delivery=sql.Identifier(DELIVERY_ID),
            record=sql.Identifier(RECORD_NO),
            rows=rows,
        )
    )
