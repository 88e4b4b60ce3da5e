"""Names of tables in SQL."""

from __future__ import annotations

from psycopg import sql


def identifier(table: str) -> sql.Identifier:
    """Return ``schema.table`` as a quoted identifier."""
    return sql.Identifier(*table.split(".", 1))
