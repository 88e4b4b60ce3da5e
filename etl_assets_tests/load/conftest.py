"""Fixture: a migrated database with an empty feed."""

from __future__ import annotations

import pytest

from etl_assets_tests.load.feed import Feed


@pytest.fixture
def feed(migrated_url: str) -> Feed:
    return Feed(migrated_url)
