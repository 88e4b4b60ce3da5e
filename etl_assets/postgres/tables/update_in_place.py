"""Updates rows from the staged ones where pages have room for new versions, so that these stay on their pages.

No index is written then, and the table does not grow. Where pages are full, an update costs more than a deletion and a
copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from etl_assets.postgres.connection import joining_by_index
from etl_assets.postgres.tables.copy import table_columns
from etl_assets.postgres.tables.fillfactor import has_room
from etl_assets.postgres.tables.guard import same_key
from etl_assets.postgres.tables.names import identifier
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    import polars as pl

    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.tables.guard import Guard
    from etl_assets.postgres.tables.range_partitions import Pruning
    from etl_assets.schema import Schema


class UpdateInPlace:
    """Updates the rows of one table.

    Args:
        connection: Of the load.
        table: ``schema.table``.
        schema: Of the table.
        pruning: Of the table.
        staging: The table that has the staged rows.
    """

    def __init__(
        self, connection: Connection, table: str, schema: Schema, pruning: Pruning, staging: sql.Identifier
    ) -> None:
        self._connection = connection
        self._name = table
        self._table = identifier(table)
        self._schema = schema
        self._pruning = pruning
        self._staging = staging
        self._has_room: bool | None = None

    def is_cheaper(self) -> bool:
        """Return whether new versions of rows stay on their pages; the table is asked once."""
        if self._has_room is None:
            self._has_room = has_room(self._connection, self._name)
        return self._has_room

    def write(self, rows: pl.DataFrame, guard: Guard) -> tuple[int, list[int]]:
        """Update the rows of the table that the guard lets the staged rows change.

        Args:
            rows: The rows that are staged, or more.
            guard: Decides which rows of the table are changed.

        Returns:
            How many were updated, and the numbers of the records that repeat the key of one that stays.
        """
        update = self._update(rows, guard)
        repeated = guard.is_repeated("t", "s") if guard.looks_for_repeated else sql.SQL("false")
        others = sql.SQL("{} AND ({}) IS NOT TRUE").format(update, repeated)
        found: list[tuple[int]] = []
        with joining_by_index(self._connection):
            updated = self._connection.execute(others, guard.values(), prepare=False).rowcount
            if updated < rows.height and guard.looks_for_repeated:
                returning = sql.SQL("{} AND {} RETURNING s.{}").format(update, repeated, sql.Identifier(RECORD_NO))
                found = self._connection.execute(returning, guard.values(), prepare=False).fetchall()
        return updated + len(found), sorted({number for (number,) in found})

    def lacking(self, rows: pl.DataFrame) -> sql.Composable:
        """Return the condition that the table has no row of the key of a staged row, ``s``."""
        return sql.SQL("NOT EXISTS (SELECT FROM {} t WHERE {}{})").format(
            self._table, same_key(self._schema, "t", "s"), self._pruning.condition(rows)
        )

    def _update(self, rows: pl.DataFrame, guard: Guard) -> sql.Composable:
        names = [name for name in table_columns(self._schema) if name not in self._schema.key]
        return sql.SQL("UPDATE {} t SET {} FROM {} s WHERE {}{} AND {}").format(
            self._table,
            sql.SQL(", ").join(sql.SQL("{0} = s.{0}").format(sql.Identifier(name)) for name in names),
            self._staging,
            same_key(self._schema, "t", "s"),
            self._pruning.condition(rows),
            guard.changes("s"),
        )
