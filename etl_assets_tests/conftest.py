"""Fixtures: a real PostgreSQL server and databases for the tests."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import settings

from etl_assets.local import embedded
from etl_assets.postgres import outages
from etl_assets.postgres.migrations import migrate
from etl_assets.postgres.runs import liveness
from etl_assets_tests.databases import fresh_database
from etl_assets_tests.file_servers import s3_server
from etl_assets_tests.warehouses import Warehouses

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import LiteralString

_FASTER: tuple[LiteralString, ...] = (  # safe, because tests crash processes, not machines
    "ALTER SYSTEM SET fsync = off",
    "ALTER SYSTEM SET full_page_writes = off",
    "ALTER SYSTEM SET deadlock_timeout = '200ms'",
)

# No deadlines, since a machine may be busy. The same examples each time, so that a run fails only for what it changed;
# `make explore` looks for others.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile("same")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a database, so that `make check` can leave them out."""
    for item in items:
        if "postgres_url" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.database)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a superuser: of a server of this test process, or the one in ETL_ASSETS_TEST_DATABASE_URL."""
    if given := os.environ.get("ETL_ASSETS_TEST_DATABASE_URL"):
        yield given
        return
    home = Path(tempfile.mkdtemp(prefix="etl-assets-tests-"))  # the server's account cannot enter pytest's folders
    home.chmod(0o711)
    try:
        with embedded(home) as server:
            with psycopg.connect(server.superuser_url(), autocommit=True) as connection:
                for statement in (*_FASTER, "SELECT pg_reload_conf()"):
                    connection.execute(statement)
            yield server.superuser_url()
    finally:
        shutil.rmtree(home)


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """The URL of a fresh, empty database, which is dropped after the test."""
    with fresh_database(postgres_url) as url:
        yield url


@pytest.fixture(scope="session")
def warehouses(postgres_url: str) -> Iterator[Warehouses]:
    """The warehouse that tests of this process borrow."""
    warehouses = Warehouses(postgres_url)
    yield warehouses
    warehouses.discard()


@pytest.fixture
def migrated_url(warehouses: Warehouses) -> Iterator[str]:
    """The URL of an empty, migrated warehouse; cheaper than `database_url` and `migrate`."""
    yield warehouses.lend()
    liveness._end_all()  # the session of a run that a test left open would come back in the next test's warehouse
    warehouses.take_back()


@pytest.fixture(scope="session")
def warehouse_url(postgres_url: str) -> Iterator[str]:
    """The URL of one migrated warehouse for many tests; each test uses its own tables and sources in it."""
    with fresh_database(postgres_url, "warehouse") as url:
        migrate(url)
        yield url


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """The URL of a server of S3 for the tests of this process; each test uses its own bucket."""
    with s3_server() as url:
        yield url


@pytest.fixture
def quick_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the waits for a database that is away short."""
    monkeypatch.setattr(outages, "_FIRST_WAIT", 0.01)
    monkeypatch.setattr(outages, "_JITTER", 0.0)
    monkeypatch.setattr(outages, "_LONGEST_WAIT", 0.05)
