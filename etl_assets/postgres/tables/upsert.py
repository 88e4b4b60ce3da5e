"""Rows into a table: which of them are new, which differ, and one ordered, guarded upsert.

Three ways that end in the same table: rows whose keys are all new are copied straight into it; of a re-delivery only
key and row hash are sent, and then the rows that are new or differ; and everything else goes through a staging table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from psycopg import errors, sql

from etl_assets.postgres.tables.copy import copy_in, encode, table_columns, wire_frame
from etl_assets.postgres.tables.ddl import identifier
from etl_assets.postgres.tables.reading import fetched
from etl_assets.schema import DELIVERY_ID, RECORD_NO, ROW_HASH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
_ANY_RECORD: Final = -1
_COPY_HEADER: Final = 19
_COPY_TRAILER: Final = 2


@dataclass(frozen=True)
class Written:
    """How many rows a write inserted, updated, and left as they were.

    Attributes:
        inserted: Their key was not in the table.
        updated: The table had something older.
        unchanged: The table had the same, or something newer.
        confirmed: How many of the unchanged, at most, have their contents from another delivery.
    """

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    confirmed: int = 0


@dataclass(frozen=True)
class Found:
    """What the table has of some rows.

    Attributes:
        new: Places of the rows whose key is not there.
        differing: Places of those that are there and differ.
        others: How many of the rest have their contents from another delivery, if that was asked.
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
        delivery_id: The delivery that is written.
        refresh_hashes: Whether rows of the table may carry hashes of another seed; they are brought up to date as
            they are met, so that a re-delivery is recognised again.

    Attributes:
        outranked_by: Ids of the deliveries whose rows this one must not overwrite; to be set in each transaction.
        to_be_read: When the delivery is read anew, the last record of the batch, and the records whose rows stay: other
            rows of the delivery that come from behind it are as good as gone, and will be written again if they come
            again. None otherwise.
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
        self._table = identifier(table)
        self._schema = schema
        self._delivery_id = delivery_id
        self.outranked_by: Sequence[int] = ()
        self.to_be_read: tuple[int, Sequence[int]] | None = None
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
        """Whether the next rows will probably be sent whole, so that it pays to encode them ahead."""
        return self._expect_new or self._mostly_changed

    def encode(self, rows: pl.DataFrame) -> bytes:
        """Rows as `write` sends them when it sends them whole; may be called from another thread."""
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
            encoded: The same rows from `encode`, if someone had the time.
            protect: Asked which of the rows that would be changed must stay as they are; None where nothing need be
                asked.
            reload: Whether the delivery is read again, so that most rows are unchanged because they are its own.

        Returns:
            What became of each row: inserted, updated and unchanged add up to the number of rows.
        """
        if rows.is_empty():
            return Written()
        if self._expect_new:
            if self._copied(rows, encoded):
                return Written(inserted=rows.height)
            self._expect_new = False
        if self._mostly_changed:
            return self._merge(rows, encoded, protect)
        found = self._probe(rows, others=reload)
        unchanged = rows.height - len(found.new) - len(found.differing)
        confirmed = found.others if reload else unchanged
        self._mostly_changed = len(found.differing) > rows.height // 2
        if not len(found.differing) and self._copied(rows if len(found.new) == rows.height else rows[found.new]):
            return Written(inserted=len(found.new), unchanged=unchanged, confirmed=confirmed)
        merged = self._merge(rows[np.sort(np.concatenate([found.new, found.differing]))], None, protect)
        return Written(merged.inserted, merged.updated, merged.unchanged + unchanged, merged.confirmed + confirmed)

    def _copied(self, rows: pl.DataFrame, encoded: bytes | None = None) -> bool:
        """Copy rows straight into the table; False, and nothing done, if one of their keys is there already."""
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

    def _probe(self, rows: pl.DataFrame, *, others: bool) -> Found:
        """Find out which rows are new or differ from the table's.

        Args:
            rows: As for `write`.
            others: Whether to count the unchanged rows that have their contents from another delivery.
        """
        places = pl.int_range(rows.height, dtype=pl.Int32).alias(_PLACE)
        self._fill_probe(rows.select(places, ROW_HASH, *self._schema.key))
        differs = self._differs("p")
        asked = [differs, sql.SQL("t.{} <> {}").format(sql.Identifier(DELIVERY_ID), self._delivery_id)]
        question = sql.SQL(
            "COPY (SELECT p.{place}, t.{hash} IS NULL, {differs} FROM {probe} p LEFT JOIN {table} t ON {match} "
            "WHERE {asked}) TO STDOUT (FORMAT BINARY)"
        ).format(
            place=sql.Identifier(_PLACE),
            hash=sql.Identifier(ROW_HASH),
            differs=differs,
            probe=_PROBE,
            table=self._table,
            match=self._match("p"),
            asked=sql.SQL(" OR ").join(asked) if others else differs,
        )
        answer = np.frombuffer(self._by_index(question)[_COPY_HEADER:-_COPY_TRAILER], _PROBE_ANSWER)
        place, new, differing = answer["place"].astype(np.int64), answer["new"] > 0, answer["differs"] > 0
        return Found(np.sort(place[new]), np.sort(place[differing & ~new]), int(np.count_nonzero(~differing & ~new)))

    def _fill_probe(self, frame: pl.DataFrame) -> None:
        """Put place, hash and key of rows, in this order, into the probe, in the place of what it held."""
        self._connection.execute(sql.SQL("TRUNCATE {}").format(_PROBE))
        data = encode(wire_frame(frame, self._schema))
        copy_in(self._connection, _PROBE, (_PLACE, ROW_HASH, *self._schema.key), data)

    def _by_index(self, question: sql.Composed) -> bytes:
        """The answer to a COPY, each row looked up in the table's index: what it costs depends on the batch alone.

        Left to itself the planner reads the whole table for each batch, which took twice the time at five batches a
        table, and grows with the table.
        """
        for join in ("enable_hashjoin", "enable_mergejoin"):
            self._connection.execute(sql.SQL("SET LOCAL {} = off").format(sql.SQL(join)))
        with self._connection.cursor() as cursor, cursor.copy(question) as copy:
            answer = b"".join(bytes(part) for part in copy)
        for join in ("enable_hashjoin", "enable_mergejoin"):
            self._connection.execute(sql.SQL("SET LOCAL {} TO DEFAULT").format(sql.SQL(join)))
        return answer

    def _merge(self, rows: pl.DataFrame, encoded: bytes | None, protect: Protect | None) -> Written:
        """Write rows through the staging table.

        It is scanned in the order in which it was filled, which is that of the key, so that writers of overlapping keys
        meet them in one order and do not deadlock; sorting it again would cost a fifth of the merge.
        """
        self._stage(rows, encoded)
        if self._refresh_hashes:
            self._refresh()
        if protect is not None and (at_stake := self._at_stake(rows)).height:
            protected = protect(at_stake)
            if protected.height:
                self._stage(rows.join(protected, on=self._schema.key, how="anti", maintain_order="left"))
        names = [name for name in self._columns if name not in self._schema.key]
        statement = sql.SQL(
            "WITH written AS (INSERT INTO {table} AS t ({columns}) SELECT {columns} FROM {staging} "
            "ON CONFLICT ({key}) DO UPDATE SET {changes} WHERE {changed} "
            "RETURNING xmax = 0 AS fresh) SELECT count(*) FILTER (WHERE fresh), count(*) FROM written"
        ).format(
            table=self._table,
            staging=_STAGING,
            columns=sql.SQL(", ").join(map(sql.Identifier, self._columns)),
            key=sql.SQL(", ").join(map(sql.Identifier, self._schema.key)),
            changes=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in names),
            changed=self._changes("excluded"),
        )
        row = self._connection.execute(statement, self._guard_values()).fetchone()
        inserted, written = row or (0, 0)
        unchanged = rows.height - written
        return Written(inserted, written - inserted, unchanged, unchanged)

    def _stage(self, rows: pl.DataFrame, encoded: bytes | None = None) -> None:
        """Put rows into the staging table, in the place of what it held."""
        self._connection.execute(sql.SQL("TRUNCATE {}").format(_STAGING))
        self._send(_STAGING, rows, encoded)

    def _at_stake(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Of staged rows, those of the records that would change a row of the table."""
        found = self._connection.execute(
            sql.SQL("SELECT DISTINCT s.{record} FROM {staging} s JOIN {table} t ON {match} WHERE {changes}").format(
                record=sql.Identifier(RECORD_NO),
                staging=_STAGING,
                table=self._table,
                match=self._match("s"),
                changes=self._changes("s"),
            ),
            self._guard_values(),
        ).fetchall()
        return rows.filter(pl.col(RECORD_NO).is_in([record_no for (record_no,) in found]))

    def remove_unproduced(
        self, produced: pl.DataFrame, records: tuple[int, int], *, spare: Sequence[int], protect: Protect | None
    ) -> int:
        """Delete rows that records of the delivery once yielded and, reloaded, no longer do.

        Args:
            produced: Every row that the records yield now: the key's columns and ``RECORD_NO``.
            records: The first and the last record that is reloaded.
            spare: Records whose rows stay whatever they yield.
            protect: Asked which of the rows that would be deleted must stay; None where nothing need be asked.

        Returns:
            How many rows were deleted.
        """
        mark = pl.col(RECORD_NO).alias(ROW_HASH)
        kept = produced.select(pl.lit(0, dtype=pl.Int32).alias(_PLACE), mark, *self._schema.key)
        self._fill_probe(kept)
        values = {"delivery": self._delivery_id, "first": records[0], "last": records[1], "spare": list(spare)}
        if protect is not None and (doomed := self._doomed(values)).height:
            stays = protect(doomed).select(
                pl.lit(0, dtype=pl.Int32).alias(_PLACE),
                pl.lit(_ANY_RECORD, dtype=pl.Int64).alias(ROW_HASH),
                *self._schema.key,
            )
            self._fill_probe(pl.concat([kept, stays]))
        statement = sql.SQL("DELETE FROM {} t WHERE {}").format(self._table, self._unproduced())
        return self._connection.execute(statement, values).rowcount

    def _doomed(self, values: Mapping[str, object]) -> pl.DataFrame:
        """The rows that would be deleted: the key's columns, the order column if there is one, and the record."""
        order = self._schema.order_by
        names = tuple(dict.fromkeys((*self._schema.key, *((order,) if order else ()), RECORD_NO)))
        statement = sql.SQL("SELECT {} FROM {} t WHERE {}").format(
            sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(name)) for name in names),
            self._table,
            self._unproduced(),
        )
        return fetched(self._connection, statement, values, names, self._schema)

    def _unproduced(self) -> sql.Composable:
        """The condition that a row of the table, ``t``, comes from a reloaded record that does not yield it."""
        return sql.SQL(
            "t.{delivery} = %(delivery)s AND t.{record} BETWEEN %(first)s AND %(last)s "
            "AND t.{record} <> ALL (%(spare)s::bigint[]) AND NOT EXISTS (SELECT FROM {probe} p WHERE {match} "
            "AND p.{mark} IN (t.{record}, {any}))"
        ).format(
            delivery=sql.Identifier(DELIVERY_ID),
            record=sql.Identifier(RECORD_NO),
            probe=_PROBE,
            match=self._match("p"),
            mark=sql.Identifier(ROW_HASH),
            any=_ANY_RECORD,
        )

    def _changes(self, new: str) -> sql.Composable:
        """The condition under which a new row is written over the row of the table, ``t``, that has its key."""
        return sql.SQL("{} AND {}").format(self._differs(new), self._guard(sql.SQL(new)))

    def _differs(self, other: str) -> sql.Composable:
        """The condition that a row of the table, ``t``, is missing or is not what another is."""
        return sql.SQL("t.{0} IS DISTINCT FROM {1}.{0}").format(sql.Identifier(ROW_HASH), sql.SQL(other))

    def _match(self, other: str) -> sql.Composable:
        """The condition that a row of the table, ``t``, and one of another have the same key."""
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
        if self.to_be_read is None:
            return sequence
        return sql.SQL(
            "({sequence} OR (t.{delivery} = %(delivery_id)s AND t.{record} > %(last)s "
            "AND t.{record} <> ALL (%(spare)s::bigint[])))"
        ).format(sequence=sequence, delivery=sql.Identifier(DELIVERY_ID), record=sql.Identifier(RECORD_NO))

    def _guard_values(self) -> dict[str, object]:
        last, spare = self.to_be_read or (0, ())
        return {
            "outranked_by": list(self.outranked_by),
            "delivery_id": self._delivery_id,
            "last": last,
            "spare": list(spare),
        }

    def _refresh(self) -> None:
        """Give rows that are equal in all but the hash the hash of today's seed."""
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
