"""The table ``etl.reference``: which columns of tables refer to which other tables, as far as they were loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from etl_assets.postgres.tables.ddl import exists
from etl_assets.postgres.tables.names import identifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.postgres.connection import Connection
    from etl_assets.schema.rules import Lookup


def record(connection: Connection, table: str, lookups: Sequence[Lookup]) -> None:
    """Enter the references of a table to others, in place of those that it had."""
    declared = {(lookup.table, lookup.columns, lookup.parent_columns) for lookup in lookups if lookup.table != table}
    known = {
        (parent, tuple(columns), tuple(parent_columns))
        for parent, columns, parent_columns in connection.execute(
            "SELECT parent_table, columns, parent_columns FROM etl.reference WHERE table_name = %s", (table,)
        ).fetchall()
    }
    if declared == known:
        return
    with connection.transaction():
        connection.execute("DELETE FROM etl.reference WHERE table_name = %s", (table,))
        for parent, columns, parent_columns in sorted(declared):
            connection.execute(
                "INSERT INTO etl.reference (table_name, columns, parent_table, parent_columns) "
                "VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (table, list(columns), parent, list(parent_columns)),
            )


def count_referring(connection: Connection, table: str, rows: sql.Identifier) -> int:
    """Return how many rows of other tables refer to some rows of a table by its key.

    Args:
        connection: To the warehouse.
        table: ``schema.table``.
        rows: A table with the keys of the rows.
    """
    found = connection.execute(
        "SELECT r.table_name, r.columns, r.parent_columns FROM etl.reference r WHERE r.parent_table = %s ORDER BY 1, 2",
        (table,),
    ).fetchall()
    total = 0
    for child, columns, parent_columns in found:
        if not exists(connection, child) or not _has_columns(connection, rows, parent_columns):
            continue
        same = sql.SQL(" AND ").join(
            sql.SQL("c.{} = a.{}").format(sql.Identifier(own), sql.Identifier(theirs))
            for own, theirs in zip(columns, parent_columns, strict=True)
        )
        query = sql.SQL("SELECT count(*) FROM {} c WHERE EXISTS (SELECT FROM {} a WHERE {})")
        row = connection.execute(query.format(identifier(child), rows, same)).fetchone()
        total += int(row[0]) if row else 0
    return total


def _has_columns(connection: Connection, table: sql.Identifier, names: Sequence[str]) -> bool:
    row = connection.execute(
        "SELECT count(*) FROM pg_attribute WHERE attrelid = %s::regclass AND attname = ANY (%s) AND NOT attisdropped",
        (table.as_string(connection), list(names)),
    ).fetchone()
    return bool(row and row[0] == len(names))
