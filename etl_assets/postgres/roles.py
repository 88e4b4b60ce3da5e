"""The role for analysts: it reads the views of schema ``etl``, and nothing else in that schema.

It is a group role without a login and belongs to the whole server. The administrator of the server decides who may log
in, and which tables of sources they may read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import errors, sql

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection

READER: Final = "etl_assets_reader"
VIEWS: Final = ("quality_daily", "source_health", "rejections_by_rule", "rejected_case", "absent_at_source")


def ensure_reader(connection: Connection) -> str | None:
    """Create the reader role, unless the server has it, and grant it the right to read the views.

    It may be called any number of times, also for several databases of a server at once.

    Args:
        connection: In autocommit, of the owner of the views.

    Returns:
        Why the role is missing or cannot read, and what to do; None on success.
    """
    reader = sql.Identifier(READER)
    try:
        _ensure_role(connection)
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA etl TO {}").format(reader))
        views = sql.SQL(", ").join(sql.Identifier("etl", view) for view in VIEWS)
        connection.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(views, reader))
    except errors.InsufficientPrivilege:
        return (
            f"Role {READER}, which reads the views of schema etl, was not created or did not get its rights: this user "
            f"may not do it. Everything else is done. Let an administrator run CREATE ROLE {READER}, then run: "
            "etl-assets migrate"
        )
    return None


def _ensure_role(connection: Connection) -> None:
    """Create the role; the migration of another database may create it at the same time."""
    if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (READER,)).fetchone() is not None:
        return
    try:
        connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(READER)))
    except (errors.DuplicateObject, errors.UniqueViolation):
        return
