"""``etl-assets sources`` and ``etl-assets check``: what is declared, and what is wrong, without a database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from etl_assets.cli import WRONG_SETTINGS, main
from etl_assets_tests.declared_files import source_text, write_files

if TYPE_CHECKING:
    from click.testing import Result

_REFERRING = """
from datetime import timedelta
from etl_assets import Column, Csv, Files, FileExtractor, OnChange, Schema, Snapshot, Source

SOURCE = Source(
    name="parcels",
    description="Parcels.",
    owner="team:tests",
    extractor=FileExtractor(location="https://example.org/parcels.csv?key=x", format=Csv()),
    schema=Schema((Column("id", "integer", required=True),), ("id",)),
    trigger=OnChange(every=timedelta(minutes=5)),
    write=Snapshot(),
)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of sources of which one file does not load, in an environment without a database."""
    folder = write_files(
        tmp_path / "feeds",
        stations=source_text("stations", "stations.csv"),
        parcels=_REFERRING,
        broken="import nix_nix",
    )
    monkeypatch.delenv("ETL_ASSETS_DATABASE_URL", raising=False)
    monkeypatch.setenv("ETL_ASSETS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ETL_ASSETS_SOURCES", str(folder))
    monkeypatch.setenv("ETL_ASSETS_BUNDLED", "no")
    return Path(folder)


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def test_sources_are_listed_with_what_they_write_and_where_they_fetch(folder: Path) -> None:
    result = run("sources", "--json")
    facts = {fact["name"]: fact for fact in map(json.loads, result.stdout.splitlines())}
    assert facts["parcels"] == {
        "name": "parcels",
        "table": "core.parcels",
        "write": "Snapshot",
        "partitions": None,
        "trigger": "on change, polled every 0:05:00",
        "from": "https://example.org/parcels.csv?…",
        "owner": "team:tests",
        "file": str(folder / "parcels.py"),
    }
    assert set(facts["broken"]) == {"name", "file", "error"}
    assert "1 file does not load." in run("sources").stdout
    assert "core.stations" in run("sources").stdout
    assert not (folder.parent / "home").exists()


def test_check_shows_every_file_that_is_wrong_and_exits_with_3(folder: Path) -> None:
    (folder / "parcels.py").write_text(_REFERRING.replace('"id", "integer"', '"id", "integr"'))
    result = run("check", "--json")
    assert result.exit_code == WRONG_SETTINGS
    found = json.loads(result.stdout)
    assert found["checked"] == 3
    assert [error["file"] for error in found["errors"]] == [str(folder / "broken.py"), str(folder / "parcels.py")]
    assert "integr" in found["errors"][1]["error"]
    assert "3 files checked, 2 errors." in run("check").stdout


def test_check_of_names_shows_their_errors_alone(folder: Path) -> None:
    assert run("check", "stations").stdout == "1 file checked, 0 errors.\n"
    assert run("check", str(folder / "stations.py"), "README.py").exit_code == 0
    assert run("check", "stations", "broken").exit_code == WRONG_SETTINGS
    unknown = run("check", "station")
    assert unknown.exit_code == 2
    assert "There is no source 'station'." in unknown.stderr


def test_a_reference_to_a_column_that_its_source_does_not_declare_is_an_error(folder: Path) -> None:
    child = source_text("children", references="core.parcels.idd")
    write_files(folder, children=child, fine=source_text("fine", references="core.parcels.id"))
    result = run("check", "children", "fine", "--json")
    assert result.exit_code == WRONG_SETTINGS
    (error,) = json.loads(result.stdout)["errors"]
    assert error == {
        "name": "children",
        "file": str(folder / "children.py"),
        "error": "source 'children': references name core.parcels.idd, a column that source 'parcels' does not "
        "declare. Name one that it has: id.",
    }


def test_a_reference_to_a_table_that_nothing_makes_is_a_warning(folder: Path) -> None:
    write_files(folder, children=source_text("children", references="core.parcel.id"))
    assert run("check", "children").stdout == "1 file checked, 0 errors.\n"  # the broken file may make it
    (folder / "broken.py").unlink()
    result = run("check", "--json")
    assert result.exit_code == 0
    (warning,) = json.loads(result.stdout)["warnings"]
    assert warning["file"] == str(folder / "children.py")
    assert "core.parcel, which no source and no asset here makes" in warning["warning"]
    assert "Did you mean 'core.parcels'?" in warning["warning"]
    assert "3 files checked, 0 errors, 1 warning." in run("check").stdout


def test_a_reference_to_the_table_of_an_asset_written_by_hand_is_right(folder: Path) -> None:
    (folder / "broken.py").unlink()
    by_hand = "import dagster as dg\n\n@dg.asset(key=['core', 'districts'])\ndef made() -> None: ...\n"
    refer = {"core.districts.id": "a", "public.regions.id": "b", "core.parcels_current.id": "c"}
    files = {name: source_text(name, references=column) for column, name in refer.items()}
    write_files(folder, districts=by_hand, **files)
    assert json.loads(run("check", "a", "b", "c", "--json").stdout) == {"checked": 3, "errors": [], "warnings": []}


def test_check_judges_what_declarations_say_of_each_other(folder: Path) -> None:
    (folder / "broken.py").unlink()
    assert run("check").exit_code == 0
    for name, other in (("egg", "hen"), ("hen", "egg")):
        trigger = f"After('core/{other}')"
        text = _REFERRING.replace("parcels", name).replace("OnChange(every=timedelta(minutes=5))", trigger)
        (folder / f"{name}.py").write_text(text.replace("OnChange", "After"))
    result = run("check")
    assert result.exit_code == WRONG_SETTINGS
    assert "form a circle" in result.stdout
