"""Writes rows into a table: finds which are new and which differ, and merges them by one ordered, guarded upsert.

There are three ways, with the same result. Rows whose keys are all new are copied straight into the table. For rows
that were delivered before, only key and row hash are sent first, then the rows that are new or differ. All other rows
go through a staging table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from psycopg import errors, sql

from etl_assets.postgres.connection import planned_without
from etl_assets.postgres.tables.copy import copy_in, encode, table_columns, wire_frame
from etl_assets.postgres.tables.names import identifier
from etl_assets.postgres.tables.reloading import hand_over
from etl_assets.schema import DELIVERY_ID, RECORD_NO, ROW_HASH

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Schema

    Protect = Callable[[pl.DataFrame], pl.DataFrame]

_STAGING: Final = sql.Identifier("pg_temp", "etl_staging")
_PROBE: Final = sql.Identifier("pg_temp", "etl_probe")
_PLACE: Final = "etl_place"
_PROBE_ANSWER: Final = np.dtype(
    [
        *(("fields", ">i2"), ("l1", ">i4"), ("place", ">i4")),
        *(("l2", ">i4"), ("new", "u1"), ("l3", ">i4"), ("differs", "u1")),
    ]
)
_RETURNS_OLD: Final = 180_000
"""The first version of the server whose RETURNING has the old row."""
_COPY_HEADER: Final = 19
_COPY_TRAILER: Final = 2


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
    """

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    confirmed: int = 0
    repeated: tuple[int, ...] = ()


