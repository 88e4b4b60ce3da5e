"""One warehouse for all tests of this folder, emptied before each test."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from etl_assets.postgres.connection import connected
from etl_assets.postgres.migrations.migrate import migrate
from etl_assets.settings import with_database
from etl_assets_tests.alerts.office import Office

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def warehouse(postgres_url: str) -> Iterator[str]:
    """The URL of a migrated warehouse."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        migrate(with_database(postgres_url, name))
        yield with_database(postgres_url, name)
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def office(warehouse: str) -> Iterator[Office]:
    """An office whose warehouse has no alerts, runs or deliveries yet."""
    with connected(warehouse) as connection:
        connection.execute("TRUNCATE etl.alert, etl.run, etl.delivery RESTART IDENTITY CASCADE")
        yield Office(warehouse, connection)
