"""Compares a table that was built again with the one in use, row by row, in the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from psycopg import sql

from etl_assets.postgres.tables.beside import OF_DELIVERIES
from etl_assets.postgres.tables.ddl import columns_of
from etl_assets.postgres.tables.names import identifier
from etl_assets.schema import DELIVERY_ID, RECORD_NO, ROW_HASH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.tables.ddl import Extension
    from etl_assets.schema import Schema

Kind = Literal["missing", "extra", "contents", "times", "hash", "mark"]
"""A row is missing from the table in use, or only there, or has other contents, times, row hash or mark.

Times are what the write mode keeps of a row besides: from when to when a version is valid, when a row was marked.
"""
_PLACE: Final = "#place"


@dataclass(frozen=True)
class Pair:
    """What a row, or rows of the same two deliveries, differ in.

    Attributes:
        kind: How they differ.
        live: The delivery that gave the row in use its contents; None if the row is missing.
        new: The same of the row that was built.
        same_hash: Whether both rows have the same row hash.
        same_record: Whether both rows are of the same record.
    """

    kind: Kind
    live: int | None
    new: int | None
    same_hash: bool
    same_record: bool


@dataclass(frozen=True)
class Example:
    """A row that differs: its key, or its delivery and record, as texts; and the columns that differ."""

    pair: Pair
    key: tuple[str, ...]
    columns: tuple[str, ...]


class TableDifference:
    """Compares two tables. Rows belong together by their key, or else by the record that gave them their contents.

    Args:
        connection: In a transaction with one snapshot.
        live: ``schema.table`` in use.
        new: ``schema.table`` that was built, whose rows are marked with copies of deliveries.
        schema: Of the new table.
        extension: What the new table has besides.
        former_key: The key of the table in use.
        offset: What the ids of deliveries in the new table are greater by.
        hashes: Whether row hashes of both tables can be compared.

    Attributes:
        key: The columns by which rows belong together; none if they do by their record.
        columns: The columns that are compared.
        times: The further columns of the write mode that are compared.
        left_out: The declared columns that the table in use lacks, or has with another type.
        declared_key: The key of the new table.
        former_key: The key of the table in use.
    """

    def __init__(
        self,
        connection: Connection,
        live: str,
        new: str,
        schema: Schema,
        extension: Extension,
        former_key: tuple[str, ...],
        *,
        offset: int,
        hashes: bool,
    ) -> None:
        self._connection = connection
        self._live, self._new = live, new
        types, built = columns_of(connection, live), columns_of(connection, new)
        self.columns = tuple(name for name in schema.names if name in types and types[name] == built.get(name))
        self.times = tuple(name for name in extension.columns if name in types and types[name] == built.get(name))
        declared = (*schema.names, *extension.columns)
        self.left_out = tuple(name for name in declared if name not in {*self.columns, *self.times})
        self.former_key = former_key
        self.declared_key = (*schema.key, *extension.key)
        is_there = set(self.declared_key) <= {*self.columns, *self.times, DELIVERY_ID}
        self.key = self.declared_key if former_key == self.declared_key and is_there else ()
        self._offset = offset
        self._hashes = hashes and not set(schema.names) & set(self.left_out)

    def count(self) -> tuple[int, list[tuple[Pair, int]]]:
        """Return how many rows are equal, and how many differ in each way."""
        query = sql.SQL("SELECT kind, live, new, same_hash, same_record, count(*) FROM ({}) p GROUP BY 1, 2, 3, 4, 5")
        rows = self._connection.execute(query.format(self._pairs(())), {"offset": self._offset}).fetchall()
        equal = sum(number for kind, *_, number in rows if kind is None)
        return equal, [(Pair(*row[:5]), row[5]) for row in rows if row[0] is not None]

    def examples(self, limit: int, without: Sequence[Kind] = ()) -> list[Example]:
        """Return the first rows that differ.

        Args:
            limit: How many at most.
            without: Kinds to leave out.
        """
        names = self.key or (DELIVERY_ID, RECORD_NO)
        query = sql.SQL(
            "SELECT kind, live, new, same_hash, same_record, key, differing FROM ({}) p WHERE kind IS NOT NULL "
            "AND kind <> ALL (%(without)s) ORDER BY key, kind LIMIT %(limit)s"
        )
        values = {"offset": self._offset, "limit": limit, "without": list(without)}
        rows = self._connection.execute(query.format(self._pairs(names)), values).fetchall()
        return [Example(Pair(*row[:5]), tuple(row[5]), tuple(row[6])) for row in rows]

    def marks(self, delivery_id: int) -> list[tuple[int, int, tuple[str, ...]]]:
        """Return the rows that are equal but for their mark, which names a delivery: record, row hash and key."""
        query = sql.SQL("SELECT record, hash, key FROM ({}) p WHERE kind = 'mark' AND live = %(live)s")
        values = {"offset": self._offset, "live": delivery_id}
        rows = self._connection.execute(query.format(self._pairs(self.key)), values).fetchall()
        return [(record, hash_, tuple(key)) for record, hash_, key in rows]

    def _pairs(self, shown: Sequence[str]) -> sql.Composed:
        """Return a query for every pair of rows; ``kind`` is null if they are equal."""
        mark, record, hash_ = map(sql.Identifier, (DELIVERY_ID, RECORD_NO, ROW_HASH))
        together = self.key or (DELIVERY_ID, RECORD_NO, _PLACE)
        differing = sql.SQL("array_remove(ARRAY[{}]::text[], NULL)").format(
            sql.SQL(", ").join(
                sql.SQL("CASE WHEN l.{0} IS DISTINCT FROM n.{0} THEN {1} END").format(
                    sql.Identifier(name), sql.Literal(name)
                )
                for name in (*self.columns, *self.times)
            )
        )
        return sql.SQL(
            "SELECT CASE WHEN l.{mark} IS NULL THEN 'missing' WHEN n.{mark} IS NULL THEN 'extra' "
            "WHEN {contents} THEN 'contents' WHEN {times} THEN 'times' "
            "WHEN {hashes} AND l.{hash} <> n.{hash} THEN 'hash' "
            "WHEN (l.{mark}, l.{record}) <> (n.{mark}, n.{record}) THEN 'mark' END AS kind, "
            "l.{mark} AS live, n.{mark} AS new, coalesce({hashes} AND l.{hash} = n.{hash}, false) AS same_hash, "
            "coalesce((l.{mark}, l.{record}) = (n.{mark}, n.{record}), false) AS same_record, "
            "l.{record} AS record, n.{hash} AS hash, ARRAY[{shown}]::text[] AS key, {differing} AS differing "
            "FROM {live} l FULL JOIN {new} n ON {same}"
        ).format(
            mark=mark,
            record=record,
            hash=hash_,
            hashes=sql.SQL("true" if self._hashes else "false"),
            contents=_differ(self.columns),
            times=_differ(self.times),
            differing=differing,
            shown=sql.SQL(", ").join(sql.SQL("coalesce(l.{0}, n.{0})::text").format(sql.Identifier(n)) for n in shown),
            live=self._rows(self._live, sql.SQL("")),
            new=self._rows(self._new, sql.SQL(" - %(offset)s")),
            same=sql.SQL(" AND ").join(sql.SQL("l.{0} = n.{0}").format(sql.Identifier(name)) for name in together),
        )

    def _rows(self, table: str, shift: sql.SQL) -> sql.Composed:
        """Return a table with the ids of deliveries; without a key, equal rows of a record are numbered."""
        mark, record = sql.Identifier(DELIVERY_ID), sql.Identifier(RECORD_NO)
        columns: list[sql.Composable] = [sql.Identifier(name) for name in (*self.columns, ROW_HASH)]
        columns += [
            sql.SQL("{0}{1} AS {0}").format(sql.Identifier(name), shift if name in OF_DELIVERIES else sql.SQL(""))
            for name in self.times
        ]
        place: Any = sql.SQL("")
        if not self.key:
            contents = sql.SQL(", ").join(map(sql.Identifier, self.columns))
            place = sql.SQL(", row_number() OVER (PARTITION BY {}, {} ORDER BY ROW ({})::text) AS {}").format(
                mark, record, contents, sql.Identifier(_PLACE)
            )
        return sql.SQL("(SELECT {}, {}{} AS {}, {}{} FROM {})").format(
            sql.SQL(", ").join(columns), mark, shift, mark, record, place, identifier(table)
        )


def _differ(names: Sequence[str]) -> sql.Composed:
    """Return the condition that one of some columns differs."""
    differs = sql.SQL("OR l.{0} IS DISTINCT FROM n.{0}")
    return sql.SQL("(false {})").format(sql.SQL(" ").join(differs.format(sql.Identifier(name)) for name in names))
