"""The command `quarantine`."""

from __future__ import annotations

import csv
import io
import json
from base64 import b64decode
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets.cli.quarantine.cells import escape_formula
from etl_assets.cli.quarantine.exporting import write_csv
from etl_assets.cli.terminal import harmless_bytes
from etl_assets.model.text import escape_control_characters
from etl_assets_tests.cli.desk import prepare_january

if TYPE_CHECKING:
    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk

_HUGE = "99999999999999999999"


@pytest.fixture
def ready(prepared: Prepared) -> Desk:
    """Record 1 is open and contains a formula, record 2 is parked."""
    return prepared(prepare_january)


def test_the_list_counts_by_rule_and_shows_no_contents(ready: Desk) -> None:
    text = ready.succeed("quarantine", "list")
    assert "celsius__type" in text
    assert "station__references" in text
    assert "warm" not in text
    (output,) = ready.lines("quarantine", "list", "--status", "parked", "--json")
    assert output["summary"] == [
        {"source": "readings", "status": "parked", "rule": "station__references", "records": 1}
    ]  # fmt: skip
    assert [record["rules"] for record in output["records"]] == [["station__references"]]
    assert not {"raw", "fields", "correction"} & output["records"][0].keys()


def test_show_prints_the_broken_rules_of_a_record_and_no_sensitive_values(ready: Desk) -> None:
    text = ready.succeed("quarantine", "show", "1")
    assert "celsius is a float" in text
    assert "'warm'" in text
    assert "2013-01-01.csv" in text
    assert "=Bo" not in text


def test_reveal_shows_sensitive_values(ready: Desk) -> None:
    (record,) = ready.lines("quarantine", "show", "1", "--reveal", "--json")
    assert record["raw"] == "B,1,warm,=Bo"
    assert record["fields"]["keeper"] == "=Bo"


def test_all_values_of_a_source_that_is_no_longer_declared_are_masked(ready: Desk) -> None:
    (ready.folder / "declared" / "readings.py").unlink()
    (record,) = ready.lines("quarantine", "show", "1", "--json")
    assert set(record["fields"].values()) == {"***"}
    assert record["raw"] == "***"


def test_a_record_is_corrected_by_names_of_the_table_and_replayed(ready: Desk) -> None:
    ready.succeed("quarantine", "fix", "1", "celsius=9.5", "--null", "keeper", "--note", "phoned", "--reviewer", "eve")
    (output,) = ready.lines("quarantine", "replay", "readings", "1", "--json")
    assert (output["read"], output["rejected"], output["inserted"], output["waiting"]) == (1, 0, 1, [])
    assert ready.query("SELECT celsius, keeper FROM core.readings WHERE station = 'B'") == [(9.5, None)]
    assert ready.query("SELECT correction, reviewer, note FROM etl.rejected WHERE id = 1") == [
        ({"temp": "9.5", "keeper": None}, "eve", "phoned")
    ]


def test_show_prints_the_correction_of_a_record_that_could_not_be_parsed(ready: Desk) -> None:
    ready.publish("2013-01-02.csv", "station,day,temp,keeper\nA,3,2.5,Ann\nB,3\n")
    ready.succeed("run", "readings", "--partition", "2013-01-02")
    assert "as published" not in ready.succeed("quarantine", "show", "3")
    ready.succeed("quarantine", "fix", "3", "station=B", "day=3", "celsius=4.5", "keeper=Bo")
    shown = ready.succeed("quarantine", "show", "3")
    assert "'4.5'" in shown
    assert "'Bo'" not in shown


def test_a_correction_that_still_breaks_a_rule_keeps_the_record_waiting(ready: Desk) -> None:
    ready.succeed("quarantine", "fix", "1", "celsius=mild")
    text = ready.succeed("quarantine", "replay", "readings", "1")
    assert "still waiting: 1" in text
    assert "celsius__type" in text


def test_a_correction_of_an_unknown_column_is_an_error_and_not_stored(ready: Desk) -> None:
    result = ready.type("quarantine", "fix", "1", "fahrenheit=9")
    assert result.exit_code == 2
    assert "fahrenheit" in result.stderr
    assert ready.query("SELECT correction FROM etl.rejected WHERE id = 1") == [(None,)]


def test_a_missing_record_is_an_error(ready: Desk) -> None:
    assert ready.type("quarantine", "show", "99").exit_code == 1
    assert ready.type("quarantine", "fix", "99", "celsius=1").exit_code == 1


def test_records_are_dismissed_by_rule(ready: Desk) -> None:
    text = ready.succeed("quarantine", "dismiss", "--source", "readings", "--rule", "celsius__type", "--note", "known")
    assert "1 record dismissed" in text
    assert ready.query("SELECT status, note FROM etl.rejected ORDER BY id") == [
        ("dismissed", "known"),
        ("parked", None),
    ]


def test_dismissing_a_record_that_does_not_wait_is_an_error(ready: Desk) -> None:
    ready.succeed("quarantine", "dismiss", "1")
    assert ready.type("quarantine", "dismiss", "1").exit_code == 1


@pytest.mark.parametrize(
    "words",
    [
        ("quarantine", "show", _HUGE), ("quarantine", "dismiss", _HUGE), ("quarantine", "fix", _HUGE, "celsius=1"),
        ("quarantine", "replay", "readings", _HUGE), ("quarantine", "list", "--where", f"delivery={_HUGE}"),
        ("explain", "delivery", _HUGE), ("drift", "show", _HUGE), ("alerts", "ack", _HUGE),
    ],
)  # fmt: skip
def test_an_id_that_no_row_can_have_is_a_wrong_command_line(ready: Desk, words: tuple[str, ...]) -> None:
    result = ready.type(*words)
    assert (result.exit_code, "LoadError" in result.output) == (2, False)


def test_dismiss_needs_ids_or_a_source(ready: Desk) -> None:
    assert ready.type("quarantine", "dismiss").exit_code == 2
    assert ready.type("quarantine", "dismiss", "--rule", "celsius__type").exit_code == 2


def test_an_export_has_every_record_with_its_bytes_in_base64(ready: Desk) -> None:
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
    cell = escape_formula(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert cell.removeprefix("'") == text or cell == text


def test_every_exported_cell_is_quoted() -> None:
    file = io.StringIO(newline="")
    write_csv(file, [])
    assert all(cell.startswith('"') and cell.endswith('"') for cell in file.getvalue().strip().split(","))


@given(st.binary())
def test_no_byte_of_a_record_reaches_the_terminal_as_a_control_character(raw: bytes) -> None:
    assert harmless_bytes(raw).isprintable()


def test_escapes_show_the_replaced_characters() -> None:
    assert escape_control_characters("a\x1b[31mb\u202ec") == "a\\x1b[31mb\\u202ec"
    assert harmless_bytes(b"Jos\xe9 \xc3\xa9\x00") == "Jos\\xe9 é\\x00"
