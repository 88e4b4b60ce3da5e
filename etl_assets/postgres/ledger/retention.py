"""The table ``etl.retention``: from which day on a table keeps rows, and what was dropped because it is older.

The day only moves forward. It does not depend on when a delivery is loaded, so that a load, a reload and a replay of
the same records leave the same rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import errors, sql

from etl_assets.postgres.ledger import locks
from etl_assets.postgres.ledger.invariants import Invariant
from etl_assets.postgres.tables import range_partitions
from etl_assets.postgres.tables.names import identifier

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.invariants import Violation
    from etl_assets.schema import PartitionBy

EXPIRED_ROWS_ARE_GONE: Final = Invariant(
    "expired_rows_are_gone",
    "No row of a table is older than the first day whose rows it keeps",
    "Somebody changed the table or etl.retention by hand: delete the rows, or restore etl.retention from a backup",
)


def kept_from(connection: Connection, source: str) -> date | None:
    """Return the first day whose rows are kept of a source; None if all are.

    It does not change during a transaction that has the lock for the writes of the source.
    """
    row = connection.execute("SELECT max(kept_from) FROM etl.retention WHERE source = %s", (source,)).fetchone()
    return row[0] if row else None


def dropped_rows(connection: Connection, source: str) -> tuple[date, int] | None:
    """Return the first day whose rows are kept of a source, and how many were dropped; None if all are kept."""
    row = connection.execute(
        "SELECT max(kept_from), coalesce(sum(rows), 0)::bigint FROM etl.retention WHERE source = %s", (source,)
    ).fetchone()
    return None if row is None or row[0] is None else (row[0], row[1])


def kept_condition(connection: Connection, source: str, partition_by: PartitionBy | None) -> sql.Composable:
    """Return the condition that a row is not too old."""
    first = None if partition_by is None else kept_from(connection, source)
    if partition_by is None or first is None:
        return sql.SQL("true")
    return sql.SQL("{} >= {}").format(sql.Identifier(partition_by.column), _midnight(first))


def drop_expired(connection: Connection, source: str, table: str, partition_by: PartitionBy) -> int | None:
    """Move the first day that is kept, and drop the child tables before it, in one transaction.

    Batches of the source wait, and readers of the table while the child tables are dropped, which takes no time. Rows
    are counted before; if a batch was committed meanwhile, they are counted again.

    Args:
        connection: In autocommit.
        source: Name of the source.
        table: ``schema.table``, which is partitioned as declared.
        partition_by: As declared.

    Returns:
        How many rows were dropped; None if there was nothing to do.

    Raises:
        psycopg.errors.LockNotAvailable: If somebody uses the table. Nothing was changed.
    """
    due = _due(connection, source, table, partition_by)
    if due is None:
        return None
    before = (_entries(connection, source), due)
    rows = range_partitions.count_rows(connection, due[1])
    with connection.transaction():
        locks.lock_writes(connection, source)
        due = _due(connection, source, table, partition_by)
        if due is None:
            return None
        first, children = due
        if (_entries(connection, source), due) != before:
            rows = range_partitions.count_rows(connection, children)
        if children:
            range_partitions.drop(connection, table, children)
        connection.execute(
            "INSERT INTO etl.retention (source, column_name, keep, kept_from, dropped_from, child_tables, rows) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (
                source,
                partition_by.column,
                partition_by.keep or "",
                first,
                min((child.first for child in children), default=None),
                len(children),
                rows,
            ),
        )
    return rows


def try_to_drop_expired(connection: Connection, source: str, table: str, partition_by: PartitionBy) -> int | None:
    """Do the same if nobody uses the table now; else do nothing, and leave it to the next load."""
    try:
        return drop_expired(connection, source, table, partition_by)
    except errors.LockNotAvailable:
        return None


def expired_rows(connection: Connection, table: str, sources: Sequence[str]) -> list[Violation]:
    """Find the rows of a table that are too old."""
    row = connection.execute(
        "SELECT column_name, kept_from FROM etl.retention WHERE source = ANY (%s) ORDER BY kept_from DESC, id DESC "
        "LIMIT 1",
        (list(sources),),
    ).fetchone()
    if row is None or not _has_column(connection, table, row[0]):
        return []
    query = sql.SQL("SELECT count(*) FROM {} WHERE {} < {}")
    found = connection.execute(query.format(identifier(table), sql.Identifier(row[0]), _midnight(row[1]))).fetchone()
    if found is None or not found[0]:
        return []
    problem = f"has {found[0]} rows before {row[1]}, from when on it keeps rows by {row[0]}"
    return [EXPIRED_ROWS_ARE_GONE.violation(f"table {table}", problem)]


def _due(
    connection: Connection, source: str, table: str, partition_by: PartitionBy
) -> tuple[date, list[range_partitions.ChildTable]] | None:
    """Return the first day to keep from now on, and the child tables before it; None if nothing is to change."""
    entered = kept_from(connection, source)
    row = connection.execute("SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date").fetchone()
    declared = partition_by.kept_from(row[0]) if row else None
    first = max((day for day in (entered, declared) if day is not None), default=None)
    if first is None:
        return None
    children = [child for child in range_partitions.child_tables(connection, table) if child.ends_by(first)]
    return None if first == entered and not children else (first, children)


def _entries(connection: Connection, source: str) -> int:
    """Return how many ledger entries a source has. Each change of its table enters another one."""
    row = connection.execute(
        "SELECT count(*) FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id WHERE d.source = %s", (source,)
    ).fetchone()
    return int(row[0]) if row else 0


def _has_column(connection: Connection, table: str, name: str) -> bool:
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = %s "
        "AND NOT attisdropped)",
        (table, name),
    ).fetchone()
    return bool(row and row[0])


def _midnight(day: date) -> sql.Literal:
    """Return the begin of a day in UTC, which is also read as a date."""
    return sql.Literal(f"{day.isoformat()} 00:00:00+00")
