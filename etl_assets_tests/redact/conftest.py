"""Fixtures: a migrated database and an empty folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_assets_tests.ingest.world import World

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def world(migrated_url: str, tmp_path: Path) -> World:
    return World(migrated_url, tmp_path)
