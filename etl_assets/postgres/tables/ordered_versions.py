"""Versions of rows that a column of the record orders: where each one ends.

The key of the table is that of the rows and the order column. A version begins at its value of the order column, and
ends where the next one of its key begins. A row that is no version, since its values that count are those of the row
before it, ends where it begins.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from psycopg import sql

from etl_assets.postgres.connection import joining_by_index
from etl_assets.postgres.tables.ddl import Extension
from etl_assets.postgres.tables.guard import same_key
from etl_assets.postgres.tables.history_table import VALID_FROM, VALID_TO
from etl_assets.postgres.tables.key_lists import KeyList
from etl_assets.postgres.tables.names import identifier

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import LiteralString

    import polars as pl

    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Column, Schema

_PLACED: Final = sql.Identifier("pg_temp", "etl_placed")
_MOMENT: Final = "timestamp with time zone"
_BEGINS: Final = sql.Identifier("#begins")
_ENDS: Final = sql.Identifier("#ends")
"""No declared column has such a name."""


def validity_of(order: Column) -> Extension:
    """Return what a table has, besides the columns of its schema, whose versions a column orders.

    A row is inserted as one that ended before all time, so that it is no current version until it has its place.

    Args:
        order: The order column, a date or an instant. A date means its midnight in UTC.
    """
    begins = _moment(order, order.name).as_string(None)
    return Extension(
        {VALID_FROM: _MOMENT, VALID_TO: _MOMENT},
        clauses={VALID_FROM: f"GENERATED ALWAYS AS ({begins}) STORED", VALID_TO: "DEFAULT '-infinity'"},
    )


class OrderedVersions:
    """Gives the versions of some keys their ends.

    Args:
        connection: Of the load; its temporary tables belong to this object alone.
        table: ``schema.table`` that has the versions.
        schema: Of its rows; the last column of the key is the order column.
        columns: Names of the columns that count; all if empty, so that every row is a version.

    Attributes:
        stake: The keys, without the order column, whose rows were inserted, changed or deleted.
    """

    def __init__(self, connection: Connection, table: str, schema: Schema, columns: Sequence[str]) -> None:
        self._connection = connection
        self._table = identifier(table)
        self._schema = schema
        self._columns = columns
        self._of_rows = replace(schema, key=schema.key[:-1])
        self.stake = KeyList(connection, "etl_stake_of_order", table, self._of_rows, at_commit="DELETE ROWS")
        self._first = KeyList(connection, "etl_first_of_order", table, schema, at_commit="DELETE ROWS")
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(_PLACED))
        connection.execute(
            sql.SQL(
                "CREATE TEMP TABLE etl_placed ON COMMIT DELETE ROWS AS SELECT {}, {} AS {} FROM {} WITH NO DATA"
            ).format(_listed(schema.key), sql.Identifier(VALID_TO), _ENDS, self._table)
        )

    def end_current(self, rows: pl.DataFrame) -> None:
        """Let the current version of each key end with the first of some rows, unless it is later than that one.

        Args:
            rows: Sorted by the key of the table.
        """
        self._connection.execute(sql.SQL("TRUNCATE {}").format(self._first.name))
        *key, order = self._schema.key
        self._first.add(rows.select(self._schema.key).unique(key, keep="first", maintain_order=True))
        with joining_by_index(self._connection):
            self._connection.execute(
                sql.SQL(
                    "UPDATE {} h SET {valid_to} = {moment} FROM {} f WHERE {} AND h.{valid_to} IS NULL "
                    "AND h.{order} < f.{order}"
                ).format(
                    self._table,
                    self._first.name,
                    same_key(self._of_rows, "h", "f"),
                    valid_to=sql.Identifier(VALID_TO),
                    moment=_moment(self._schema[order], "f", order),
                    order=sql.Identifier(order),
                )
            )

    def place(self) -> int:
        """Let each version of the keys at stake end where the next one begins; return how many got another end.

        First the versions that end, then those that are current, so that no key has two current versions.
        """
        at_stake = sql.SQL("JOIN (SELECT DISTINCT * FROM {}) k ON {}").format(
            self.stake.name, same_key(self._of_rows, "h", "k")
        )
        with joining_by_index(self._connection):
            self._connection.execute(sql.SQL("TRUNCATE {}").format(_PLACED))
            self._connection.execute(
                sql.SQL("INSERT INTO {} SELECT {}, {} FROM ({}) p WHERE {} IS DISTINCT FROM {}").format(
                    _PLACED,
                    _listed(self._schema.key),
                    _ENDS,
                    _placed(self._table, self._schema, self._columns, at_stake),
                    sql.Identifier(VALID_TO),
                    _ENDS,
                )
            )
            return self._end("p.{} IS NOT NULL") + self._end("p.{} IS NULL")

    def _end(self, condition: LiteralString) -> int:
        return self._connection.execute(
            sql.SQL("UPDATE {} h SET {} = p.{} FROM {} p WHERE {} AND {}").format(
                self._table,
                sql.Identifier(VALID_TO),
                _ENDS,
                _PLACED,
                same_key(self._schema, "h", "p"),
                sql.SQL(condition).format(_ENDS),
            )
        ).rowcount


def count_misplaced(connection: Connection, table: str, schema: Schema, columns: Sequence[str]) -> int:
    """Return how many rows of a table do not end where they should; see `OrderedVersions`. Reads the whole table."""
    query = sql.SQL("SELECT count(*) FROM ({}) p WHERE {} IS DISTINCT FROM {}").format(
        _placed(identifier(table), schema, columns, sql.SQL("")), sql.Identifier(VALID_TO), _ENDS
    )
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def _placed(table: sql.Composable, schema: Schema, columns: Sequence[str], joined: sql.Composable) -> sql.Composed:
    """SQL that selects the key of rows, where each one ends, and where it should.

    Args:
        table: That has the versions.
        schema: Of its rows.
        columns: Names of the columns that count.
        joined: Joins the rows ``h`` with something.
    """
    *key, order = schema.key
    over = sql.SQL("(PARTITION BY {} ORDER BY {})").format(
        sql.SQL(", ").join(sql.Identifier("h", name) for name in key), sql.Identifier("h", order)
    )
    begins: sql.Composable = sql.SQL("true")
    if columns:
        differ = (
            sql.SQL("{0} IS DISTINCT FROM lag({0}) OVER {1}").format(sql.Identifier("h", name), over)
            for name in columns
        )
        begins = sql.SQL("(row_number() OVER {} = 1 OR {})").format(over, sql.SQL(" OR ").join(differ))
    return sql.SQL(
        "SELECT {keys}, {valid_to}, CASE WHEN {begins} THEN lead({valid_from}) OVER (PARTITION BY {key}, {begins} "
        "ORDER BY {order}) ELSE {valid_from} END AS {ends} FROM (SELECT {keys_of_h}, h.{valid_from}, h.{valid_to}, "
        "{is_version} AS {begins} FROM {table} h {joined}) r"
    ).format(
        keys=_listed(schema.key),
        keys_of_h=sql.SQL(", ").join(sql.Identifier("h", name) for name in schema.key),
        key=_listed(key),
        order=sql.Identifier(order),
        valid_from=sql.Identifier(VALID_FROM),
        valid_to=sql.Identifier(VALID_TO),
        begins=_BEGINS,
        ends=_ENDS,
        is_version=begins,
        table=table,
        joined=joined,
    )


def _moment(order: Column, *name: str) -> sql.Composable:
    """SQL for the moment that a value of the order column means."""
    value = sql.Identifier(*name)
    if order.type.is_instant:
        return value
    return sql.SQL("({}::timestamp without time zone AT TIME ZONE 'UTC')").format(value)


def _listed(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
