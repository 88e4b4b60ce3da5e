"""Fixtures: the secrets of the test servers."""

from __future__ import annotations

import pytest

from etl_assets_tests.file_servers import PASSWORD


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEED_PASSWORD", PASSWORD)
    monkeypatch.setenv("WRONG_PASSWORD", "guessed")
