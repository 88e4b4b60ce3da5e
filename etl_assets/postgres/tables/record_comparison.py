"""Compares rows without a key, which were read again from their deliveries, with those of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import sql

from etl_assets.postgres.connection import planned_without
from etl_assets.postgres.tables.comparison import Compared, Found, rows_by_delivery
from etl_assets.postgres.tables.copy import copy_in, encode, wire_frame
from etl_assets.postgres.tables.names import identifier
from etl_assets.schema import DELIVERY_ID, RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.tables.comparison import Order
    from etl_assets.schema import Schema

_REREAD: Final = sql.Identifier("pg_temp", "etl_reread")


class RecordComparison:
    """Compares the rows of each record with those of the table that have its mark; has the methods of `Comparison`.

    Args:
        connection: In a transaction, at whose end the temporary table is dropped.
        table: ``schema.table``, which has the columns of the schema.
        schema: Of the table.
    """

    def __init__(self, connection: Connection, table: str, schema: Schema) -> None:
        self._connection = connection
        self._table = identifier(table)
        self._schema = schema
        self._columns = (*schema.names, RECORD_NO)
        connection.execute(
            sql.SQL("CREATE TEMP TABLE etl_reread ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
                self._listed(), self._table
            )
        )

    def compare(self, rows: pl.DataFrame, order: Order, records: tuple[int, int]) -> Compared:
        """Compare the rows of a batch with the table.

        Args:
            rows: The schema's columns and ``RECORD_NO``.
            order: Of the delivery of the records.
            records: The first and the last record of the batch.
        """
        self._connection.execute(sql.SQL("TRUNCATE {}").format(_REREAD))
        data = encode(wire_frame(rows.select(self._columns), self._schema))
        copy_in(self._connection, _REREAD, self._columns, data)
        parts = {
            "columns": self._listed(),
            "reread": _REREAD,
            "table": self._table,
            "delivery": sql.Identifier(DELIVERY_ID),
            "record": sql.Identifier(RECORD_NO),
        }
        stored = sql.SQL(
            "SELECT {columns} FROM {table} WHERE {delivery} = %(delivery)s AND {record} BETWEEN %(first)s AND %(last)s"
        ).format(**parts)
        read = sql.SQL("SELECT {columns} FROM {reread}").format(**parts)
        query = sql.SQL(
            "SELECT (SELECT count(*) FROM ({stored}) a), changed.*, missing.* FROM (SELECT count(*), "
            "coalesce(min({record}), 0) FROM ({stored} EXCEPT ALL {read}) c) changed, (SELECT count(*), "
            "coalesce(min({record}), 0) FROM ({read} EXCEPT ALL {stored}) m) missing"
        ).format(stored=stored, read=read, record=parts["record"])
        values = {"delivery": order.delivery_id, "first": records[0], "last": records[1]}
        with planned_without(self._connection, "seqscan"):
            found = self._connection.execute(query, values).fetchone()
        rows_stored, changed, first_changed, missing, first_missing = found or (0,) * 5
        return Compared(rows_stored - changed, Found(changed, first_changed), Found(missing, first_missing))

    def rows_by_delivery(self) -> dict[int, int]:
        """Return how many rows of the table have the mark of each delivery; reads the table once."""
        return rows_by_delivery(self._connection, self._table)

    def outdated(self, unread: Iterable[int]) -> dict[int, Found]:
        """Return nothing: no row is newer than another one."""
        del unread
        return {}

    def _listed(self) -> sql.Composed:
        return sql.SQL(", ").join(map(sql.Identifier, self._columns))
