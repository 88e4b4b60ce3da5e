"""Looks for a text in everything that a team's server and home have stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psycopg
from psycopg import sql

from etl_assets_tests.operations.team import DATABASE

if TYPE_CHECKING:
    from etl_assets_tests.operations.team import Team

_TABLES: Final = (
    "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"
)


def places_of(team: Team, text: str) -> set[str]:
    """Return the tables of both databases, and the folders of the home, whose contents have a text.

    Args:
        team: Its databases and home.
        text: As it was published. Bytes in the databases are searched, too.
    """
    found = set[str]()
    for database in (DATABASE, f"{DATABASE}_dagster"):
        with psycopg.connect(team.server.superuser_url(database)) as connection:
            for schema, table in connection.execute(_TABLES).fetchall():
                query = sql.SQL("SELECT count(*) FROM {} t WHERE t::text LIKE ANY (%s)").format(
                    sql.Identifier(schema, table)
                )
                patterns = [f"%{text}%", f"%{text.encode().hex()}%"]
                row = connection.execute(query, (patterns,)).fetchone()
                if row and row[0]:
                    found.add(f"{schema}.{table}")
    home = team.folder / "home"
    for path in home.rglob("*"):
        if path.is_file() and text.encode() in path.read_bytes():
            found.add(path.relative_to(home).parts[0])
    return found
