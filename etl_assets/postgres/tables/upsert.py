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

from etl_assets.model.schema import DELIVERY_ID, RECORD_NO, ROW_HASH
from etl_assets.postgres.tables.copy import copy_in, encode, table_columns, wire_frame
from etl_assets.postgres.tables.ddl import exists, identifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.model.schema import Schema
    from etl_assets.postgres.connection import Connection

_STAGING: Final = sql.Identifier("pg_temp", "etl_staging")
_PROBE: Final = sql.Identifier("pg_temp", "etl_probe")
_PLACE: Final = "etl_place"
_PROBE_ANSWER: Final = np.dtype([("fields", ">i2"), ("l1", ">i4"), ("place", ">i4"), ("l2", ">i4"), ("new", "u1")])
_ANY_RECORD: Final = -1
_COPY_HEADER: Final = 19
_COPY_TRAILER: Final = 2


@dataclass(frozen=True)
class Written:
    """How many rows a write inserted, updated, and left as they were."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0


class TableWriter:
    """Writes the rows of one delivery into one table.

    Args:
        connection: Of the load; its temporary tables belong to this writer alone.
        table: ``schema.table``.
        schema: Of the table.
        delivery_id: The delivery that is written.
        shared: Whether other loaders write records of the same delivery at the same time. A row that one of them wrote
            is then given the mark of the later record even where nothing else differs, so that records between the
            two cannot come over it.
        refresh_hashes: Whether rows of the table may carry hashes of another seed; they are brought up to date as
            they are met, so that a re-delivery is recognised again.

    Attributes:
        outranked_by: Ids of the deliveries whose rows this one must not overwrite; to be set in each transaction.
        shared: As given.
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
        shared: bool = False,
        refresh_hashes: bool = False,
    ) -> None:
        self._connection = connection
        self._table = identifier(table)
        self._schema = schema
        self._delivery_id = delivery_id
        self.outranked_by: Sequence[int] = ()
        self.shared = shared
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

    def write(self, rows: pl.DataFrame, encoded: bytes | None = None) -> Written:
        """Write rows inside the caller's transaction.

        Args:
            rows: The schema's columns, typed, and the bookkeeping ones; no key twice; sorted by key.
            encoded: The same rows from `encode`, if someone had the time.

        Returns:
            What became of each row: the three counts add up to the number of rows.
        """
        if rows.is_empty():
            return Written()
        if self._expect_new:
            if self._copied(rows, encoded):
                return Written(inserted=rows.height)
            self._expect_new = False
        if self._mostly_changed:
            return self._merge(rows, encoded)
        new, differing = self._probe(rows)
        unchanged = rows.height - len(new) - len(differing)
        self._mostly_changed = len(differing) > rows.height // 2
        if not len(differing) and self._copied(rows if len(new) == rows.height else rows[new]):
            return Written(inserted=len(new), unchanged=unchanged)
        merged = self._merge(rows[np.sort(np.concatenate([new, differing]))])
        return Written(merged.inserted, merged.updated, merged.unchanged + unchanged)

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

    def _probe(self, rows: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Places of the rows whose key is not in the table, and of those whose hash differs there."""
        columns = (_PLACE, ROW_HASH, *self._schema.key)
        places = pl.int_range(rows.height, dtype=pl.Int32).alias(_PLACE)
        frame = wire_frame(rows.select(places, ROW_HASH, *self._schema.key), self._schema)
        self._connection.execute(sql.SQL("TRUNCATE {}").format(_PROBE))
        copy_in(self._connection, _PROBE, columns, encode(frame))
        question = sql.SQL(
            "COPY (SELECT p.{place}, t.{hash} IS NULL FROM {probe} p LEFT JOIN {table} t ON {match} "
            "WHERE {differs}) TO STDOUT (FORMAT BINARY)"
        ).format(
            place=sql.Identifier(_PLACE),
            hash=sql.Identifier(ROW_HASH),
            probe=_PROBE,
            table=self._table,
            match=self._match("p"),
            differs=self._differs("p"),
        )
        answer = self._by_index(question)
        found = np.frombuffer(answer[_COPY_HEADER:-_COPY_TRAILER], _PROBE_ANSWER)
        new = found["new"].astype(bool)
        places_found = found["place"].astype(np.int64)
        return np.sort(places_found[new]), np.sort(places_found[~new])

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

    def _merge(self, rows: pl.DataFrame, encoded: bytes | None = None) -> Written:
        """Write rows through the staging table.

        It is scanned in the order in which it was filled, which is that of the key, so that writers of overlapping keys
        meet them in one order and do not deadlock; sorting it again would cost a fifth of the merge.
        """
        self._connection.execute(sql.SQL("TRUNCATE {}").format(_STAGING))
        self._send(_STAGING, rows, encoded)
        if self._refresh_hashes:
            self._refresh()
        names = [name for name in self._columns if name not in self._schema.key]
        statement = sql.SQL(
            "WITH written AS (INSERT INTO {table} AS t ({columns}) SELECT {columns} FROM {staging} "
            "ON CONFLICT ({key}) DO UPDATE SET {changes} WHERE {differs} AND {guard} "
            "RETURNING xmax = 0 AS fresh) SELECT count(*) FILTER (WHERE fresh), count(*) FROM written"
        ).format(
            table=self._table,
            staging=_STAGING,
            columns=sql.SQL(", ").join(map(sql.Identifier, self._columns)),
            key=sql.SQL(", ").join(map(sql.Identifier, self._schema.key)),
            changes=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in names),
            differs=self._differs("excluded"),
            guard=self._guard(sql.SQL("excluded")),
        )
        row = self._connection.execute(statement, self._guard_values()).fetchone()
        inserted, written = row or (0, 0)
        return Written(inserted, written - inserted, rows.height - written)

    def remove_unproduced(
        self,
        produced: pl.DataFrame,
        first_record: int,
        last_record: int,
        spare: Sequence[int],
        confirmed: pl.DataFrame | None,
    ) -> int:
        """Delete rows that records of the delivery once yielded and, read anew, no longer do.

        Args:
            produced: Every row that the records yield now: the key's columns and ``RECORD_NO``.
            first_record: First record read anew.
            last_record: Last record read anew.
            spare: Records whose rows stay whatever they yield.
            confirmed: Keys of rows that stay because something newer has confirmed them; None for no such.

        Returns:
            How many rows were deleted.
        """
        marked = [produced.select(pl.col(RECORD_NO).alias(ROW_HASH), *self._schema.key)]
        if confirmed is not None:
            marked.append(confirmed.select(pl.lit(_ANY_RECORD, dtype=pl.Int64).alias(ROW_HASH), *self._schema.key))
        columns = (_PLACE, ROW_HASH, *self._schema.key)
        frame = pl.concat(marked).select(pl.lit(0, dtype=pl.Int32).alias(_PLACE), pl.all())
        self._connection.execute(sql.SQL("TRUNCATE {}").format(_PROBE))
        copy_in(self._connection, _PROBE, columns, encode(wire_frame(frame, self._schema)))
        statement = sql.SQL(
            "DELETE FROM {table} t WHERE t.{delivery} = %(delivery)s AND t.{record} BETWEEN %(first)s AND %(last)s "
            "AND t.{record} <> ALL (%(spare)s::bigint[]) AND NOT EXISTS (SELECT FROM {probe} p WHERE {match} "
            "AND p.{mark} IN (t.{record}, %(any)s))"
        ).format(
            table=self._table,
            delivery=sql.Identifier(DELIVERY_ID),
            record=sql.Identifier(RECORD_NO),
            probe=_PROBE,
            match=self._match("p"),
            mark=sql.Identifier(ROW_HASH),
        )
        values = {
            "delivery": self._delivery_id,
            "first": first_record,
            "last": last_record,
            "spare": list(spare),
            "any": _ANY_RECORD,
        }
        return self._connection.execute(statement, values).rowcount

    def _differs(self, other: str) -> sql.Composable:
        """The condition that a row of the table, ``t``, is missing or is not what another is."""
        differs = sql.SQL("t.{0} IS DISTINCT FROM {1}.{0}").format(sql.Identifier(ROW_HASH), sql.SQL(other))
        if not self.shared:
            return differs
        own = sql.SQL("t.{} = {}").format(sql.Identifier(DELIVERY_ID), sql.Literal(self._delivery_id))
        return sql.SQL("({} OR {})").format(differs, own)

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


def is_empty(connection: Connection, table: str) -> bool:
    """Whether a table has no rows, or is not there.

    Args:
        connection: To the warehouse.
        table: ``schema.table``.
    """
    return not exists(connection, table) or _has_no_rows(connection, identifier(table))


def _has_no_rows(connection: Connection, table: sql.Composable) -> bool:
    row = connection.execute(sql.SQL("SELECT NOT EXISTS (SELECT FROM {})").format(table)).fetchone()
    return bool(row and row[0])
