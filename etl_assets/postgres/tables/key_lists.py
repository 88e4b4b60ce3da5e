"""Temporary tables of keys, with which the rows of a table are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import psycopg
from psycopg import sql

from etl_assets.postgres.faults import fault_of
from etl_assets.postgres.tables.copy import copy_in, encode, wire_frame
from etl_assets.postgres.tables.names import identifier

if TYPE_CHECKING:
    import polars as pl

    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Schema


class KeyList:
    """A temporary table that has the key's columns of another table; replaces one of the same name.

    Args:
        connection: Whose session has the table.
        name: Of the temporary table.
        table: ``schema.table``.
        schema: Has the key; columns that are not of the key do not matter.
        at_commit: Whether the table is dropped at the end of the transaction, or stays with or without its rows.

    Attributes:
        name: Of the temporary table, in SQL.
    """

    def __init__(
        self,
        connection: Connection,
        name: str,
        table: str,
        schema: Schema,
        *,
        at_commit: Literal["DROP", "PRESERVE ROWS", "DELETE ROWS"],
    ) -> None:
        self._connection = connection
        self._schema = schema
        self._is_analyzed = False
        self.name = sql.Identifier("pg_temp", name)
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(self.name))
        connection.execute(
            sql.SQL("CREATE TEMP TABLE {} ON COMMIT {} AS SELECT {} FROM {} WITH NO DATA").format(
                sql.Identifier(name),
                sql.SQL(at_commit),
                sql.SQL(", ").join(map(sql.Identifier, schema.key)),
                identifier(table),
            )
        )

    def add(self, rows: pl.DataFrame) -> None:
        """Take keys, typed as in a `Verdict`. One that the database cannot store is left out: no row has it."""
        if rows.is_empty():
            return
        self._is_analyzed = False
        try:
            with self._connection.transaction():
                data = encode(wire_frame(rows.select(self._schema.key), self._schema))
                copy_in(self._connection, self.name, self._schema.key, data)
        except psycopg.Error as error:
            if fault_of(error).kind != "data" or self._connection.broken:
                raise
        else:
            return
        if rows.height > 1:
            half = rows.height // 2
            self.add(rows[:half])
            self.add(rows[half:])

    def returned_by(self, statement: sql.Composed, row: str) -> sql.Composed:
        """Return a statement that also adds the keys of the rows that a statement changes, one for each.

        Args:
            statement: Changes rows of the table, and has no RETURNING.
            row: The alias that the table has in it.
        """
        columns = sql.SQL(", ").join(map(sql.Identifier, self._schema.key))
        returned = sql.SQL(", ").join(sql.Identifier(row, name) for name in self._schema.key)
        self._is_analyzed = False
        return sql.SQL("WITH changed AS ({} RETURNING {}) INSERT INTO {} ({}) SELECT {} FROM changed").format(
            statement, returned, self.name, columns, columns
        )

    def analyze(self) -> None:
        """Let the planner know how many keys there are."""
        if not self._is_analyzed:
            self._connection.execute(sql.SQL("ANALYZE {}").format(self.name))
            self._is_analyzed = True
