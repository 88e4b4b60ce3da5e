"""`etl-assets redact` shows, asks, removes, and says what is left; contents are never printed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from click.testing import CliRunner

from etl_assets.cli import main
from etl_assets_tests.cli.desk import prepare_january

if TYPE_CHECKING:
    from click.testing import Result

    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk


@pytest.fixture
def ready(prepared: Prepared) -> Desk:
    return prepared(prepare_january)


def redact(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(main, ["redact", *arguments], input=answer)


def test_a_person_is_removed_and_the_doctor_agrees(ready: Desk) -> None:
    result = redact("readings", "keeper=Ann", "--reason", "ticket 17", "--yes")
    assert result.exit_code == 0, result.output
    assert "readings: 1 record found in 1 delivery." in result.stdout
    assert ":2" in result.stdout
    assert "readings: 1 delivery reloaded, 1 file of frozen bytes removed." in result.stdout
    assert "They may still be at the publisher and in its inbox, in backups" in " ".join(result.stdout.split())
    assert ready.query("SELECT station, day FROM core.readings") == [("A", 2)]
    assert ready.query("SELECT records, reason FROM etl.redaction") == [([1], "ticket 17")]
    assert "All" in ready.succeed("doctor")
    assert "Ann" not in result.output


def test_dagster_shows_that_the_partition_is_another(ready: Desk) -> None:
    before = _materializations()
    assert redact("readings", "keeper=Ann", "--reason", "asked", "--yes").exit_code == 0
    assert _materializations() == before + 1
    assert ready.query("SELECT count(*) FROM core.readings") == [(1,)]


def _materializations() -> int:
    with dg.DagsterInstance.get() as instance:
        return len(instance.fetch_materializations(dg.AssetKey(["core", "readings"]), limit=100).records)


def test_it_asks_and_without_consent_nothing_is_changed(ready: Desk) -> None:
    result = redact("readings", "keeper=Ann", "--reason", "asked", answer="n\n")
    assert result.exit_code == 1
    assert "Remove them for good?" in result.output
    assert ready.query("SELECT count(*) FROM core.readings") == [(2,)]
    assert ready.query("SELECT count(*) FROM etl.redaction") == [(0,)]


def test_a_dry_run_shows_the_records_and_changes_nothing(ready: Desk) -> None:
    result = redact("readings", "keeper=Ann", "--dry-run")
    assert "1 record found in 1 delivery" in result.stdout
    assert "reloaded" not in result.stdout
    assert ready.query("SELECT count(*) FROM core.readings") == [(2,)]


def test_a_file_names_many_at_once(ready: Desk) -> None:
    path = ready.folder / "forget.csv"
    path.write_text("station,day\nA,1\nA,2\n")
    result = redact("readings", "--from", str(path), "--reason", "asked", "--yes")
    assert "2 records found in 1 delivery" in result.stdout
    assert ready.query("SELECT count(*) FROM core.readings") == [(0,)]


def test_a_file_may_begin_with_the_mark_that_a_spreadsheet_writes(ready: Desk) -> None:
    path = ready.folder / "forget.csv"
    path.write_text("station,day\nA,1\n", "utf-8-sig")
    assert "1 record found in 1 delivery" in redact("readings", "--from", str(path), "--dry-run").stdout


@pytest.mark.parametrize("contents", [b'keeper\n"Zo', b"keeper\nZo\xe9\n"])
def test_a_file_that_is_no_csv_is_refused_without_its_contents(ready: Desk, contents: bytes) -> None:
    path = ready.folder / "forget.csv"
    path.write_bytes(contents)
    result = redact("readings", "--from", str(path), "--dry-run")
    assert (result.exit_code, "Zo" in result.output) == (2, False)
    assert "--from is no CSV in UTF-8" in result.output


def test_a_rejected_record_is_removed_by_its_number_and_what_could_not_be_compared_is_said(ready: Desk) -> None:
    compared = redact("readings", "celsius=3", "--dry-run")
    assert "1 record of deliveries 2 could not be compared" in " ".join(compared.stderr.split())
    result = redact("readings", "--record", "2:2", "--reason", "asked", "--yes")
    assert result.exit_code == 0, result.output
    assert ready.query("SELECT convert_from(raw, 'UTF8'), status FROM etl.rejected ORDER BY id") == [
        ("", "superseded"),
        ("Z,1,3,Cy", "parked"),
    ]


@pytest.mark.usefixtures("ready")
def test_json_has_numbers_and_no_contents() -> None:
    result = redact("readings", "keeper=Ann", "--reason", "asked", "--json")
    shown = json.loads(result.stdout)
    assert shown["found"] == [{"delivery": 2, "partition": "2013-01-01", "records": [1], "not_compared": 0}]
    assert (shown["finished"]["removed"], shown["finished"]["reloaded"], shown["finished"]["rows_left"]) == (1, [2], 0)


@pytest.mark.usefixtures("ready")
def test_the_name_alone_finishes_what_is_left() -> None:
    assert redact("readings", "keeper=Ann", "--reason", "asked", "--yes").exit_code == 0
    again = redact("readings")
    assert again.exit_code == 0
    assert again.stdout.strip() == "readings: 0 deliveries reloaded, 0 files of frozen bytes removed."


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("readings", "keeper=Ann"), "Give a --reason"),
        (("readings", "keeper"), "'keeper' is not of the form COLUMN=VALUE"),
        (("readings", "--record", "2", "--dry-run"), "'2' is not of the form DELIVERY:NUMBER"),
        (("nowhere", "keeper=Ann", "--dry-run"), "There is no source 'nowhere'"),
    ],
)
def test_a_wrong_command_line_is_refused(arguments: tuple[str, ...], said: str) -> None:
    result = redact(*arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())


def test_a_file_with_a_short_line_is_refused(ready: Desk) -> None:
    path = ready.folder / "forget.csv"
    path.write_text("station,day\nA\n")
    result = redact("readings", "--from", str(path), "--dry-run")
    assert (result.exit_code, "Line 2 of --from has not as many values" in result.output) == (2, True)
