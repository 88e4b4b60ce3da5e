"""The command `audit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from etl_assets.cli import UNSOUND, WRONG_SETTINGS
from etl_assets_tests.cli.desk import prepare_february

if TYPE_CHECKING:
    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk


@pytest.fixture
def ready(prepared: Prepared) -> Desk:
    return prepared(prepare_february)


def test_tables_as_declared_exit_with_0_and_have_pages_in_data_docs(ready: Desk) -> None:
    text = ready.succeed("audit")
    assert "Every table is as declared." in text
    index = Path(text.split("Data Docs: ")[1].strip())
    assert index == ready.folder / "home" / "data_docs" / "index.html"
    assert {path.name for path in index.parent.iterdir()} == {"index.html", "stations", "readings"}


def test_a_table_that_is_not_as_declared_exits_with_4_and_its_contents_are_not_shown(ready: Desk) -> None:
    ready.execute("UPDATE core.readings SET station = 'Nowhere', keeper = 'Ann-Secret'")
    result = ready.type("audit", "readings")
    assert result.exit_code == UNSOUND
    assert (
        "readings, station__references — station exists in core.stations.code — 1 row does not meet it."
        in result.stdout
    )
    assert "1 table not as declared." in result.stdout
    assert "Ann-Secret" not in result.output
    (audited,) = ready.lines("audit", "readings", "--json", exit_code=UNSOUND)
    assert (audited["source"], audited["rows"], audited["expectations"] - audited["met"]) == ("readings", 1, 1)
    assert [unmet["rule"] for unmet in audited["disagreements"]] == ["station__references"]
    pages = "".join(path.read_text("utf-8") for path in Path(audited["data_docs"]).parent.iterdir())
    assert "Ann-Secret" not in pages


def test_missing_tables_before_the_first_run_are_no_error(desk: Desk) -> None:
    desk.succeed("migrate")
    assert "There is no table yet: run a source first." in desk.succeed("audit")


def test_a_source_that_is_not_declared_is_a_usage_error(desk: Desk) -> None:
    desk.succeed("migrate")
    result = desk.type("audit", "reedings")
    assert result.exit_code == 2
    assert "There is no source 'reedings'. Did you mean 'readings'? Declared sources:" in result.output


def test_a_database_that_was_not_migrated_is_an_error_that_names_the_command(desk: Desk) -> None:
    result = desk.type("audit")
    assert result.exit_code == WRONG_SETTINGS
    assert "etl-assets migrate" in result.output
