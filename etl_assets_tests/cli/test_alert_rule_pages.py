"""The commands on the pages of the alert rules work."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from etl_assets_tests.cli.desk import prepare_january
from etl_assets_tests.documented import ROOT, blocks_of

if TYPE_CHECKING:
    import pytest

    from etl_assets_tests.cli.conftest import Prepared

_FOLDER = ROOT / "docs" / "alert-rules"
_OF_DAGSTER = "dagster definitions validate -m etl_assets.definitions"
"""Another test types it: `operations/test_commands.py`."""


def _lines() -> list[str]:
    """The commands of all pages, each once."""
    texts = [text for path in _FOLDER.glob("*.md") for text in blocks_of(path.read_text("utf-8"), "sh")]
    return sorted({line for text in texts for line in text.splitlines()} - {_OF_DAGSTER})


def test_the_commands_of_the_pages_work(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each ends with 0, or with 1 where it reports what is wrong; no channel answers, and no alert has the id."""
    desk = prepared(prepare_january)
    monkeypatch.setenv("ETL_ASSETS_CHANNEL_OPS", "json://127.0.0.1:9/")
    wrong = {}
    lines = _lines()
    assert "etl-assets drift list --source NAME" in lines
    for line in lines:
        program, *words = shlex.split(line.replace("NAME", "readings").replace("CHANNEL", "ops"))
        assert program == "etl-assets"
        result = desk.type(*("1" if word == "ID" else word for word in words))
        if result.exit_code not in {0, 1} or not isinstance(result.exception, SystemExit | None):
            wrong[line] = result.output
    assert wrong == {}
