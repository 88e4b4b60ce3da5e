"""The fixture `desk`: feeds in a folder, an empty database and a home, in which a test runs commands."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from etl_assets.settings import with_database
from etl_assets_tests.cli.desk import Desk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def desk(database_url: str, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    desk = Desk(database_url, tmp_path)
    for name, value in desk.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("ETL_ASSETS_DAGSTER_URL", "ETL_ASSETS_DAGSTER_STORAGE_URL", "ETL_ASSETS_LANDING_URL", "DAGSTER_HOME"):
        monkeypatch.setenv(name, "")  # so that monkeypatch also restores what commands set
    monkeypatch.delitem(sys.modules, "etl_assets.definitions", raising=False)
    yield desk
    dagster = urlsplit(database_url).path.removeprefix("/") + "_dagster"
    with psycopg.connect(with_database(postgres_url, "postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(dagster)))
