"""The quarantine from the command line."""

from __future__ import annotations

import csv
import io
import json
from base64 import b64decode
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets.cli.quarantine_export import escaped, write_csv
from etl_assets.cli.terminal import harmless, harmless_bytes

if TYPE_CHECKING:
    from etl_assets_tests.cli.desk import Desk


@pytest.fixture
def ready(desk: Desk) -> Desk:
    """Record 1 is open and holds a formula, record 2 is parked."""
    return desk.loaded("2013-01-01")


def test_the_list_counts_by_rule_and_shows_no_contents(ready: Desk) -> None:
    text = ready.succeed("quarantine", "list")
    assert "celsius__type" in text
    assert "station__references" in text
    assert "warm" not in text
    (told,) = ready.lines("quarantine", "list", "--status", "parked", "--json")
    assert told["summary"] == [
        {"source": "readings", "status": "parked", "rule": "station__references", "records": 1}
    ]  # fmt: skip
    assert [record["rules"] for record in told["records"]] == [["station__references"]]
    assert not {"raw", "fields", "correction"} & told["records"][0].keys()


def test_a_record_is_shown_with_what_each_broken_rule_asks_and_without_what_is_sensitive(ready: Desk) -> None:
    text = ready.succeed("quarantine", "show", "1")
    assert "celsius is a float" in text
    assert "'warm'" in text
    assert "2013-01-01.csv" in text
    assert "=Bo" not in text


def test_what_is_sensitive_is_shown_when_it_is_asked_for(ready: Desk) -> None:
    (told,) = ready.lines("quarantine", "show", "1", "--reveal", "--json")
    assert told["raw"] == "B,1,warm,=Bo"
    assert told["fields"]["keeper"] == "=Bo"


def test_records_of_a_source_that_is_not_declared_any_more_are_masked_whole(ready: Desk) -> None:
    (ready.folder / "declared" / "readings.py").unlink()
    (told,) = ready.lines("quarantine", "show", "1", "--json")
    assert set(told["fields"].values()) == {"***"}
    assert told["raw"] == "***"


def test_a_corrected_record_is_replayed_by_its_names_in_the_table(ready: Desk) -> None:
    ready.succeed("quarantine", "fix", "1", "celsius=9.5", "--null", "keeper", "--note", "phoned", "--reviewer", "eve")
    (told,) = ready.lines("quarantine", "replay", "readings", "1", "--json")
    assert (told["read"], told["rejected"], told["inserted"], told["waiting"]) == (1, 0, 1, [])
    assert ready.query("SELECT celsius, keeper FROM core.readings WHERE station = 'B'") == [(9.5, None)]
    assert ready.query("SELECT correction, reviewer, note FROM etl.rejected WHERE id = 1") == [
        ({"temp": "9.5", "keeper": None}, "eve", "phoned")
    ]


def test_a_correction_that_still_breaks_a_rule_keeps_the_record_waiting(ready: Desk) -> None:
    ready.succeed("quarantine", "fix", "1", "celsius=mild")
    text = ready.succeed("quarantine", "replay", "readings", "1")
    assert "still waiting: 1" in text
    assert "celsius__type" in text


def test_a_name_that_is_no_column_is_not_stored_as_a_correction(ready: Desk) -> None:
    result = ready.type("quarantine", "fix", "1", "fahrenheit=9")
    assert result.exit_code == 2
    assert "fahrenheit" in result.stderr
    assert ready.query("SELECT correction FROM etl.rejected WHERE id = 1") == [(None,)]


def test_a_record_that_is_not_there_is_told(ready: Desk) -> None:
    assert ready.type("quarantine", "show", "99").exit_code == 1
    assert ready.type("quarantine", "fix", "99", "celsius=1").exit_code == 1


def test_records_are_dismissed_by_rule(ready: Desk) -> None:
    text = ready.succeed("quarantine", "dismiss", "--source", "readings", "--rule", "celsius__type", "--note", "known")
    assert "1 record dismissed" in text
    assert ready.query("SELECT status, note FROM etl.rejected ORDER BY id") == [
        ("dismissed", "known"),
        ("parked", None),
    ]


def test_dismissing_what_does_not_wait_is_an_error(ready: Desk) -> None:
    ready.succeed("quarantine", "dismiss", "1")
    assert ready.type("quarantine", "dismiss", "1").exit_code == 1


def test_dismissing_everything_must_be_asked_for_by_name(ready: Desk) -> None:
    assert ready.type("quarantine", "dismiss").exit_code == 2
    assert ready.type("quarantine", "dismiss", "--rule", "celsius__type").exit_code == 2


def test_an_export_holds_every_record_with_its_bytes_in_base64(ready: Desk) -> None:
    lines = ready.lines("quarantine", "export", "--format", "jsonl", "--reveal")
    assert [b64decode(line["raw_base64"]) for line in lines] == [b"B,1,warm,=Bo", b"Z,1,3,Cy"]
    masked = ready.lines("quarantine", "export", "--format", "jsonl", "--status", "open")
    assert [line["raw_base64"] for line in masked] == ["***"]
    assert masked[0]["fields"]["keeper"] == "***"


def test_an_export_to_a_file_can_be_read_back_as_csv(ready: Desk) -> None:
    path = ready.folder / "rejected.csv"
    ready.execute("UPDATE etl.rejected SET note = '=1+1' WHERE id = 1")
    ready.succeed("quarantine", "export", "--source", "readings", "--format", "csv", str(path))
    rows = list(csv.DictReader(io.StringIO(path.read_text(), newline="")))
    assert [row["id"] for row in rows] == ["1", "2"]
    assert rows[0]["note"] == "'=1+1"
    assert json.loads(rows[0]["fields"])["temp"] == "warm"


@given(st.text())
def test_no_exported_cell_can_be_taken_for_a_formula(text: str) -> None:
    told = escaped(text)
    assert not told.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert told.removeprefix("'") == text or told == text


def test_every_exported_cell_is_quoted() -> None:
    file = io.StringIO(newline="")
    write_csv(file, [])
    assert all(cell.startswith('"') and cell.endswith('"') for cell in file.getvalue().strip().split(","))


@given(st.binary())
def test_no_byte_of_a_record_reaches_the_terminal_as_a_control_character(raw: bytes) -> None:
    assert harmless_bytes(raw).isprintable()


def test_escapes_say_what_stood_there() -> None:
    assert harmless("a\x1b[31mb\u202ec") == "a\\x1b[31mb\\u202ec"
    assert harmless_bytes(b"Jos\xe9 \xc3\xa9\x00") == "Jos\\xe9 é\\x00"
