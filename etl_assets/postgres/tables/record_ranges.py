"""Rows that a delivery and the number of a record identify, not a key: writes and replaces those of some records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from psycopg import sql

from etl_assets.postgres.connection import planned_without
from etl_assets.postgres.tables.copy import copy_in, encode, table_columns, wire_frame
from etl_assets.postgres.tables.names import identifier
from etl_assets.postgres.tables.upsert import Written
from etl_assets.schema import DELIVERY_ID, RECORD_NO, ROW_HASH

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Schema

_MARKS = {RECORD_NO: pl.Int64, ROW_HASH: pl.Int64}


class RecordRanges:
    """Writes the rows of one delivery into one table.

    Args:
        connection: Of the load.
        table: ``schema.table``.
        schema: Of the table.
        delivery_id: Id of the delivery.
    """

    def __init__(self, connection: Connection, table: str, schema: Schema, delivery_id: int) -> None:
        self._connection = connection
        self._table = identifier(table)
        self._schema = schema
        self._delivery_id = delivery_id
        self._columns = table_columns(schema)

    def encode(self, rows: pl.DataFrame) -> bytes:
        """Encode rows in the form in which `add` sends them; may be called from another thread."""
        return encode(wire_frame(rows.select(self._columns), self._schema))

    def add(self, rows: pl.DataFrame, encoded: bytes | None = None) -> Written:
        """Copy rows into the table, in the caller's transaction."""
        if rows.height:
            data = self.encode(rows) if encoded is None else encoded
            copy_in(self._connection, self._table, self._columns, data)
        return Written(inserted=rows.height)

    def replace(self, rows: pl.DataFrame, records: tuple[int, int]) -> Written:
        """Make the rows of some records those that they yield now; leave the records alone whose rows are the same.

        Args:
            rows: Every row that the records yield now.
            records: The first and the last record.

        Returns:
            The counts: the rows of a record that yields others are deleted and inserted, the others unchanged.
        """
        stored = self._stored(records)
        contents = [_contents(rows), _contents(stored)]
        both = contents[0].join(contents[1], on=RECORD_NO, how="full", coalesce=True)
        differing = both.filter(pl.col("hashes").ne_missing(pl.col("hashes_right")))[RECORD_NO]
        if differing.is_empty():
            return Written(unchanged=rows.height)
        deleted = self._delete(sorted(set(stored[RECORD_NO]) & set(differing)))
        changed = rows.filter(pl.col(RECORD_NO).is_in(differing.implode()))
        self.add(changed)
        return Written(inserted=changed.height, unchanged=rows.height - changed.height, deleted=deleted)

    def _stored(self, records: tuple[int, int]) -> pl.DataFrame:
        query = sql.SQL("SELECT {record}, {hash} FROM {table} WHERE {delivery} = %s AND {record} BETWEEN %s AND %s")
        with planned_without(self._connection, "seqscan"):
            found = self._connection.execute(
                query.format(
                    record=sql.Identifier(RECORD_NO),
                    hash=sql.Identifier(ROW_HASH),
                    table=self._table,
                    delivery=sql.Identifier(DELIVERY_ID),
                ),
                (self._delivery_id, *records),
            ).fetchall()
        return pl.DataFrame(found, schema=_MARKS, orient="row")

    def _delete(self, records: list[int]) -> int:
        if not records:
            return 0
        statement = sql.SQL("DELETE FROM {} WHERE {} = %s AND {} = ANY (%s)")
        with planned_without(self._connection, "seqscan"):
            return self._connection.execute(
                statement.format(self._table, sql.Identifier(DELIVERY_ID), sql.Identifier(RECORD_NO)),
                (self._delivery_id, records),
            ).rowcount


def _contents(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the sorted hashes of the rows of each record."""
    return rows.group_by(RECORD_NO).agg(pl.col(ROW_HASH).sort().alias("hashes"))
