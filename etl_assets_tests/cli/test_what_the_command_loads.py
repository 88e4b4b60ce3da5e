"""`etl-assets run` builds the definitions that it needs, and evaluates every check of what it runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from etl_assets_tests.cli.desk import prepare_published
from etl_assets_tests.cli.written_by_hand import CHECK, MART

if TYPE_CHECKING:
    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk

_ALL = "etl_assets.definitions"


@pytest.fixture
def desk(prepared: Prepared) -> Desk:
    return prepared(prepare_published)


def test_the_command_builds_no_definitions_that_it_does_not_need(desk: Desk) -> None:
    declared = desk.folder / "declared"
    (declared / "by_day.py").write_text(MART.format(name="by_day"))
    (declared / "several.py").write_text(MART.format(name="by_month"))
    lines = desk.lines("run", "marts/by_day", "readings", "stations", "--json")
    loads = [("stations", None), *(("readings", f"2013-{day}") for day in ("01-01", "01-02", "02-01"))]
    assert [(line["source"], line["partition"]) for line in lines] == [*loads, ("marts.by_day", None)]
    assert _ALL not in sys.modules
    desk.succeed("run", "marts/by_month")
    assert _ALL in sys.modules


def test_the_command_evaluates_a_check_that_is_in_another_file(desk: Desk) -> None:
    (desk.folder / "declared" / "checks.py").write_text(CHECK)
    (line,) = desk.lines("run", "stations", "--json")
    assert line["remarks"] == ["check there_are_three failed: There are two."]


def test_a_broken_file_stops_no_run_of_another_by_the_command(desk: Desk) -> None:
    (desk.folder / "declared" / "broken.py").write_text("import nonesuch\n")
    desk.succeed("run", "stations")
    assert _ALL not in sys.modules
