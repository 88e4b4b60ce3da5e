"""``etl-assets status``: the table, the details of one source, JSON and the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_assets_tests.cli.desk import prepare_january, prepare_published

if TYPE_CHECKING:
    from etl_assets_tests.cli.conftest import Prepared


@pytest.mark.slow
def test_the_worst_table_is_first_with_the_command_to_run_next(prepared: Prepared) -> None:
    result = prepared(prepare_january).type("status")
    assert result.exit_code == 1, result.output
    words = [line.split()[:2] for line in result.stdout.partition("\n\n")[0].splitlines()]
    assert [pair for pair in words if pair and pair[0] in {"readings", "parcels", "stations"}] == [
        ["readings", "degraded"],
        ["parcels", "unknown"],
        ["stations", "good"],
    ]
    assert "etl-assets quarantine list --source readings" in result.stdout
    assert "tables is not well." in result.stdout


@pytest.mark.slow
def test_a_table_that_is_well_ends_with_0(prepared: Prepared) -> None:
    desk = prepared(prepare_january)
    assert "stations is good since" in desk.succeed("status", "stations")
    assert "It was never run." in desk.succeed("status", "parcels")
    result = desk.type("status", "readings")
    assert result.exit_code == 1
    assert "  check station__references 1 of 4 records break it: station exists in core.stations." in result.stdout
    assert "There is no source 'nobody'" in desk.type("status", "nobody").output


@pytest.mark.slow
def test_json_has_a_line_for_each_table(prepared: Prepared) -> None:
    tables = prepared(prepare_january).lines("status", "--json", exit_code=1)
    found = {table["name"]: (table["health"], table["open"]) for table in tables}
    assert found["readings"] == ("degraded", 1)
    assert found["parcels"] == ("unknown", 0)
    assert found["stations"] == ("good", 0)
    assert next(iter(found)) == "readings"
    assert tables[0]["parked"] == 1
    assert tables[0]["findings"][0]["remedy"] == "etl-assets quarantine list --source readings"


def test_a_warehouse_without_runs_is_well(prepared: Prepared) -> None:
    desk = prepared(prepare_published)
    assert {table["health"] for table in desk.lines("status", "--json")} == {"unknown"}
    assert "tables, all well." in desk.succeed("status")


def test_a_file_that_does_not_load_is_a_broken_table(prepared: Prepared) -> None:
    desk = prepared(prepare_published)
    (desk.folder / "declared" / "wrong.py").write_text("SOURCE = nothing\n")
    result = desk.type("status", "wrong")
    assert result.exit_code == 1
    assert "wrong is broken" in result.stdout
    assert f"Correct {desk.folder}/declared/wrong.py" in result.stdout


@pytest.mark.slow
def test_pages_have_no_values_of_records(prepared: Prepared) -> None:
    desk = prepared(prepare_january)
    folder = desk.folder / "pages"
    result = desk.type("status", "--html", str(folder))
    assert f"Pages: {folder}/index.html" in result.stdout
    text = "".join(path.read_text() for path in folder.rglob("*.html"))
    assert "celsius" in text
    assert [value for value in ("warm", "Ann", "=Bo", ">Cy<", ">2.5<") if value in text] == []
    assert (folder / "tables").stat().st_mode & 0o077 == 0
