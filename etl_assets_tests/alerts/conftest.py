"""Fixture: an office over an empty warehouse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_assets.postgres.connection import connected
from etl_assets_tests.alerts.office import Office

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def office(migrated_url: str) -> Iterator[Office]:
    """An office whose warehouse has no alerts, runs or deliveries yet."""
    with connected(migrated_url) as connection:
        yield Office(migrated_url, connection)
