"""Replaces rows: deletes the old ones by key, and copies the new ones straight into the table.

An upsert looks each key up a second time and decides row by row; this costs the server a third less. A row is deleted
and inserted where an upsert updates it, and only a trigger, a foreign key or a subscriber notices. So a table that has
one of them is written by upserts alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from psycopg import sql

from etl_assets.postgres.tables.copy import copy_in, encode, read_codes, wire_frame
from etl_assets.postgres.tables.ddl import columns_of, declared_types
from etl_assets.postgres.tables.guard import same_key
from etl_assets.postgres.tables.key_range import KeyRange
from etl_assets.postgres.tables.names import identifier
from etl_assets.schema import RECORD_NO, ROW_HASH

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.tables.guard import Guard
    from etl_assets.postgres.tables.range_partitions import Pruning
    from etl_assets.schema import Schema

_REPLACING: Final = sql.Identifier("pg_temp", "etl_replacing")
_PLACE: Final = "etl_place"
_NOTHING_NOTICES: Final = (
    "SELECT c.relkind = 'r' AND NOT c.relhasrules AND NOT c.relrowsecurity AND has_table_privilege(c.oid, 'DELETE') "
    "AND NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = c.oid) "
    "AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.contype IN ('f', 'x') AND c.oid IN (k.conrelid, k.confrelid)) "
    "AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND NOT i.indisprimary) "
    "AND NOT EXISTS (SELECT FROM pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent)) "
    "AND NOT EXISTS (SELECT FROM pg_publication_tables p WHERE p.tablename = c.relname "
    "AND p.schemaname = n.nspname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.oid = to_regclass(%s)"
)


@dataclass(frozen=True)
class Replaced:
    """What was written.

    Attributes:
        deleted: Number of rows of the table that were deleted, for which there is a new one.
        written: Number of rows that were copied.
        repeated: Numbers of the records that repeat the key of one that stays, if the guard looks for them.
    """

    deleted: int
    written: int
    repeated: tuple[int, ...]


class DeleteAndCopy:
    """Replaces rows of one table.

    Args:
        connection: Of the load; the temporary table belongs to this object alone.
        table: ``schema.table``.
        schema: Of the table.
        pruning: Of the table.
    """

    def __init__(self, connection: Connection, table: str, schema: Schema, pruning: Pruning) -> None:
        self._connection = connection
        self._name = table
        self._table = identifier(table)
        self._schema = schema
        self._key_range = KeyRange(connection, table, schema, pruning)
        order = [schema.order_by] if schema.order_by is not None else []
        self._compared = tuple(dict.fromkeys([*schema.key, *order, RECORD_NO, ROW_HASH]))

    def may_be_used(self) -> bool:
        """Return whether nothing notices the difference to an update; that stays so in the transaction.

        A table with columns that are not declared is not written so, for their values would be lost.
        """
        self._connection.execute(sql.SQL("LOCK TABLE {} IN ROW EXCLUSIVE MODE").format(self._table))
        row = self._connection.execute(_NOTHING_NOTICES, (self._name,)).fetchone()
        return bool(row and row[0]) and columns_of(self._connection, self._name) == declared_types(self._schema)

    def write(self, rows: pl.DataFrame, columns: tuple[str, ...], encoded: bytes | None, guard: Guard) -> Replaced:
        """Write the rows that the table lacks, and those that the guard lets replace a row.

        Args:
            rows: As for `TableWriter.write`.
            columns: The columns of the table, in the order in which they are copied.
            encoded: All of the rows, if they were encoded ahead.
            guard: Decides which rows of the table are replaced.

        Raises:
            psycopg.errors.UniqueViolation: If another session wrote one of the keys meanwhile.
        """
        self._fill(rows)
        repeated = np.array([], dtype=np.int64)
        written = rows
        with self._key_range.joined(rows) as within:
            deleted = self._delete(guard, within)
            if deleted < rows.height:
                answer = read_codes(self._connection, self._others(guard, within), guard.values())
                missing = answer[answer % 2 == 0] // 2
                if len(missing) < len(answer):
                    repeated = read_codes(self._connection, self._delete_repeated(guard, within), guard.values())
                    deleted += len(repeated)
                    missing = np.concatenate([missing, repeated])
                if len(missing) < rows.height:
                    written, encoded = rows[np.sort(missing)], None
        if written.height:
            data = encode(wire_frame(written.select(columns), self._schema)) if encoded is None else encoded
            copy_in(self._connection, self._table, columns, data)
        numbers = rows.get_column(RECORD_NO)[np.sort(repeated)]
        return Replaced(deleted, written.height, tuple(numbers.unique().sort().to_list()))

    def _fill(self, rows: pl.DataFrame) -> None:
        """Replace the contents of the temporary table with the place, key, order and hash of some rows."""
        self._connection.execute(
            sql.SQL(
                "CREATE TEMP TABLE IF NOT EXISTS etl_replacing ON COMMIT DELETE ROWS AS SELECT 0::integer AS {}, {} "
                "FROM {} WITH NO DATA; TRUNCATE {}"
            ).format(
                sql.Identifier(_PLACE),
                sql.SQL(", ").join(map(sql.Identifier, self._compared)),
                self._table,
                _REPLACING,
            )
        )
        keys = rows.select(pl.int_range(rows.height, dtype=pl.Int32).alias(_PLACE), *self._compared)
        copy_in(self._connection, _REPLACING, tuple(keys.columns), encode(wire_frame(keys, self._schema)))

    def _delete(self, guard: Guard, within: sql.Composable) -> int:
        """Delete the rows that are to be replaced, but for those whose key is repeated; return how many these were.

        A deletion that returns rows reads each of them a second time, which costs a third more.
        """
        unlike = sql.SQL("({}) IS NOT TRUE").format(self._repeated(guard))
        statement = sql.SQL("DELETE FROM {table} t USING {keys} s WHERE {match}{within} AND {changes} AND {unlike}")
        return self._connection.execute(
            statement.format(**self._names(guard, within), unlike=unlike), guard.values(), prepare=False
        ).rowcount

    def _others(self, guard: Guard, within: sql.Composable) -> sql.Composed:
        """SQL that returns places, doubled: of keys that are not in the table now, and plus 1 of those to be replaced.

        The latter are repeated, for `_delete` has left no others.
        """
        return sql.SQL(
            "SELECT s.{place} * 2 + (t.{hash} IS NOT NULL)::integer FROM {keys} s LEFT JOIN {table} t "
            "ON {match}{within} WHERE t.{hash} IS NULL OR ({changes} AND {repeated})"
        ).format(**self._names(guard, within), repeated=self._repeated(guard))

    def _delete_repeated(self, guard: Guard, within: sql.Composable) -> sql.Composed:
        """SQL that deletes the rows that `_delete` left, and returns the places of the new ones."""
        return sql.SQL(
            "DELETE FROM {table} t USING {keys} s WHERE {match}{within} AND {changes} AND {repeated} "
            "RETURNING s.{place}"
        ).format(**self._names(guard, within), repeated=self._repeated(guard))

    def _repeated(self, guard: Guard) -> sql.Composable:
        """The condition that a new row repeats the key of one of an earlier batch, and this is to be reported."""
        return guard.is_repeated("t", "s") if guard.looks_for_repeated else sql.SQL("false")

    def _names(self, guard: Guard, within: sql.Composable) -> dict[str, sql.Composable]:
        return {
            "table": self._table,
            "keys": _REPLACING,
            "match": same_key(self._schema, "t", "s"),
            "within": within,
            "changes": guard.changes("s"),
            "place": sql.Identifier(_PLACE),
            "hash": sql.Identifier(ROW_HASH),
        }
