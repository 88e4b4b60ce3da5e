"""The indexes that find the rows of one delivery without reading the whole table.

Every table has one that is nearly free: for each 256 kB of the table it keeps the few intervals in which the ids of the
deliveries lie. A B-tree has an entry for each row. Only a table whose rows are looked for in each run gets one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import errors, sql

from etl_assets.postgres.tables.names import identifier
from etl_assets.schema import DELIVERY_ID

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection

_PAGES_PER_RANGE: Final = 32
FIND_INDEX: Final = (
    "SELECT i.indexrelid::bigint FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
    "JOIN pg_am m ON m.oid = c.relam JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] "
    "WHERE i.indrelid = to_regclass(%(table)s) AND m.amname = 'brin' AND a.attname = %(column)s AND i.indisvalid "
    "AND i.indpred IS NULL"
)
"""SQL: the object ids of the indexes of a table over a column."""
_UPDATE: Final = (
    "SELECT brin_summarize_new_values(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
    "WHERE c.relkind = 'i' AND (i.indexrelid = %(index)s::oid "
    "OR i.indexrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = %(index)s::oid))"
)
"""The index of a partitioned table consists of those of its child tables."""


def find_index(connection: Connection, table: str) -> int | None:
    """Return the object id of the index of a table ``schema.table``, whatever its name; None if it has none."""
    row = connection.execute(FIND_INDEX, {"table": table, "column": DELIVERY_ID}).fetchone()
    return None if row is None else int(row[0])


def create_index(connection: Connection, table: str, name: str) -> None:
    """Create the index if the table has none; writers of the table wait while it is built."""
    if find_index(connection, table) is None:
        connection.execute(
            sql.SQL("CREATE INDEX {} ON {} USING brin ({} int8_minmax_multi_ops) WITH (pages_per_range = {})").format(
                sql.Identifier(name),
                identifier(table),
                sql.Identifier(DELIVERY_ID),
                sql.Literal(_PAGES_PER_RANGE),
            )
        )


def create_tree(connection: Connection, table: str, name: str) -> None:
    """Create the B-tree if the table has none of that name. Does nothing while another session locks the table.

    Args:
        connection: In autocommit. Writers of the table wait while the index is built.
        table: ``schema.table``.
        name: Of the index.
    """
    schema, _ = table.split(".", 1)
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (f"{schema}.{name}",)).fetchone()
    if row and row[0]:
        return
    statement = sql.SQL("CREATE INDEX IF NOT EXISTS {} ON {} ({})")
    try:
        with connection.transaction():
            connection.execute(sql.SQL("LOCK TABLE {} IN SHARE MODE NOWAIT").format(identifier(table)))
            connection.execute(statement.format(sql.Identifier(name), identifier(table), sql.Identifier(DELIVERY_ID)))
    except (errors.LockNotAvailable, errors.UniqueViolation):
        return


def cover_new_rows(connection: Connection, table: str) -> None:
    """Update the index for rows that were inserted since the last update; until then, each search reads these rows.

    Does nothing while another session updates the index, as VACUUM does too.
    """
    index = find_index(connection, table)
    if index is None:
        return
    try:
        with connection.transaction():
            locked = sql.SQL("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE NOWAIT")
            connection.execute(locked.format(identifier(table)))
            connection.execute(_UPDATE, {"index": index})
    except errors.LockNotAvailable:
        return
