"""The child tables of a table that is cut by a date or timestamp: compares, makes and drops them.

A child table is made beside the table and then attached, which stops neither readers nor writers of the table. To drop
one, the server locks the table for everybody: `drop` waits for that only for a short time.

There is no child table for all other rows. A row without a child table is refused by the server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from psycopg import sql

from etl_assets.errors import LoadError
from etl_assets.postgres.tables.names import identifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import polars as pl

    from etl_assets.postgres.connection import Connection
    from etl_assets.schema.partition_by import PartitionBy, Period

SCHEMA: Final = "etl_partitions"
"""Child tables are in a schema of their own, so that none can have the name of another source's table."""
MOST: Final = 1_000
"""How many child tables a table may have. A query that names the table locks all of them, with their indexes."""
_BOUND: Final = r"'([0-9-]+)(?: 00:00:00(?:\+00)?)?'"
_BOUNDS: Final = re.compile(rf"FOR VALUES FROM \({_BOUND}\) TO \({_BOUND}\)")
_LONGEST_NAME: Final = 63
_PATIENCE: Final = "2s"
"""Readers of the table wait behind a session that waits to drop a child table, so that it must not wait for long."""


@dataclass(frozen=True)
class ChildTable:
    """A child table.

    Attributes:
        name: In SQL.
        begin: The first value that it takes, as ``YYYY-MM-DD``; empty if its bounds are not two midnights.
        end: The first value after it.
    """

    name: sql.Identifier
    begin: str
    end: str

    @property
    def first(self) -> date:
        """The first day."""
        return date.fromisoformat(self.begin)

    def ends_by(self, day: date) -> bool:
        """Return whether all of its rows are older than a day."""
        return len(self.end) == len("YYYY-MM-DD") and date.fromisoformat(self.end) <= day


def child_tables(connection: Connection, table: str) -> list[ChildTable]:
    """Return the child tables of a table ``schema.table``; none if there is no such table."""
    rows = connection.execute(
        "SELECT n.nspname, c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i "
        "JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE i.inhparent = to_regclass(%s) ORDER BY 1, 2",
        (table,),
    ).fetchall()
    return [_child(*row) for row in rows]


class Pruning:
    """Lets a query read only the child tables that some rows can be in, since it names the range of their column.

    Otherwise the server would look at every child table for each row. A query with this condition must be planned
    without ``material``: the planner believes that hardly any row is in the range, and would compare each row with all.

    Args:
        connection: To the warehouse.
        table: ``schema.table``.

    Attributes:
        column: The column by which the table is cut; None if it is not.
    """

    def __init__(self, connection: Connection, table: str) -> None:
        row = connection.execute(
            "SELECT a.attname::text FROM pg_partitioned_table p JOIN pg_attribute a ON a.attrelid = p.partrelid "
            "AND a.attnum = p.partattrs[0] WHERE p.partrelid = to_regclass(%s)",
            (table,),
        ).fetchone()
        self.column: str | None = row[0] if row else None

    def condition(self, rows: pl.DataFrame) -> sql.Composable:
        """Return `` AND …``: the condition, which is true of them, that rows of the table, ``t``, are in the range."""
        if self.column is None or rows.is_empty():
            return sql.SQL("")
        values = rows.get_column(self.column)
        return sql.SQL(" AND t.{} BETWEEN {} AND {}").format(
            sql.Identifier(self.column), sql.Literal(values.min()), sql.Literal(values.max())
        )


def difference(connection: Connection, table: str, partition_by: PartitionBy | None) -> str:
    """Return how the child tables of a table differ from the declared ones, as a clause; empty if they do not."""
    row = connection.execute(
        "SELECT p.partstrat::text, ARRAY(SELECT a.attname::text FROM unnest(p.partattrs) WITH ORDINALITY k (attnum, "
        "place) LEFT JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = k.attnum ORDER BY k.place) "
        "FROM pg_partitioned_table p WHERE p.partrelid = to_regclass(%s)",
        (table,),
    ).fetchone()
    if partition_by is None:
        return (
            ""
            if row is None
            else f"is partitioned by {', '.join(map(str, row[1]))}, and the declaration does not say so"
        )
    declared = f"and the declaration has partition_by {partition_by}"
    if row is None:
        return f"is not partitioned, {declared}"
    if row != ("r", [partition_by.column]):
        return f"is partitioned by {', '.join(map(str, row[1]))}, {declared}"
    for child in child_tables(connection, table):
        if not child.begin:
            return f"has the child table {child.name.as_string(connection)} with bounds of its own, {declared}"
        period = partition_by.period_of(child.first)
        if (child.begin, child.end) != (period.begin, period.end):
            return f"has a child table from {child.begin} to {child.end}, {declared}"
    return ""


