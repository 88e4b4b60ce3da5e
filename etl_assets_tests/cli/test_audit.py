"""The audit from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from etl_assets.cli import UNSOUND, WRONG_SETTINGS

if TYPE_CHECKING:
    from etl_assets_tests.cli.desk import Desk


@pytest.fixture
def ready(desk: Desk) -> Desk:
    return desk.loaded("2013-02")


def test_sound_tables_exit_with_0_and_leave_pages_behind(ready: Desk) -> None:
    told = ready.succeed("audit")
    assert "Every table is as declared." in told
    index = Path(told.split("Data Docs: ")[1].strip())
    assert index == ready.folder / "home" / "data_docs" / "index.html"
    assert {path.name for path in index.parent.iterdir()} == {"index.html", "stations", "readings"}


def test_a_table_that_is_not_as_declared_exits_with_4_and_is_told_without_its_contents(ready: Desk) -> None:
    ready.execute("UPDATE core.readings SET station = 'Nowhere', keeper = 'Ann-Secret'")
    result = ready.type("audit", "readings")
    assert result.exit_code == UNSOUND
    assert (
        "readings, station__references — station exists in core.stations.code — 1 row does not meet it."
        in result.stdout
    )
    assert "1 table not as declared." in result.stdout
    assert "Ann-Secret" not in result.output
    (told,) = ready.lines("audit", "readings", "--json", exit_code=UNSOUND)
    assert (told["source"], told["rows"], told["expectations"] - told["met"]) == ("readings", 1, 1)
    assert [unmet["rule"] for unmet in told["disagreements"]] == ["station__references"]
    pages = "".join(path.read_text("utf-8") for path in Path(told["data_docs"]).parent.iterdir())
    assert "Ann-Secret" not in pages


def test_tables_that_are_not_there_yet_are_no_fault(desk: Desk) -> None:
    desk.succeed("migrate")
    assert "No table is there yet: run a source first." in desk.succeed("audit")


def test_a_source_that_is_not_declared_is_a_usage_error(desk: Desk) -> None:
    desk.succeed("migrate")
    result = desk.type("audit", "reedings")
    assert result.exit_code == 2
    assert "There is no source 'reedings'. Declared are:" in result.output


def test_a_database_that_was_not_migrated_is_told_with_what_to_do(desk: Desk) -> None:
    result = desk.type("audit")
    assert result.exit_code == WRONG_SETTINGS
    assert "etl-assets migrate" in result.output
