"""The loader of the embedded server: what it may do, and how it gets databases that a superuser owned before."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString
from urllib.parse import urlsplit

import psycopg
import pytest

from etl_assets.local import embedded, roles
from etl_assets.postgres.connection import connected
from etl_assets.postgres.migrations import migrate
from etl_assets.postgres.roles import READER, ensure_reader

if TYPE_CHECKING:
    from pathlib import Path

_OWNED_BY_THE_SUPERUSER: tuple[LiteralString, ...] = (
    "CREATE SCHEMA core",
    "CREATE TYPE core.colour AS ENUM ('red')",
    "CREATE DOMAIN core.code AS text CHECK (value <> '')",
    "CREATE TABLE core.towns (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code core.code, colour core.colour)",
    "CREATE TABLE core.parts (id serial) PARTITION BY RANGE (id)",
    "CREATE TABLE core.parts_1 PARTITION OF core.parts FOR VALUES FROM (1) TO (10)",
    "CREATE VIEW core.codes AS SELECT code FROM core.towns",
    "CREATE MATERIALIZED VIEW core.ids AS SELECT id FROM core.towns",
    "CREATE SEQUENCE core.numbers",
    "CREATE FUNCTION core.twice(n integer) RETURNS integer LANGUAGE sql AS 'SELECT 2 * n'",
    "INSERT INTO core.towns (code, colour) VALUES ('a', 'red'), ('b', NULL)",
)
_DROPPED_BY_THE_LOADER: tuple[LiteralString, ...] = (
    "ALTER TABLE core.towns ADD COLUMN name text",
    "DROP TABLE core.parts",
    "DROP MATERIALIZED VIEW core.ids",
    "DROP SEQUENCE core.numbers",
    "DROP FUNCTION core.twice",
    "DROP SCHEMA core CASCADE",
)


@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('PG_VERSION')",
        "ALTER SYSTEM SET fsync = off",
        "SET log_min_messages = 'error'",
        "GRANT pg_execute_server_program TO etl_assets_loader",
        "ALTER ROLE etl_assets PASSWORD 'known'",
    ],
)
def test_the_loader_reaches_neither_programs_nor_files_nor_settings_of_the_server(
    home: Path, statement: LiteralString
) -> None:
    with embedded(home) as server:
        for url in (server.url, server.dagster_url):
            with (
                psycopg.connect(url, autocommit=True) as connection,
                pytest.raises(psycopg.errors.InsufficientPrivilege),
            ):
                connection.execute(statement)


def test_the_loader_migrates_a_warehouse_and_creates_the_role_that_reads(home: Path) -> None:
    with embedded(home) as server:
        migrate(server.url)
        with connected(server.url) as connection:
            assert ensure_reader(connection) is None
            assert connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (READER,)).fetchone() is not None


def test_the_password_of_the_loader_is_not_that_of_the_superuser(home: Path) -> None:
    with embedded(home) as server:
        secret = (home / "postgres" / "password").read_text()
        assert secret not in server.url
        password = urlsplit(server.url).password or ""
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(server.superuser_url().replace(secret, password))


def test_the_databases_of_a_superuser_are_handed_over_with_their_data_and_passwords(spare_home: Path) -> None:
    with embedded(spare_home) as server, psycopg.connect(server.superuser_url(), autocommit=True) as connection:
        for name in roles.DATABASES:
            connection.execute(f"ALTER DATABASE {name} OWNER TO {roles.SUPERUSER}".encode())
            with psycopg.connect(server.superuser_url(name)) as database:
                database.execute(f"DROP OWNED BY {roles.LOADER} CASCADE".encode())
                for statement in _OWNED_BY_THE_SUPERUSER:
                    database.execute(statement)
        connection.execute(f"DROP ROLE {roles.LOADER}".encode())
        former = server.superuser_url("warehouse")
    with embedded(spare_home) as server:
        for url in (server.url, server.dagster_url):
            with psycopg.connect(url) as connection:
                assert connection.execute("SELECT code, colour FROM core.towns ORDER BY id").fetchall() == [
                    ("a", "red"),
                    ("b", None),
                ]
                for statement in _DROPPED_BY_THE_LOADER:
                    connection.execute(statement)
        psycopg.connect(former).close()