def ensure(
    connection: Connection,
    table: str,
    partition_by: PartitionBy,
    periods: Sequence[Period],
    fillfactor: int | None = None,
) -> None:
    """Make the child tables of some periods that a table lacks.

    Concurrent callers wait for one another. Readers and writers of the table do not wait.

    Args:
        connection: In autocommit, or in a transaction, which then keeps others from making child tables.
        table: ``schema.table``, which is partitioned as declared.
        partition_by: As declared.
        periods: From `PartitionBy.periods_of`.
        fillfactor: Of the child tables that are made, in percent; None for that of the server.

    Raises:
        LoadError: If the table would have more than `MOST` child tables, or a child table was detached by hand. None
            was made.
    """
    if not _missing(connection, table, periods):
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"etl_assets children of {table}",))
        missing = _missing(connection, table, periods)
        if missing:
            _check_number(connection, table, partition_by, missing)
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(SCHEMA)))
        for period in missing:
            _make(connection, table, period, fillfactor)


def count_rows(connection: Connection, children: Iterable[ChildTable]) -> int:
    """Return how many rows some child tables have."""
    rows = 0
    for child in children:
        found = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(child.name)).fetchone()
        rows += int(found[0]) if found else 0
    return rows


def drop(connection: Connection, table: str, children: Iterable[ChildTable]) -> None:
    """Drop child tables, in the caller's transaction.

    Raises:
        psycopg.errors.LockNotAvailable: If somebody reads or writes the table for longer than this waits.
    """
    connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(_PATIENCE)))
    connection.execute(sql.SQL("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE").format(identifier(table)))
    for child in children:
        connection.execute(sql.SQL("DROP TABLE {}").format(child.name))
    connection.execute("SET LOCAL lock_timeout TO DEFAULT")


def _child(schema: str, name: str, bounds: str) -> ChildTable:
    found = _BOUNDS.fullmatch(bounds or "")
    return ChildTable(sql.Identifier(schema, name), *(found.groups() if found else ("", "")))


def _child_name(table: str, period: Period) -> str:
    """Return the name of a child table, of at most 63 bytes: ``core.flights.2024-01``."""
    name = f"{table}.{period.name}"
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    return f"{table.encode()[:30].decode(errors='ignore')}.{sha256(table.encode()).hexdigest()[:12]}.{period.name}"


def _missing(connection: Connection, table: str, periods: Sequence[Period]) -> list[Period]:
    names = {_child_name(table, period): period for period in periods}
    if not names:
        return []
    attached = connection.execute(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n "
        "ON n.oid = c.relnamespace WHERE i.inhparent = to_regclass(%s) AND n.nspname = %s AND c.relname = ANY (%s)",
        (table, SCHEMA, list(names)),
    ).fetchall()
    return sorted(names[name] for name in names.keys() - {name for (name,) in attached})


def _check_number(connection: Connection, table: str, partition_by: PartitionBy, missing: Sequence[Period]) -> None:
    """Raise if there would be too many child tables, as for a column whose dates are wrong."""
    number = len(child_tables(connection, table)) + len(missing)
    if number > MOST:
        raise LoadError(
            f"{table} would have {number} child tables, one for each {partition_by}, and may have {MOST}. The batch "
            f"was not written. Check the values of {partition_by.column}, of which the first new one is in "
            f"{missing[0].name}, give it bounds (minimum, maximum), or cut the table by longer periods."
        )


def _make(connection: Connection, table: str, period: Period, fillfactor: int | None) -> None:
    name = _child_name(table, period)
    child = sql.Identifier(SCHEMA, name)
    if connection.execute("SELECT to_regclass(%s)", (child.as_string(connection),)).fetchone() != (None,):
        raise LoadError(
            f"The table {child.as_string(connection)} exists, and is not attached to {table}. The batch was not "
            "written. Attach it again, or rename it."
        )
    filled: sql.Composable = sql.SQL("")
    if fillfactor is not None:
        filled = sql.SQL(" WITH (fillfactor = {})").format(sql.Literal(fillfactor))
    connection.execute(sql.SQL("CREATE TABLE {} (LIKE {}){}").format(child, identifier(table), filled))
    connection.execute(
        sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
            identifier(table), child, *(sql.Literal(f"{day} 00:00:00+00") for day in (period.begin, period.end))
        )
    )
