"""How full the pages of a table become before rows go to another page: its ``fillfactor``.

Where pages keep room, the new version of a row stays on its page, and no index is written. A partitioned table has no
pages; those of its child tables are meant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import sql

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection

_FULL: Final = 100
"""The default of the server."""
_HALF: Final = 50
"""Up to this much, each page has room for a new version of each of its rows."""
_KEEPS_VERSIONS: Final = 160_000
"""The first version of the server that updates rows within their page beside a BRIN index of a changed column."""
_TABLES: Final = (
    "WITH stored AS (SELECT c.oid, n.nspname, c.relname, coalesce((SELECT o.option_value::integer "
    "FROM pg_options_to_table(c.reloptions) o WHERE o.option_name = 'fillfactor'), 100) AS fillfactor "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND (c.oid = to_regclass(%s) "
    "OR c.oid IN (SELECT relid FROM pg_partition_tree(to_regclass(%s))))) "
)


def ensure_fillfactor(connection: Connection, table: str, fillfactor: int) -> None:
    """Fill new pages of a table as declared; those that it has stay as they are until they are written again.

    Neither readers nor writers wait.

    Args:
        connection: To the warehouse.
        table: ``schema.table``; all of its child tables if it is partitioned.
        fillfactor: In percent.
    """
    others = connection.execute(
        f"{_TABLES} SELECT nspname, relname FROM stored WHERE fillfactor <> %s", (table, table, fillfactor)
    ).fetchall()
    for schema, name in others:
        connection.execute(
            sql.SQL("ALTER TABLE {} SET (fillfactor = {})").format(
                sql.Identifier(schema, name), sql.Literal(fillfactor)
            )
        )


def take_over_fillfactor(connection: Connection, table: str, new: str) -> None:
    """Fill the pages of a new table as those of another one."""
    row = connection.execute(f"{_TABLES} SELECT fillfactor FROM stored", (table, table)).fetchone()
    if row and row[0] != _FULL:
        ensure_fillfactor(connection, new, row[0])


def has_room(connection: Connection, table: str) -> bool:
    """Return whether new versions of most rows stay on their pages, and no index is written.

    Besides the key, the table may have BRIN indexes only: another one may have a column that changes.
    """
    if connection.info.server_version < _KEEPS_VERSIONS:
        return False
    row = connection.execute(
        f"{_TABLES} SELECT max(fillfactor) <= %s AND NOT EXISTS (SELECT FROM pg_index i JOIN pg_class x "
        "ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam WHERE i.indrelid IN (SELECT oid FROM stored) "
        "AND NOT i.indisprimary AND m.amname <> 'brin') FROM stored",
        (table, table, _HALF),
    ).fetchone()
    return bool(row and row[0])
