"""What the user of a connection may do with tables of sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from etl_assets.postgres.connection import Connection


def unreadable(connection: Connection, tables: Collection[str]) -> list[str]:
    """Return those of some tables ``schema.table`` that exist and that this user may not read, in order."""
    rows = connection.execute(
        "SELECT t.name FROM unnest(%s::text[]) WITH ORDINALITY AS t (name, place) "
        "JOIN pg_namespace n ON n.nspname = split_part(t.name, '.', 1) "
        "JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = split_part(t.name, '.', 2) "
        "WHERE NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')) ORDER BY t.place",
        (list(tables),),
    ).fetchall()
    return [name for (name,) in rows]
