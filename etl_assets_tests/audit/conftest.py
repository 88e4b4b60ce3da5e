"""One migrated warehouse for the tests of the witness; each takes tables of its own in it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from etl_assets.postgres.migrations import migrate
from etl_assets.settings import with_database

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="package")
def warehouse_url(postgres_url: str) -> Iterator[str]:
    name = sql.Identifier(named := f"witness_{uuid4().hex}")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template1").format(name))
    url = with_database(postgres_url, named)
    migrate(url)
    yield url
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
