"""The fixture `world`: one source of a file, and a warehouse; and what is asked of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

from etl_assets.postgres.connection import connected
from etl_assets.postgres.roles import RIGHTS
from etl_assets_tests.ingest.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(migrated_url: str, tmp_path: Path) -> World:
    return World(migrated_url, tmp_path)


@pytest.fixture
def reader(migrated_url: str) -> Iterator[str]:
    """The URL of a role that has the rights of ``etl_reader``, and none on tables of sources."""
    with connected(migrated_url) as connection:
        connection.execute("CREATE ROLE reads_stories LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA etl TO reads_stories")
        for right in RIGHTS["etl_reader"]:
            connection.execute(sql.SQL("GRANT {} TO reads_stories").format(sql.SQL(right)))
    yield psycopg.conninfo.make_conninfo(migrated_url, user="reads_stories", password="x")
    with connected(migrated_url) as connection:
        connection.execute("DROP OWNED BY reads_stories; DROP ROLE reads_stories")
