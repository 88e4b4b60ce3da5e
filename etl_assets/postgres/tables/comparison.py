"""Compares rows that were read again from their deliveries with the rows of a table, a batch at a time, by key.

The database compares. Its temporary tables hold a batch, and the keys of the table for which a newer record yields
other contents. Nothing of the table is changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from psycopg import sql

from etl_assets.postgres.connection import joining_by_index
from etl_assets.postgres.tables.copy import copy_in, encode, wire_frame
from etl_assets.postgres.tables.guard import same_key
from etl_assets.postgres.tables.names import identifier
from etl_assets.postgres.tables.range_partitions import Pruning
from etl_assets.schema import DELIVERY_ID, RECORD_NO, ROW_HASH

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import polars as pl

    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Schema

_REREAD: Final = sql.Identifier("pg_temp", "etl_reread")
_OUTDATED: Final = sql.Identifier("pg_temp", "etl_outdated")
_ORDER: Final = sql.Identifier("#order")
"""No declared column has such a name."""


@dataclass(frozen=True)
class Order:
    """Where a delivery is among those of its source.

    Attributes:
        delivery_id: Its id.
        place: Its number among the deliveries of the source, the oldest first.
        newer: Ids of the deliveries after it.
    """

    delivery_id: int
    place: int
    newer: Sequence[int]


@dataclass(frozen=True)
class Found:
    """Some rows with a problem: how many, and the least number of a record that they belong to; 0 if there are none."""

    rows: int = 0
    first_record: int = 0

    def __add__(self, other: Found) -> Found:
        """Return both together."""
        firsts = [found.first_record for found in (self, other) if found.rows]
        return Found(self.rows + other.rows, min(firsts, default=0))


@dataclass(frozen=True)
class Compared:
    """How the rows of some records compare with the table.

    Attributes:
        own: How many rows of the table have the mark of one of the records, and are what it yields.
        changed: Rows of the table that have the mark of one of the records, and are not what it yields.
        missing: Rows of the records whose key is not in the table.
    """

    own: int = 0
    changed: Found = Found()
    missing: Found = Found()

    def __add__(self, other: Compared) -> Compared:
        """Return the comparison of both."""
        return Compared(self.own + other.own, self.changed + other.changed, self.missing + other.missing)


class Comparison:
    """Compares a table with the rows of its records.

    Args:
        connection: In a transaction, at whose end the temporary tables are dropped.
        table: ``schema.table``, which has the columns and the key of the schema.
        schema: Of the table.
        compared: Names of the columns whose values are compared.
        hashes: Whether all row hashes of the table have the current seed, so that they are compared too.
        first_stays: Whether the oldest record of a key stays, so that no row is outdated.
    """

    def __init__(
        self,
        connection: Connection,
        table: str,
        schema: Schema,
        *,
        compared: Sequence[str],
        hashes: bool,
        first_stays: bool = False,
    ) -> None:
        self._first_stays = first_stays
        self._connection = connection
        self._table = identifier(table)
        self._schema = schema
        self._compared = (*compared, ROW_HASH) if hashes else tuple(compared)
        self._columns = (*schema.names, RECORD_NO, ROW_HASH)
        self._any_outdated = False
        self._pruning = Pruning(connection, table)
        self._within: sql.Composable = sql.SQL("")
        self._key = sql.SQL(", ").join(map(sql.Identifier, schema.key))
        order = sql.Identifier(schema.order_by) if schema.order_by else sql.SQL("0::integer")
        connection.execute(
            sql.SQL("CREATE TEMP TABLE etl_reread ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
                sql.SQL(", ").join(map(sql.Identifier, self._columns)), self._table
            )
        )
        connection.execute(
            sql.SQL(
                'CREATE TEMP TABLE etl_outdated ON COMMIT DROP AS SELECT {key}, {order} AS {alias}, 0 AS "#place", '
                '0::bigint AS "#delivery", 0::bigint AS "#record" FROM {table} WITH NO DATA'
            ).format(key=self._key, order=order, alias=_ORDER, table=self._table)
        )
        connection.execute(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(_OUTDATED, self._key))

    def compare(self, rows: pl.DataFrame, order: Order, records: tuple[int, int]) -> Compared:
        """Compare the rows of a batch with the table; keep the keys for which the table has something older.

        Such a key is dropped again if a newer record, of this or a later batch, yields what the table has. So
        deliveries must come oldest first.

        Args:
            rows: The schema's columns, ``RECORD_NO`` and ``ROW_HASH``; no record has a key twice.
            order: Of the delivery of the records.
            records: The first and the last record of the batch.
        """
        del records  # a row is found by its key
        self._connection.execute(sql.SQL("TRUNCATE {}").format(_REREAD))
        if rows.is_empty():
            return Compared()
        self._within = self._pruning.condition(rows)
        rows = rows.select(self._columns).sort(self._schema.key)  # the table is then read in the order of its index
        data = encode(wire_frame(rows, self._schema))
        copy_in(self._connection, _REREAD, self._columns, data)
        values = {"delivery": order.delivery_id, "place": order.place, "newer": list(order.newer)}
        # by the index of the key, or each batch would read the whole table
        with joining_by_index(self._connection):
            row = self._connection.execute(self._compare_query(), values).fetchone()
            own, changed, first_changed, missing, first_missing, outdated = row or (0,) * 6
            if outdated:
                self._connection.execute(self._outdated_statement(), values)
            self._any_outdated |= outdated > 0
            if self._any_outdated:
                self._connection.execute(self._confirmed_statement(), values)
        return Compared(own, Found(changed, first_changed), Found(missing, first_missing))

    def rows_by_delivery(self) -> dict[int, int]:
        """Return how many rows of the table have the mark of each delivery; reads the table once."""
        return rows_by_delivery(self._connection, self._table)

    def outdated(self, unread: Iterable[int]) -> dict[int, Found]:
        """Find the keys whose newest record yields other contents than the table has.

        Args:
            unread: Places of deliveries that were not read. They may have confirmed what an older delivery would
                change, so that nothing is known of what is older than they are.

        Returns:
            By id of the delivery with the newest record: the rows, and the first of these records.
        """
        least = max(unread, default=-1)
        if self._schema.order_by is not None and least >= 0:
            return {}
        rows = self._connection.execute(
            sql.SQL('SELECT "#delivery", count(*), min("#record") FROM {} WHERE "#place" > %s GROUP BY 1').format(
                _OUTDATED
            ),
            (least,),
        ).fetchall()
        return {delivery: Found(number, first) for delivery, number, first in rows}

    def _compare_query(self) -> sql.Composed:
        return sql.SQL(
            "SELECT count(*) FILTER (WHERE own AND same), count(*) FILTER (WHERE own AND NOT same), "
            "coalesce(min(record) FILTER (WHERE own AND NOT same), 0), count(*) FILTER (WHERE missing), "
            "coalesce(min(record) FILTER (WHERE missing), 0), "
            "count(*) FILTER (WHERE NOT missing AND NOT own AND NOT same AND older) FROM (SELECT s.{record} AS record, "
            "t.{record} IS NULL AS missing, {own} AS own, {same} AS same, {older} AS older "
            "FROM {reread} s LEFT JOIN {table} t ON {match}) c"
        ).format(**self._parts())

    def _outdated_statement(self) -> sql.Composed:
        """Keep the newest record for each key whose row in the table is older, and has other contents."""
        return sql.SQL(
            'INSERT INTO {outdated} AS o ({key}, {alias}, "#place", "#delivery", "#record") '
            "SELECT DISTINCT ON ({keys}) {keys}, {order}, %(place)s, %(delivery)s, s.{record} "
            "FROM {reread} s JOIN {table} t ON {match} WHERE NOT ({own}) AND NOT {same} AND {older} "
            "ORDER BY {keys}, {order} DESC, s.{record} DESC "
            'ON CONFLICT ({key}) DO UPDATE SET {alias} = excluded.{alias}, "#place" = excluded."#place", '
            '"#delivery" = excluded."#delivery", "#record" = excluded."#record" '
            'WHERE (excluded.{alias}, excluded."#place", excluded."#record") > (o.{alias}, o."#place", o."#record")'
        ).format(**self._parts())

    def _confirmed_statement(self) -> sql.Composed:
        """Drop the keys for which a record that is newer than the one that was kept yields what the table has."""
        return sql.SQL(
            "DELETE FROM {outdated} o USING {reread} s JOIN {table} t ON {match} WHERE {kept} AND {same} "
            'AND ({order}, %(place)s, s.{record}) > (o.{alias}, o."#place", o."#record")'
        ).format(**self._parts(), kept=same_key(self._schema, "o", "s"))

    def _parts(self) -> dict[str, sql.Composable]:
        """Return what both queries consist of; ``t`` is a row of the table and ``s`` one that was read again."""
        order = self._schema.order_by
        return {
            "outdated": _OUTDATED,
            "alias": _ORDER,
            "order": sql.Identifier("s", order) if order else sql.SQL("0::integer"),
            "table": self._table,
            "reread": _REREAD,
            "key": self._key,
            "keys": sql.SQL(", ").join(sql.Identifier("s", name) for name in self._schema.key),
            "record": sql.Identifier(RECORD_NO),
            "match": same_key(self._schema, "t", "s") + self._within,
            "older": self._older(),
            "own": sql.SQL("t.{} = %(delivery)s AND t.{record} = s.{record}").format(
                sql.Identifier(DELIVERY_ID), record=sql.Identifier(RECORD_NO)
            ),
            "same": sql.SQL("ROW ({}) IS NOT DISTINCT FROM ROW ({})").format(*map(self._listed, "ts")),
        }

    def _listed(self, row: str) -> sql.Composed:
        return sql.SQL(", ").join(sql.Identifier(row, name) for name in self._compared)

    def _older(self) -> sql.Composed:
        """The condition that the mark of a row of the table, ``t``, is older than the record of ``s``.

        The record should then have been written over the row. The order is written out here again, and not taken from
        `Guard`: what a fault in the guard does to a table must be found.
        """
        if self._first_stays:
            return sql.SQL("false").format()
        sequence = sql.SQL(
            "t.{delivery} <> ALL (%(newer)s::bigint[]) AND (t.{delivery} <> %(delivery)s OR t.{record} < s.{record})"
        ).format(delivery=sql.Identifier(DELIVERY_ID), record=sql.Identifier(RECORD_NO))
        if self._schema.order_by is None:
            return sequence
        return sql.SQL("(t.{order} < s.{order} OR (t.{order} = s.{order} AND {sequence}))").format(
            order=sql.Identifier(self._schema.order_by), sequence=sequence
        )


def rows_by_delivery(connection: Connection, table: sql.Composable) -> dict[int, int]:
    """Return how many rows of a table have the mark of each delivery; reads the table once."""
    query = sql.SQL("SELECT {delivery}, count(*) FROM {table} GROUP BY 1")
    rows = connection.execute(query.format(delivery=sql.Identifier(DELIVERY_ID), table=table)).fetchall()
    return dict(rows)
