"""The role that analysts are given: it reads the views of schema ``etl``, and nothing else there.

It is a group without a login and belongs to the whole server. Who may log in, and what they may read of the tables of
sources, is decided by whoever runs the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import errors, sql

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection

READER: Final = "etl_assets_reader"
VIEWS: Final = ("quality_daily", "source_health", "rejections_by_rule")


def ensure_reader(connection: Connection) -> str | None:
    """Make the reader role, unless the server has it, and let it read the views.

    May be called any number of times, also for several databases of a server at once.

    Args:
        connection: In autocommit, of whoever owns the views.

    Returns:
        Why the role is not there or cannot read, and what to do; None when all is well.
    """
    reader = sql.Identifier(READER)
    try:
        _ensure_role(connection)
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA etl TO {}").format(reader))
        views = sql.SQL(", ").join(sql.Identifier("etl", view) for view in VIEWS)
        connection.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(views, reader))
    except errors.InsufficientPrivilege:
        return (
            f"Role {READER}, which reads the views of schema etl, was not made or not given its rights: this user may "
            f"not do it. All else is in place. Let an administrator run CREATE ROLE {READER}, then run: "
            "etl-assets migrate"
        )
    return None


def _ensure_role(connection: Connection) -> None:
    """Make the role; another database's migration may be doing so at this moment."""
    if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (READER,)).fetchone() is not None:
        return
    try:
        connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(READER)))
    except (errors.DuplicateObject, errors.UniqueViolation):
        return
