"""The commands `quarantine export --editable` and `quarantine import`: records are corrected in a spreadsheet."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import openpyxl  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets.cli.quarantine.cells import cell_of, is_same, may_be_rewritten, value_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk

_PEOPLE = """
from etl_assets import Column, Csv, FileExtractor, Schema, Source

SOURCE = Source(
    name="people",
    description="Who is there.",
    owner="team:tests",
    extractor=FileExtractor(location={folder!r} + "/people.csv", format=Csv(), settle_seconds=0.0),
    schema=Schema(
        (
            Column("code", "text", required=True),
            Column("born", "date", published_as="Born"),
            Column("zip", "text"),
            Column("note", "text"),
            Column("phone", "text", sensitive=True),
        ),
        ("code",),
    ),
    max_rejected=1.0,
)
"""
_ROWS = (
    'code,Born,zip,note,phone\n001,31.1.2013,01067,=1+1,030-1\n002,x,0815,"two\r\nlines",-2\n003,x,1-2,_x0041_,3\n'
    "004,2013-01-05,1067,fine,4\n"
)


def prepare_people(desk: Desk) -> None:
    """Records 1 to 3 have no date that can be read."""
    (desk.folder / "declared" / "people.py").write_text(_PEOPLE.format(folder=str(desk.folder / "feeds")))
    (desk.folder / "feeds" / "people.csv").write_bytes(_ROWS.encode())
    desk.succeed("migrate")
    desk.succeed("run", "people")


@pytest.fixture
def people(prepared: Prepared) -> Desk:
    return prepared(prepare_people)


def _edit_workbook(path: Path, change: Callable[[dict[str, list[str | None]]], None]) -> None:
    """Edit a workbook by the names of its columns, as a spreadsheet saves it."""
    book = openpyxl.load_workbook(path)
    sheet = book.worksheets[0]
    columns = {cells[0].value: [cell.value for cell in cells[1:]] for cells in sheet.iter_cols()}
    change(columns)
    for place, values in enumerate(columns.values(), start=1):
        for row, value in enumerate(values, start=2):
            sheet.cell(row, place).value = value
            if isinstance(value, str):
                sheet.cell(row, place).data_type = "s"
    book.save(path)


def _edit_csv(path: Path, change: Callable[[list[dict[str, str]]], None], *, separator: str = ",") -> None:
    rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline="")))
    change(rows)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, rows[0].keys(), delimiter=separator)
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(text.getvalue().encode())


def _exported(people: Desk, ending: str, *options: str) -> Path:
    path = people.folder / f"records.{ending}"
    people.succeed("quarantine", "export", "--editable", "--source", "people", "--format", ending, *options, str(path))
    return path


def _corrections(people: Desk) -> list[dict[str, str | None] | None]:
    return [row[0] for row in people.query("SELECT correction FROM etl.rejected ORDER BY id")]


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
@pytest.mark.parametrize("options", [(), ("--reveal",)])
def test_a_sheet_that_nobody_edited_changes_nothing(people: Desk, ending: str, options: tuple[str, ...]) -> None:
    path = _exported(people, ending, *options)
    assert "0 records corrected, 3 unchanged, 0 rows refused." in people.succeed("quarantine", "import", str(path))
    if ending == "xlsx":
        _edit_workbook(path, lambda _: None)
    else:
        _edit_csv(path, lambda _: None, separator=";")
    assert "0 records corrected, 3 unchanged, 0 rows refused." in people.succeed("quarantine", "import", str(path))
    assert _corrections(people) == [None, None, None]


def test_edited_cells_of_a_workbook_are_corrections_and_are_judged(people: Desk) -> None:
    path = _exported(people, "xlsx")

    def edit(columns: dict[str, list[str | None]]) -> None:
        columns["born"] = ["2013-01-05", "2013-02-30", "x"]
        columns["note"][0] = None

    _edit_workbook(path, edit)
    text = people.succeed("quarantine", "import", str(path), "--reviewer", "eve", "--note", "phoned")
    assert "born, note; a replay would load it" in text
    assert "born; still rejected: born__type" in text
    assert _corrections(people) == [{"Born": "2013-01-05", "note": None}, {"Born": "2013-02-30"}, None]
    assert people.query("SELECT reviewer, note FROM etl.decision") == [("eve", "phoned")] * 2


def test_edited_cells_of_a_csv_file_are_corrections_with_their_zeros(people: Desk) -> None:
    path = _exported(people, "csv")

    def edit(rows: list[dict[str, str]]) -> None:
        rows[1]["born"], rows[1]["zip"], rows[1]["note"] = "2013-01-06", "00815x", "a\nb"

    _edit_csv(path, edit)
    people.succeed("quarantine", "import", str(path))
    assert _corrections(people)[1] == {"Born": "2013-01-06", "zip": "00815x", "note": "a\nb"}


def test_a_dry_run_judges_and_changes_nothing(people: Desk) -> None:
    path = _exported(people, "csv")
    _edit_csv(path, lambda rows: rows[0].update(born="2013-01-31"))
    text = people.succeed("quarantine", "import", str(path), "--dry-run")
    assert "1 record would be corrected, 2 unchanged, 0 rows refused; nothing was changed." in text
    assert _corrections(people) == [None, None, None]


def test_what_a_spreadsheet_rewrites_is_refused_and_no_correction(people: Desk) -> None:
    path = _exported(people, "csv", "--reveal")

    def edit(rows: list[dict[str, str]]) -> None:
        rows[0]["zip"] = "1067"
        rows[1]["zip"] = "815"
        rows[2]["zip"] = "02. Jan"

    _edit_csv(path, edit)
    result = people.type("quarantine", "import", str(path))
    assert result.exit_code == 1
    assert "may have rewritten zip by itself" in result.stdout
    assert "3 rows refused" in result.stdout
    assert _corrections(people) == [None, None, None]


def test_a_record_that_changed_since_the_export_is_refused(people: Desk) -> None:
    path = _exported(people, "csv")

    def edit(rows: list[dict[str, str]]) -> None:
        for row in rows:
            row["born"] = "2013-01-05"

    _edit_csv(path, edit)
    people.succeed("quarantine", "fix", "1", "note=other")
    people.succeed("quarantine", "dismiss", "2")
    lines = people.lines("quarantine", "import", str(path), "--json", exit_code=1)
    assert [line["outcome"] for line in lines] == ["refused", "refused", "corrected"]
    assert "changed since the export" in lines[0]["text"]
    assert _corrections(people) == [{"note": "other"}, None, {"Born": "2013-01-05"}]


def test_the_same_file_again_finds_every_record_as_it_has_it(people: Desk) -> None:
    path = _exported(people, "csv")
    _edit_csv(path, lambda rows: rows[0].update(born="2013-01-31"))
    people.succeed("quarantine", "import", str(path))
    assert "0 records corrected, 3 unchanged" in people.succeed("quarantine", "import", str(path))


def test_sensitive_values_are_masked_and_may_be_corrected_all_the_same(people: Desk) -> None:
    path = _exported(people, "csv")
    assert "030-1" not in path.read_text()
    _edit_csv(path, lambda rows: rows[0].update(phone="040-2"))
    people.succeed("quarantine", "import", str(path))
    assert _corrections(people) == [{"phone": "040-2"}, None, None]


def test_no_cell_of_a_sheet_is_a_formula(people: Desk) -> None:
    sheet = openpyxl.load_workbook(_exported(people, "xlsx", "--reveal")).worksheets[0]
    cells = [cell for row in sheet.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells if cell.value is not None} == {"s"}
    assert {cell.number_format for cell in cells} == {"@"}
    assert not [cell.value for cell in cells if str(cell.value or "").startswith(("=", "+", "-", "@"))]


def test_a_sheet_goes_to_standard_output_if_the_file_is_a_dash(people: Desk) -> None:
    text = people.succeed("quarantine", "export", "--editable", "--source", "people", "--format", "csv", "-")
    assert text.removeprefix("\ufeff").startswith('"#id","#state"')


@pytest.mark.parametrize(
    ("contents", "problem"),
    [
        (b"id,born\n1,2\n", "no columns #id and #state"),
        (b"#id,#state,town\n1,s,2\n", "'town' is no column of source people"),
        (b"#id,#state,born\n1,s,\xe9\n", "is not UTF-8"),
        (b'#id,#state,born\n1,s,"2', "cannot be read as CSV"),
        (b"PK\x03\x04", "cannot be read"),
    ],
)
def test_another_file_is_an_error(people: Desk, contents: bytes, problem: str) -> None:
    path = people.folder / "other"
    path.write_bytes(contents)
    result = people.type("quarantine", "import", str(path))
    assert result.exit_code in {1, 2}
    assert problem in result.stderr


def test_what_was_imported_before_a_row_that_cannot_be_read_is_counted(people: Desk) -> None:
    path = _exported(people, "csv")
    _edit_csv(path, lambda rows: rows[0].update(born="2013-01-31"))
    path.write_bytes(path.read_bytes() + b"x,s\r\n" * 5_000 + b"x,\xe9\r\n")
    result = people.type("quarantine", "import", str(path))
    assert result.exit_code == 2
    assert "1 record corrected" in result.stdout
    assert "The rows after those that are counted were not imported." in result.stderr
    assert people.query("SELECT count(*) FROM etl.rejected WHERE correction IS NOT NULL") == [(1,)]


def test_a_row_without_a_record_is_refused(people: Desk) -> None:
    path = people.folder / "rows.csv"
    path.write_text("#id,#state,born\nx,s,1\n99,s,1\n1,s,31.1.2013\n1,s,31.1.2013\n")
    lines = people.lines("quarantine", "import", str(path), "--json", exit_code=1)
    assert [line["text"] for line in lines] == [
        "#id is no number", "there is no such record", "", "a row before has the same record",
    ]  # fmt: skip


@given(st.text())
def test_a_cell_that_nobody_edited_is_recognised_whatever_its_line_ends(text: str) -> None:
    cell = cell_of(text)
    assert is_same(cell.replace("\r\n", "\n").replace("\r", "\n"), cell)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.mark.parametrize("text", ["\x01" * 20_000, "\U0001f600" * 20_000, "x" * 32_767])
def test_a_value_that_is_too_long_for_a_cell_as_it_is_written_is_described(text: str) -> None:
    assert cell_of(text) == "(too long for a cell)"
    assert cell_of(text[:8_000]) != "(too long for a cell)"


@given(st.text(st.characters(min_codepoint=32, exclude_categories=("Cs", "Cn")), min_size=1, max_size=20))
def test_a_value_that_is_written_into_a_cell_is_read_back(text: str) -> None:
    assert value_of(cell_of(text)) == text


@pytest.mark.parametrize(
    ("exported", "cell"),
    [
        ("007", "7"), ("1.50", "1.5"), ("1,50", "1.5"), ("1234567890123456789", "1.23457E+18"), ("true", "TRUE"),
        ("2013-01-05", "05.01.2013"), ("5/1/2013", "01.05.2013"), ("2013-01-05 10:30:00", "05.01.2013 10:30"),
        ("1-2", "02. Jan"), ("3/4", "04-Mar"), ("'+49 30", "4930"), ("12345678901234567", "12345678901234500"),
    ],
)  # fmt: skip
def test_what_a_spreadsheet_writes_otherwise_by_itself_is_recognised(exported: str, cell: str) -> None:
    assert may_be_rewritten(cell, exported)


@pytest.mark.parametrize(
    ("exported", "cell"), [("007", "8"), ("x", "2013-01-05"), ("2013-01-05", "2013-01-06"), ("warm", "9.5"), ("", "7")]
)
def test_what_a_person_enters_is_no_rewriting(exported: str, cell: str) -> None:
    assert not may_be_rewritten(cell, exported)
