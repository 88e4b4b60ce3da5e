"""Views that are dropped and created again because a column gets another type, which no view allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from etl_assets.errors import IncompatibleTableError
from etl_assets.postgres.tables.names import identifier
from etl_assets.postgres.tables.relation_properties import properties_of

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.tables.relation_properties import Properties


def drop_view(connection: Connection, view: str, table: str) -> Properties:
    """Drop a view; return what the one that is created in its place is to be given.

    Args:
        connection: In the transaction that creates it again.
        view: ``schema.view``.
        table: ``schema.table`` that it reads.

    Raises:
        IncompatibleTableError: If other views read one of them. Nothing was changed.
    """
    users = connection.execute(
        "SELECT DISTINCT n.nspname || '.' || c.relname FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid "
        "JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE d.refobjid = ANY (ARRAY[%(view)s::regclass, %(table)s::regclass]) AND c.oid <> %(view)s::regclass "
        "ORDER BY 1",
        {"view": view, "table": table},
    ).fetchall()
    if users:
        raise IncompatibleTableError(
            f"A column of {view} changes its type, and other views use it: {', '.join(name for (name,) in users)}. "
            "Nothing was changed. Drop these views, run again, and create them again; or let `etl-assets rebuild NAME "
            "--swap` of the source do all of it."
        )
    row = connection.execute("SELECT %s::regclass::oid::bigint", (view,)).fetchone()
    properties = properties_of(connection, row[0] if row else 0)
    connection.execute(sql.SQL("DROP VIEW {}").format(identifier(view)))
    return properties