@dataclass(frozen=True)
class ProbeResult:
    """The result of a probe: how some rows compare with the table.

    Attributes:
        new: Places of the rows whose key is not in the table.
        differing: Places of the rows whose key is in the table with other contents.
        others: How many of the other rows have their contents from another delivery, if the probe counted them.
    """

    new: np.ndarray
    differing: np.ndarray
    others: int


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
        outranked_by: Ids of the deliveries whose rows this one must not overwrite; to be set in each transaction.
        pending_reload: If the delivery is reloaded: the last record of the batch. Rows of the delivery from later
            records may be overwritten: later batches write them again if the records still yield them. None otherwise.
        earlier_than: Rows of the delivery from records before this one are of earlier batches; None for the first.
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
        self.outranked_by: Sequence[int] = ()
        self.pending_reload: int | None = None
        self.earlier_than: int | None = None
        self._refresh_hashes = refresh_hashes
        self._columns = table_columns(schema)
        self._expect_new = False
        self._mostly_changed = False
        self._prepare()

    def _prepare(self) -> None:
        key = sql.SQL(", ").join(map(sql.Identifier, self._schema.key))
        run = self._connection.execute
        run(sql.SQL("DROP TABLE IF EXISTS {}, {}").format(_STAGING, _PROBE))
        run(
            sql.SQL("CREATE TEMP TABLE etl_staging ON COMMIT DELETE ROWS AS SELECT {} FROM {} WITH NO DATA").format(
                sql.SQL(", ").join(map(sql.Identifier, self._columns)), self._table
            )
        )
        run(
            sql.SQL(
                "CREATE TEMP TABLE etl_probe ON COMMIT DELETE ROWS AS SELECT 0::integer AS {}, {}, {} FROM {} "
                "WITH NO DATA"
            ).format(sql.Identifier(_PLACE), sql.Identifier(ROW_HASH), key, self._table)
        )
        self._expect_new = _has_no_rows(self._connection, self._table)

    @property
    def sends_everything(self) -> bool:
        """Whether the next rows will probably all be sent, so that it is worth encoding them ahead."""
        return self._expect_new or self._mostly_changed

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
    ) -> Written:
        """Write rows inside the caller's transaction.

        Args:
            rows: The schema's columns, typed, and the bookkeeping ones; no key twice; sorted by key.
            encoded: The same rows from `encode`, if they were encoded ahead.
            protect: Returns which of the rows that would be changed have newer records: their keys, and the bookkeeping
                columns of these records. Such a row keeps its contents, and gets the mark of a record that has the
                same. None if no row needs this.
            reload: Whether the delivery is reloaded, so that most rows are unchanged because they are its own.

        Returns:
            The counts: inserted, updated and unchanged add up to the number of rows.
        """
        if rows.is_empty():
            return Written()
        if self._expect_new:
            if self._copy_if_new(rows, encoded):
                return Written(inserted=rows.height)
            self._expect_new = False
        if self._mostly_changed:
            return self._merge(rows, encoded, protect)
        probe = self._probe(rows, others=reload)
        unchanged = rows.height - len(probe.new) - len(probe.differing)
        confirmed = probe.others if reload else unchanged
        self._mostly_changed = len(probe.differing) > rows.height // 2
        if not len(probe.differing) and self._copy_if_new(rows if len(probe.new) == rows.height else rows[probe.new]):
            return Written(inserted=len(probe.new), unchanged=unchanged, confirmed=confirmed)
        merged = self._merge(rows[np.sort(np.concatenate([probe.new, probe.differing]))], None, protect)
        return replace(merged, unchanged=merged.unchanged + unchanged, confirmed=merged.confirmed + confirmed)

    def _copy_if_new(self, rows: pl.DataFrame, encoded: bytes | None = None) -> bool:
        """Copy rows straight into the table; return False and copy nothing if one of their keys exists."""
        if rows.is_empty():
            return True
        try:
            with self._connection.transaction():
                self._send(self._table, rows, encoded)
        except errors.UniqueViolation as error:
            if error.diag.constraint_name is None or not self._is_key(error.diag.constraint_name):
                raise
            return False
        return True

    def _is_key(self, constraint: str) -> bool:
        row = self._connection.execute(
            "SELECT contype = 'p' FROM pg_constraint WHERE conname = %s AND conrelid = %s::regclass",
            (constraint, self._table.as_string(self._connection)),
        ).fetchone()
        return bool(row and row[0])

    def _send(self, table: sql.Composable, rows: pl.DataFrame, encoded: bytes | None) -> None:
        copy_in(self._connection, table, self._columns, self.encode(rows) if encoded is None else encoded)

    def _probe(self, rows: pl.DataFrame, *, others: bool) -> ProbeResult:
        """Find which rows are new or differ from those of the table.

        Args:
            rows: As for `write`.
            others: Whether to count the unchanged rows that have their contents from another delivery.
        """
        places = pl.int_range(rows.height, dtype=pl.Int32).alias(_PLACE)
        self._fill_probe(rows.select(places, ROW_HASH, *self._schema.key))
        differs = self._differs("p")
        conditions = [differs, sql.SQL("t.{} <> {}").format(sql.Identifier(DELIVERY_ID), self._delivery_id)]
        query = sql.SQL(
            "COPY (SELECT p.{place}, t.{hash} IS NULL, {differs} FROM {probe} p LEFT JOIN {table} t ON {match} "
            "WHERE {conditions}) TO STDOUT (FORMAT BINARY)"
        ).format(
            place=sql.Identifier(_PLACE),
            hash=sql.Identifier(ROW_HASH),
            differs=differs,
            probe=_PROBE,
            table=self._table,
            match=self._match("p"),
            conditions=sql.SQL(" OR ").join(conditions) if others else differs,
        )
        answer = np.frombuffer(self._read_by_index(query)[_COPY_HEADER:-_COPY_TRAILER], _PROBE_ANSWER)
        place, new, differing = answer["place"].astype(np.int64), answer["new"] > 0, answer["differs"] > 0
        return ProbeResult(
            np.sort(place[new]), np.sort(place[differing & ~new]), int(np.count_nonzero(~differing & ~new))
        )

    def _fill_probe(self, frame: pl.DataFrame) -> None:
        """Replace the contents of the probe with the place, hash and key, in this order, of some rows."""
        self._connection.execute(sql.SQL("TRUNCATE {}").format(_PROBE))
        data = encode(wire_frame(frame, self._schema))
        copy_in(self._connection, _PROBE, (_PLACE, ROW_HASH, *self._schema.key), data)

    def _read_by_index(self, query: sql.Composed) -> bytes:
        """Return the result of a COPY that looks each row up in the table's index: its cost depends only on the batch.

        By default, the planner reads the whole table for each batch. That took twice the time for a table of five
        batches, and the time grows with the table.
        """
        with (
            planned_without(self._connection, "hashjoin", "mergejoin"),
            self._connection.cursor() as cursor,
            cursor.copy(query) as copy,
        ):
            return b"".join(bytes(part) for part in copy)

    def _merge(self, rows: pl.DataFrame, encoded: bytes | None, protect: Protect | None) -> Written:
        """Write rows through the staging table.

        Postgres scans it in the order in which it was filled, which is the order of the key. So writers of overlapping
        keys lock them in the same order and do not deadlock. Sorting again would take a fifth of the time of the merge.
        """
        self._stage(rows, encoded)
        if self._refresh_hashes:
            self._refresh()
        if protect is not None and (changing := self._changing_rows(rows)).height:
            protected = protect(changing)
            if protected.height:
                hand_over(self._connection, self._name, self._schema, protected)
                self._stage(rows.join(protected, on=self._schema.key, how="anti", maintain_order="left"))
        before_merge = self._find_repeated() if self._looks_for_repeated and not self._returns_old else ()
        row = self._connection.execute(self._merge_statement(), self._guard_values()).fetchone()
        inserted, written, repeated = row or (0, 0, None)
        unchanged = rows.height - written
        return Written(inserted, written - inserted, unchanged, unchanged, (*before_merge, *(repeated or ())))

    def _merge_statement(self) -> sql.Composed:
        """SQL that merges the staged rows; returns how many it inserted, wrote, and the repeated records."""
        names = [name for name in self._columns if name not in self._schema.key]
        repeated: sql.Composable = sql.SQL("NULL::bigint")
        if self._looks_for_repeated and self._returns_old:
            repeated = sql.SQL("CASE WHEN {} THEN new.{} END").format(
                self._is_repeated("old", "new"), sql.Identifier(RECORD_NO)
            )
        return sql.SQL(
            "WITH written AS (INSERT INTO {table} AS t ({columns}) SELECT {columns} FROM {staging} "
            "ON CONFLICT ({key}) DO UPDATE SET {changes} WHERE {changed} "
            "RETURNING xmax = 0 AS fresh, {repeated} AS repeated) SELECT count(*) FILTER (WHERE fresh), count(*), "
            "array_agg(DISTINCT repeated) FILTER (WHERE repeated IS NOT NULL) FROM written"
        ).format(
            table=self._table,
            staging=_STAGING,
            columns=sql.SQL(", ").join(map(sql.Identifier, self._columns)),
            key=sql.SQL(", ").join(map(sql.Identifier, self._schema.key)),
            changes=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in names),
            changed=self._changes("excluded"),
            repeated=repeated,
        )

    @property
    def _looks_for_repeated(self) -> bool:
        return self.earlier_than is not None and self._schema.repeated_keys == "report"

    @property
    def _returns_old(self) -> bool:
        """Whether the server can return the row that an upsert replaced; an older one must look before it."""
        return self._connection.info.server_version >= _RETURNS_OLD

    def find_repeated(self, rows: pl.DataFrame) -> tuple[int, ...]:
        """Return the numbers of the records for whose keys an earlier batch wrote other contents of the same order."""
        self._stage(rows)
        return self._find_repeated()

    def _find_repeated(self) -> tuple[int, ...]:
        """Return the numbers of the staged records, as `find_repeated`."""
        query = sql.SQL("SELECT DISTINCT s.{} FROM {} s JOIN {} t ON {} WHERE {} AND {} ORDER BY 1").format(
            sql.Identifier(RECORD_NO),
            _STAGING,
            self._table,
            self._match("s"),
            self._differs("s"),
            self._is_repeated("t", "s"),
        )
        with planned_without(self._connection, "hashjoin", "mergejoin"):
            return tuple(number for (number,) in self._connection.execute(query, self._guard_values()).fetchall())

    def _is_repeated(self, old: str, new: str) -> sql.Composable:
        """The condition that a row is of an earlier batch of the delivery, and not of an older order than a new one."""
        condition = sql.SQL(
            "{old}.{delivery} = %(delivery_id)s AND {old}.{record} < least(%(earlier_than)s, {new}.{record})"
        ).format(
            old=sql.SQL(old),
            new=sql.SQL(new),
            delivery=sql.Identifier(DELIVERY_ID),
            record=sql.Identifier(RECORD_NO),
        )
        if self._schema.order_by is None:
            return condition
        same_order = sql.SQL("{0}.{2} = {1}.{2}")
        order = sql.Identifier(self._schema.order_by)
        return sql.SQL(" AND ").join([condition, same_order.format(sql.SQL(old), sql.SQL(new), order)])

    def _stage(self, rows: pl.DataFrame, encoded: bytes | None = None) -> None:
        """Replace the contents of the staging table with rows."""
        self._connection.execute(sql.SQL("TRUNCATE {}").format(_STAGING))
        self._send(_STAGING, rows, encoded)

    def _changing_rows(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return those staged rows whose records would change a row of the table."""
        numbers = self._connection.execute(
            sql.SQL("SELECT DISTINCT s.{record} FROM {staging} s JOIN {table} t ON {match} WHERE {changes}").format(
                record=sql.Identifier(RECORD_NO),
                staging=_STAGING,
                table=self._table,
                match=self._match("s"),
                changes=self._changes("s"),
            ),
            self._guard_values(),
        ).fetchall()
        return rows.filter(pl.col(RECORD_NO).is_in([record_no for (record_no,) in numbers]))

    def _changes(self, new: str) -> sql.Composable:
        """The condition under which a new row is written over the row of the table, ``t``, that has its key."""
        return sql.SQL("{} AND {}").format(self._differs(new), self._guard(sql.SQL(new)))

    def _differs(self, other: str) -> sql.Composable:
        """The condition that a row of the table, ``t``, is missing or has another hash than the other row."""
        return sql.SQL("t.{0} IS DISTINCT FROM {1}.{0}").format(sql.Identifier(ROW_HASH), sql.SQL(other))

    def _match(self, other: str) -> sql.Composable:
        """The condition that a row of the table, ``t``, and a row of another table have the same key."""
        return sql.SQL(" AND ").join(
            sql.SQL("t.{0} = {1}.{0}").format(sql.Identifier(name), sql.SQL(other)) for name in self._schema.key
        )

    def _guard(self, new: sql.Composable) -> sql.Composable:
        """The condition under which a row of the table, ``t``, is older than a new one."""
        sequence = sql.SQL(
            "t.{delivery} <> ALL (%(outranked_by)s::bigint[]) "
            "AND (t.{delivery} <> %(delivery_id)s OR t.{record} <= {new}.{record})"
        ).format(delivery=sql.Identifier(DELIVERY_ID), record=sql.Identifier(RECORD_NO), new=new)
        if self._schema.order_by is not None:
            sequence = sql.SQL("(t.{order} < {new}.{order} OR (t.{order} = {new}.{order} AND {sequence}))").format(
                order=sql.Identifier(self._schema.order_by), new=new, sequence=sequence
            )
        if self.pending_reload is None:
            return sequence
        return sql.SQL("({sequence} OR (t.{delivery} = %(delivery_id)s AND t.{record} > %(last)s))").format(
            sequence=sequence, delivery=sql.Identifier(DELIVERY_ID), record=sql.Identifier(RECORD_NO)
        )

    def _guard_values(self) -> dict[str, object]:
        return {
            "outranked_by": list(self.outranked_by),
            "delivery_id": self._delivery_id,
            "last": self.pending_reload,
            "earlier_than": self.earlier_than,
        }

    def _refresh(self) -> None:
        """Set the hash of the current seed in rows that are equal in everything but the hash."""
        statement = sql.SQL(
            "UPDATE {table} t SET {hash} = s.{hash} FROM {staging} s WHERE {match} AND t.{hash} <> s.{hash} "
            "AND ({mine}) IS NOT DISTINCT FROM ({theirs})"
        ).format(
            table=self._table,
            staging=_STAGING,
            hash=sql.Identifier(ROW_HASH),
            match=self._match("s"),
            mine=sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(name)) for name in self._schema.names),
            theirs=sql.SQL(", ").join(sql.SQL("s.{}").format(sql.Identifier(name)) for name in self._schema.names),
        )
        self._connection.execute(statement)


def _has_no_rows(connection: Connection, table: sql.Composable) -> bool:
    row = connection.execute(sql.SQL("SELECT NOT EXISTS (SELECT FROM {})").format(table)).fetchone()
    return bool(row and row[0])
