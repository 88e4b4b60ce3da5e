"""Migrated databases for many tests, one after the other: each test finds an empty warehouse.

Emptying a database takes a tenth of the time that creating and migrating one does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
from psycopg import sql

from etl_assets.postgres.migrations import migrate
from etl_assets_tests.databases import create_database, drop_database

if TYPE_CHECKING:
    from psycopg import Connection

_OTHER_SESSIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
    "AND pid <> pg_backend_pid()"
)
_SCHEMAS = (
    "SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' "
    "AND nspname NOT IN ('information_schema', 'etl', 'public')"
)
_PUBLIC_TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
_TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'etl'::regnamespace AND relkind = 'r'"
_FIRST_IDS = (
    "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relnamespace = 'etl'::regnamespace AND relkind = 'S'"
)
_STRUCTURE = """
SELECT
    (SELECT array_agg((relname, relkind, relacl)::text ORDER BY relname) FROM pg_class WHERE relnamespace = n.oid),
    (SELECT array_agg((attrelid, attname, atttypid, attnotnull)::text ORDER BY attrelid, attnum)
       FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE c.relnamespace = n.oid AND attnum > 0),
    (SELECT array_agg(conname || pg_get_constraintdef(oid) ORDER BY conname, conrelid)
       FROM pg_constraint WHERE connamespace = n.oid),
    (SELECT array_agg((tgname, tgenabled)::text ORDER BY tgname, tgrelid)
       FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid WHERE c.relnamespace = n.oid)
FROM pg_namespace n WHERE nspname = 'etl'
"""


@dataclass
class Warehouses:
    """Lends a warehouse to one test at a time.

    Attributes:
        postgres_url: A superuser's database.
    """

    postgres_url: str
    _name: str = ""
    _url: str | None = None
    _structure: Any = field(default=None, repr=False)

    def lend(self) -> str:
        """Return the URL of an empty warehouse."""
        if self._url is None:
            self._name = f"warehouse_{uuid4().hex}"
            self._url = create_database(self.postgres_url, self._name)
            migrate(self._url)
            with psycopg.connect(self._url, autocommit=True) as connection:
                self._structure = connection.execute(_STRUCTURE).fetchone()
        return self._url

    def take_back(self) -> None:
        """Empty the warehouse, or discard it if a test has changed the structure of schema etl."""
        if self._url is None:
            return
        try:
            with psycopg.connect(self._url, autocommit=True) as connection:
                connection.execute(_OTHER_SESSIONS)
                if connection.execute(_STRUCTURE).fetchone() == self._structure:
                    _empty(connection)
                    return
        except psycopg.OperationalError:  # the test has dropped the database or stopped its server
            pass
        self.discard()

    def discard(self) -> None:
        """Drop the warehouse."""
        if self._url is not None:
            self._url = None
            drop_database(self.postgres_url, self._name)


def _empty(connection: Connection) -> None:
    """Drop everything but schema etl, and empty its tables except the version of the migrations.

    Rows are deleted, since TRUNCATE creates the files of every table and index anew, which takes twenty times as long.
    """
    for (publication,) in connection.execute("SELECT pubname FROM pg_publication").fetchall():
        connection.execute(sql.SQL("DROP PUBLICATION {}").format(sql.Identifier(publication)))
    for (schema,) in connection.execute(_SCHEMAS).fetchall():
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
    for (table,) in connection.execute(_PUBLIC_TABLES).fetchall():
        connection.execute(sql.SQL("DROP TABLE public.{} CASCADE").format(sql.Identifier(table)))
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")  # in any order: no foreign key is checked
        for (name,) in connection.execute(_TABLES).fetchall():
            if "version" not in name:
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier("etl", name)))
        connection.execute(_FIRST_IDS)
