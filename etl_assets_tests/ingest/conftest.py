"""Fixtures: a migrated database and an empty folder; few rows that are written as many are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_assets.postgres.tables import upsert
from etl_assets_tests.ingest.world import World

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def world(migrated_url: str, tmp_path: Path) -> World:
    return World(migrated_url, tmp_path)


@pytest.fixture(autouse=True)
def replaced_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """In random histories, replace changed rows, as is done with many; other tests update them."""
    if request.module.__name__.rpartition(".")[2].startswith("test_random"):
        monkeypatch.setattr(upsert, "REPLACED_FROM", 1)
