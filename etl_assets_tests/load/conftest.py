"""Fixture: a migrated database with an empty feed."""

from __future__ import annotations

import pytest

from etl_assets.postgres.migrations import migrate
from etl_assets_tests.load.feed import Feed


@pytest.fixture
def feed(database_url: str) -> Feed:
    migrate(database_url)
    return Feed(database_url)
