"""Fixtures: databases to extract from, and their logins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest

from etl_assets import Database, DatabaseExtractor, Secret
from etl_assets_tests.extract.database import mariadb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets_tests.extract.database.mariadb import MariaDb


class Postgres:
    """A database of PostgreSQL to extract from.

    Attributes:
        owner_url: Of its owner, for psycopg.
        url: For the extractor.
        access: For the extractor.
    """

    def __init__(self, owner_url: str, access: Database) -> None:
        parts = urlsplit(owner_url)
        self.owner_url = owner_url
        self.url = f"postgresql://{parts.hostname}:{parts.port}{parts.path}"
        self.access = access

    def run(self, *statements: str) -> None:
        with psycopg.connect(self.owner_url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def extractor(self, **declared: Any) -> DatabaseExtractor:
        return DatabaseExtractor(self.url, **{"access": self.access} | declared)


@pytest.fixture
def postgres(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Postgres:
    parts = urlsplit(database_url)
    monkeypatch.setenv("SHOP_PASSWORD", parts.password or "")
    return Postgres(database_url, Database(parts.username or "", Secret("SHOP_PASSWORD") if parts.password else None))


@pytest.fixture
def reader(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """An account without a right to any table; its password, in `READER_PASSWORD`, has what URLs and SQL must quote."""
    password = "p@ss/w%rd':"
    monkeypatch.setenv("READER_PASSWORD", password)
    name = f"reader {urlsplit(postgres.owner_url).path[-8:]}"
    quoted = password.replace("'", "''")
    postgres.run(f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{quoted}'")
    yield Database(name, Secret("READER_PASSWORD"))
    postgres.run(f'DROP OWNED BY "{name}"', f'DROP ROLE "{name}"')


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDb]:
    if not (mariadb.INSTALL and mariadb.SERVER):
        pytest.skip("mariadbd is not installed")
    with mariadb.running() as server:
        yield server


@pytest.fixture
def shop(mariadb_server: MariaDb, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """An empty database of MariaDB, and an account that may only read it."""
    monkeypatch.setenv("SHOP_PASSWORD", "p@ss'word")
    name = f"shop_{uuid4().hex[:8]}"
    mariadb_server.run(
        None,
        f"CREATE DATABASE {name} CHARACTER SET utf8mb4",
        "CREATE USER IF NOT EXISTS reader@'%' IDENTIFIED BY 'p@ss''word'",
        f"GRANT SELECT ON {name}.* TO reader@'%'",
    )
    yield Shop(mariadb_server, name)
    mariadb_server.run(None, f"DROP DATABASE {name}")


class Shop:
    """A database of MariaDB to extract from."""

    def __init__(self, server: MariaDb, name: str) -> None:
        self.server = server
        self.name = name
        self.url = server.url(name)

    def run(self, *statements: str) -> None:
        self.server.run(self.name, "SET sql_mode = ''", *statements)

    def extractor(self, **declared: Any) -> DatabaseExtractor:
        access = Database("reader", Secret("SHOP_PASSWORD"))
        return DatabaseExtractor(self.url, **{"access": access} | declared)
