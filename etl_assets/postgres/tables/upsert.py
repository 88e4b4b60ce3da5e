"""Writes rows into a table: finds which are new and which differ, and writes these by the cheapest way.

There are five ways, with the same result. Rows whose keys are all new are copied straight into the table. For rows
that were delivered before, only key and row hash are sent first, then the rows that are new or differ. Many of these
replace the old rows, which are deleted, see `delete_and_copy`. All others go through a staging table and are merged by
one ordered, guarded upsert; if they are many, and pages have room for new versions, the rows that are there are updated
before it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from psycopg import errors, sql

from etl_assets.postgres.connection import joining_by_index
from etl_assets.postgres.tables.copy import copy_in, encode, table_columns, wire_frame
from etl_assets.postgres.tables.delete_and_copy import DeleteAndCopy
from etl_assets.postgres.tables.guard import Guard, differs, same_key
from etl_assets.postgres.tables.names import identifier
from etl_assets.postgres.tables.probe import Probe
from etl_assets.postgres.tables.range_partitions import Pruning
from etl_assets.postgres.tables.reloading import hand_over
from etl_assets.postgres.tables.update_in_place import UpdateInPlace
from etl_assets.schema import RECORD_NO, ROW_HASH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from psycopg.errors import Diagnostic

    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.tables.probe import ProbeResult
    from etl_assets.schema import Schema

    Protect = Callable[[pl.DataFrame], pl.DataFrame]

_STAGING: Final = sql.Identifier("pg_temp", "etl_staging")
_ALL: Final = sql.SQL("true")
REPLACED_FROM: Final = 1_000
"""From this number of rows on, old rows are deleted and new ones copied; an update of a few rows bloats less."""
_RETURNS_OLD: Final = 180_000
"""The first version of the server whose RETURNING has the old row."""


@dataclass(frozen=True)
class Written:
    """How many rows a write inserted, updated, and left as they were.

    Attributes:
        inserted: Rows whose key was not in the table.
        updated: Rows for which the table had an older row.
        unchanged: Rows for which the table had the same row, or a newer one.
        confirmed: How many of the unchanged rows, at most, have their contents from another delivery.
        repeated: Numbers of the records that changed a row of an earlier batch of their delivery, and not to a newer
            order, if the writer was to find them.
        deleted: Rows of the table that were deleted.
        notes: What the ledger keeps of it besides: numbers, by name.
        expired: Rows that are older than what the table keeps.
    """

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    confirmed: int = 0
    repeated: tuple[int, ...] = ()
    deleted: int = 0
    notes: Mapping[str, int] = field(default_factory=dict)
    expired: int = 0

    def with_deleted(self, deleted: int) -> Written:
        """Return the same counts, with that many deleted rows."""
        return replace(self, deleted=deleted)


class TableWriter:
    """Writes the rows of one delivery into one table.

    Args:
        connection: Of the load; its temporary tables belong to this writer alone.
        table: ``schema.table``.
        schema: Of the table.
        delivery_id: Id of the delivery that is written.
        refresh_hashes: Whether rows of the table may have hashes of another seed. The hashes of rows that are written
            again are then updated, so that unchanged rows are recognised.

    Attributes:
        guard: The conditions under which a row is written; the transaction sets what they depend on.
        was_empty: Whether the table had no rows when this writer was made.
    """

    def __init__(
        self,
        connection: Connection,
        table: str,
        schema: Schema,
        delivery_id: int,
        *,
        refresh_hashes: bool = False,
    ) -> None:
        self._connection = connection
        self._name = table
        self._table = identifier(table)
        self._schema = schema
        self._delivery_id = delivery_id
        self.guard = Guard(schema, delivery_id)
        self._refresh_hashes = refresh_hashes
        self._columns = table_columns(schema)
        self._pruning = Pruning(connection, table)
        self._probe = Probe(connection, table, schema, self._pruning)
        self.was_empty = self._expect_new = _has_no_rows(connection, self._table)
        self._mostly_changed = False
        self._replacing = DeleteAndCopy(connection, table, schema, self._pruning)
        self._compared: tuple[pl.DataFrame, ProbeResult] | None = None
        self._is_partitioned = self._pruning.column is not None
        self._updating = UpdateInPlace(connection, table, schema, self._pruning, _STAGING)

    @property
    def sends_everything(self) -> bool:
        """Whether the next rows will probably all be sent, so that it is worth encoding them ahead."""
        return self._expect_new or self._mostly_changed

    def mostly_changes(self, rows: pl.DataFrame) -> bool:
        """Return whether most of some rows have other contents than the table's, for rows as `write` takes them."""
        found = self._probe.compare(rows)
        self._compared = rows, found
        return len(found.differing) > rows.height // 2

    @property
    def refreshes_hashes(self) -> bool:
        """Whether rows of the table may have hashes of another seed."""
        return self._refresh_hashes

    def encode(self, rows: pl.DataFrame) -> bytes:
        """Encode rows in the form in which `write` sends all of them; may be called from another thread."""
        return encode(wire_frame(rows.select(self._columns), self._schema))

    def write(
        self,
        rows: pl.DataFrame,
        encoded: bytes | None = None,
        *,
        protect: Protect | None = None,
        reload: bool = False,
        compare: bool = True,
    ) -> Written:
        """Write rows inside the caller's transaction.

        Args:
            rows: The schema's columns, typed, and the bookkeeping ones; no key twice; sorted by key.
            encoded: The same rows from `encode`, if they were encoded ahead.
            protect: Returns which of the rows that would be changed have newer records: their keys, and the bookkeeping
                columns of these records. Such a row keeps its contents, and gets the mark of a record that has the
                same. None if no row needs this.
            reload: Whether the delivery is reloaded, so that most rows are unchanged because they are its own.
            compare: Whether rows with the same contents as those of the table may be left alone.

        Returns:
            The counts: inserted, updated and unchanged add up to the number of rows.
        """
        if rows.is_empty():
            return Written()
        if self._expect_new:
            if self._copy_if_new(rows, encoded):
                return Written(inserted=rows.height)
            self._expect_new = False
        if self._mostly_changed or not compare:
            return self._merge(rows, encoded, protect)
        found = self._compare(rows, reload=reload)
        unchanged = rows.height - len(found.new) - len(found.differing)
        confirmed = found.others if reload else unchanged
        self._mostly_changed = len(found.differing) > rows.height // 2
        if not len(found.differing) and self._copy_if_new(rows if len(found.new) == rows.height else rows[found.new]):
            return Written(inserted=len(found.new), unchanged=unchanged, confirmed=confirmed)
        merged = self._merge(rows[np.sort(np.concatenate([found.new, found.differing]))], None, protect)
        return replace(merged, unchanged=merged.unchanged + unchanged, confirmed=merged.confirmed + confirmed)

    def _compare(self, rows: pl.DataFrame, *, reload: bool) -> ProbeResult:
        """Compare rows with the table, unless this was just done."""
        before, self._compared = self._compared, None
        if before is not None and before[0] is rows:
            return before[1]
        return self._probe.compare(rows, others_than=self._delivery_id if reload else None)

    def missing_keys(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the keys, of some rows, that the table does not have."""
        keys = rows.select(self._schema.key)
        if keys.is_empty():
            return keys
        return keys[self._probe.compare(keys.with_columns(pl.lit(0, dtype=pl.Int64).alias(ROW_HASH))).new]

    def _copy_if_new(self, rows: pl.DataFrame, encoded: bytes | None = None) -> bool:
        """Copy rows straight into the table; return False and copy nothing if one of their keys exists."""
        if rows.is_empty():
            return True
        try:
            with self._connection.transaction():
                self._send(self._table, rows, encoded)
        except errors.UniqueViolation as error:
            if not self._is_key(error.diag):
                raise
            return False
        return True

    def _is_key(self, violated: Diagnostic) -> bool:
        """Return whether an error names the key; it names the constraint of the child table if there are some."""
        row = self._connection.execute(
            "SELECT c.contype = 'p' FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid "
            "JOIN pg_namespace n ON n.oid = t.relnamespace WHERE c.conname = %s AND t.relname = %s AND n.nspname = %s",
            (violated.constraint_name, violated.table_name, violated.schema_name),
        ).fetchone()
        return bool(row and row[0])

    def _send(self, table: sql.Composable, rows: pl.DataFrame, encoded: bytes | None) -> None:
        copy_in(self._connection, table, self._columns, self.encode(rows) if encoded is None else encoded)

    def _merge(self, rows: pl.DataFrame, encoded: bytes | None, protect: Protect | None) -> Written:
        """Write rows that may replace some of the table: by deleting these, or through the staging table.

        Postgres scans a temporary table in the order in which it was filled, which is that of the key. So writers of
        overlapping keys lock them in the same order and do not deadlock. Sorting again would take a fifth of the time
        of the merge.
        """
        in_place = rows.height >= REPLACED_FROM and self._updating.is_cheaper()
        simple = protect is None and not self._refresh_hashes and not in_place
        if simple and (replaced := self._replace(rows, encoded)) is not None:
            return replaced
        self._stage(rows, encoded)
        if self._refresh_hashes:
            self._refresh(rows)
        if protect is not None and (changing := self._changing_rows(rows)).height:
            protected = protect(changing)
            if protected.height:
                hand_over(self._connection, self._name, self._schema, protected)
                self._stage(rows.join(protected, on=self._schema.key, how="anti", maintain_order="left"))
        before = self.guard.looks_for_repeated and not self._returns_old and not in_place
        repeated = list(self._find_repeated(rows)) if before else []
        new = self._count_new(rows) if self._is_partitioned and not self._returns_old else 0
        updated = 0
        if in_place:
            updated, repeated = self._updating.write(rows, self.guard)
        inserted, written, found = self._upsert(rows, missing=in_place) if updated < rows.height else (0, 0, ())
        inserted, written = inserted + new, written + updated
        unchanged = rows.height - written
        return Written(inserted, written - inserted, unchanged, unchanged, (*repeated, *found))

    def _upsert(self, rows: pl.DataFrame, *, missing: bool) -> tuple[int, int, Sequence[int]]:
        """Merge the staged rows, or those alone whose key is missing in the table.

        Returns:
            How many were inserted and how many written, and the numbers of the repeated records.
        """
        if missing:
            with joining_by_index(self._connection):
                statement = self._merge_statement(self._updating.lacking(rows))
                row = self._connection.execute(statement, self.guard.values(), prepare=False).fetchone()
        else:
            row = self._connection.execute(self._merge_statement(), self.guard.values()).fetchone()
        inserted, written, repeated = row or (0, 0, None)
        return inserted, written, repeated or ()

    def _replace(self, rows: pl.DataFrame, encoded: bytes | None) -> Written | None:
        """Delete the rows of the table that are to be replaced, and copy the new ones; None if that is not possible."""
        if rows.height < REPLACED_FROM or not self._replacing.may_be_used():
            return None
        try:
            with self._connection.transaction():
                replaced = self._replacing.write(rows, self._columns, encoded, self.guard)
        except errors.UniqueViolation:
            return None
        unchanged = rows.height - replaced.written
        inserted = replaced.written - replaced.deleted
        return Written(inserted, replaced.deleted, unchanged, unchanged, replaced.repeated)

    def _merge_statement(self, condition: sql.Composable = _ALL) -> sql.Composed:
        """SQL that merges the staged rows ``s`` of which a condition is true.

        It returns how many it inserted, wrote, and the repeated records.
        """
        names = [name for name in self._columns if name not in self._schema.key]
        repeated: sql.Composable = sql.SQL("NULL::bigint")
        if self.guard.looks_for_repeated and self._returns_old:
            repeated = sql.SQL("CASE WHEN {} THEN new.{} END").format(
                self.guard.is_repeated("old", "new"), sql.Identifier(RECORD_NO)
            )
        fresh: sql.Composable = sql.SQL("xmax = 0")
        if self._is_partitioned:  # whose rows have no system columns here
            old = sql.SQL("old.{} IS NULL").format(sql.Identifier(ROW_HASH))
            fresh = old if self._returns_old else sql.SQL("false")
        return sql.SQL(
            "WITH written AS (INSERT INTO {table} AS t ({columns}) SELECT {columns} FROM {staging} s WHERE {condition} "
            "ON CONFLICT ({key}) DO UPDATE SET {changes} WHERE {changed} "
            "RETURNING {fresh} AS fresh, {repeated} AS repeated) SELECT count(*) FILTER (WHERE fresh), count(*), "
            "array_agg(DISTINCT repeated) FILTER (WHERE repeated IS NOT NULL) FROM written"
        ).format(
            table=self._table,
            staging=_STAGING,
            condition=condition,
            columns=sql.SQL(", ").join(map(sql.Identifier, self._columns)),
            key=sql.SQL(", ").join(map(sql.Identifier, self._schema.key)),
            changes=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in names),
            changed=self.guard.changes("excluded"),
            repeated=repeated,
            fresh=fresh,
        )

    def _count_new(self, rows: pl.DataFrame) -> int:
        """Return how many of the staged rows have a key that the table lacks; no other session writes these keys."""
        query = sql.SQL("SELECT count(*) FROM {} s LEFT JOIN {} t ON {}{} WHERE t.{} IS NULL").format(
            _STAGING,
            self._table,
            same_key(self._schema, "t", "s"),
            self._pruning.condition(rows),
            sql.Identifier(ROW_HASH),
        )
        with joining_by_index(self._connection):
            row = self._connection.execute(query).fetchone()
        return int(row[0]) if row else 0

    @property
    def _returns_old(self) -> bool:
        """Whether the server can return the row that an upsert replaced; an older one must look before it."""
        return self._connection.info.server_version >= _RETURNS_OLD

    def find_repeated(self, rows: pl.DataFrame) -> tuple[int, ...]:
        """Return the numbers of the records for whose keys an earlier batch wrote other contents of the same order."""
        self._stage(rows)
        return self._find_repeated(rows)

    def _find_repeated(self, rows: pl.DataFrame) -> tuple[int, ...]:
        """Return the numbers of the staged records, as `find_repeated`."""
        query = sql.SQL("SELECT DISTINCT s.{} FROM {} s JOIN {} t ON {}{} WHERE {} AND {} ORDER BY 1").format(
            sql.Identifier(RECORD_NO),
            _STAGING,
            self._table,
            same_key(self._schema, "t", "s"),
            self._pruning.condition(rows),
            differs("s"),
            self.guard.is_repeated("t", "s"),
        )
        with joining_by_index(self._connection):
            return tuple(number for (number,) in self._connection.execute(query, self.guard.values()).fetchall())

    def _stage(self, rows: pl.DataFrame, encoded: bytes | None = None) -> None:
        """Replace the contents of the staging table with rows."""
        self._connection.execute(
            sql.SQL(
                "CREATE TEMP TABLE IF NOT EXISTS etl_staging ON COMMIT DELETE ROWS AS SELECT {} FROM {} WITH NO DATA; "
                "TRUNCATE {}"
            ).format(sql.SQL(", ").join(map(sql.Identifier, self._columns)), self._table, _STAGING)
        )
        self._send(_STAGING, rows, encoded)

    def _changing_rows(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return those staged rows whose records would change a row of the table."""
        numbers = self._connection.execute(
            sql.SQL(
                "SELECT DISTINCT s.{record} FROM {staging} s JOIN {table} t ON {match}{within} WHERE {changes}"
            ).format(
                record=sql.Identifier(RECORD_NO),
                staging=_STAGING,
                table=self._table,
                match=same_key(self._schema, "t", "s"),
                within=self._pruning.condition(rows),
                changes=self.guard.changes("s"),
            ),
            self.guard.values(),
        ).fetchall()
        return rows.filter(pl.col(RECORD_NO).is_in([record_no for (record_no,) in numbers]))

    def _refresh(self, rows: pl.DataFrame) -> None:
        """Set the hash of the current seed in rows that are equal in everything but the hash."""
        statement = sql.SQL(
            "UPDATE {table} t SET {hash} = s.{hash} FROM {staging} s WHERE {match}{within} AND t.{hash} <> s.{hash} "
            "AND ({mine}) IS NOT DISTINCT FROM ({theirs})"
        ).format(
            table=self._table,
            staging=_STAGING,
            hash=sql.Identifier(ROW_HASH),
            match=same_key(self._schema, "t", "s"),
            within=self._pruning.condition(rows),
            mine=sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(name)) for name in self._schema.names),
            theirs=sql.SQL(", ").join(sql.SQL("s.{}").format(sql.Identifier(name)) for name in self._schema.names),
        )
        self._connection.execute(statement)


def _has_no_rows(connection: Connection, table: sql.Composable) -> bool:
    row = connection.execute(sql.SQL("SELECT NOT EXISTS (SELECT FROM {})").format(table)).fetchone()
    return bool(row and row[0])
