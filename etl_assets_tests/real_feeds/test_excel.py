"""Workbooks as publishers write them, and those that once broke other readers."""

from __future__ import annotations

import io
import json
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import python_calamine
import xlrd  # type: ignore[import-untyped]  # it has no types

from etl_assets.extract.file import FileExtractor
from etl_assets.extract.formats.excel.format import Excel
from etl_assets.model.counts import Counts
from etl_assets.model.partitions import Files
from etl_assets.postgres.connection import connected
from etl_assets.schema import Column, Schema
from etl_assets.source import Source
from etl_assets_tests.extract.excel_reading import contents, refusal
from etl_assets_tests.real_feeds.taking import FEEDS, take, warehouse, with_real_feeds
from etl_assets_tests.real_feeds.workbook_survey import SUFFIXES, survey
from etl_assets_tests.watching import Watch

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = with_real_feeds
_FOLDER = FEEDS / "uk_health_xlsx"
_TORTURE = FEEDS / "torture"
_BOARDS = "Board-level+figures+-+FOR+ONLINE+PUBLICATION.xlsx"
_TRENDS = "HSCA+-+SG+Website+-+Indicator+Trends+for+daily+data+publication.xlsx"
_HISTORY = "Historic COVID-19 Dashboard Data.xlsx"
_REFUSED = {
    "it is encrypted, and no password is declared": 3,
    "it is an encrypted OpenDocument file": 1,
    "it is of none of the types xlsx, xlsm, xls, xlsb and ods": 1,
    "it cannot be read": 1,
    "its  is cut short or damaged": 1,
    "its  has a cell beyond the last column": 1,
}
_LATER = ("DailyUKDeaths", "EnglandDeaths", "ScotlandDeaths", "WalesDeaths", "NIDeaths")
_ALWAYS = ("TotalUKCases", "NewUKCases", "TotalUKDeaths", "EnglandCases", "ScotlandCases", "WalesCases", "NICases")


def daily() -> Source:
    """The source of the 31 small workbooks, before its owner knew of the columns that came later."""
    counts = (Column(name.lower(), "integer", published_as=name) for name in _ALWAYS)
    return Source(
        name="uk_daily",
        description="Daily indicators, one workbook a day; most of them are named .xslx.",
        owner="team:health",
        extractor=FileExtractor(
            location=f"{_FOLDER}/DailyIndicators/*.x*", format=Excel(batch_bytes=10_000), settle_seconds=0
        ),
        schema=Schema((Column("day", "date", required=True, published_as="DateVal"), *counts), key=("day",)),
        partitions=Files(),
    )


def truth() -> Any:
    return json.loads((_FOLDER / "GROUND_TRUTH.json").read_text("utf-8"))


def test_every_daily_workbook_is_loaded_and_the_columns_that_came_later_are_found(
    postgres_url: str, tmp_path: Path
) -> None:
    with warehouse(postgres_url, tmp_path) as kept:
        taken = take(daily(), kept)
    known = {about["file"]: about for about in truth()["DailyIndicators"]}
    assert taken.counts == {file: Counts(read=1, accepted=1, produced=1, inserted=1) for file in known}
    assert [str(row[0]) for row in taken.table] == sorted(about["DateVal"] for about in known.values())
    unmapped = {file: set(_LATER) if about["ncols"] == 13 else set() for file, about in known.items()}
    assert taken.unmapped == unmapped


def test_the_workbook_that_first_has_other_columns_is_named_with_them_and_no_other(
    postgres_url: str, tmp_path: Path
) -> None:
    source = daily()
    with warehouse(postgres_url, tmp_path) as kept, connected(kept.url) as connection:
        watch = Watch(source, kept, connection)
        found = {key: watch.poll(key) for key in sorted(source.extractor.list())}
    assert len(found) == len(truth()["DailyIndicators"])
    opened = {key: [(event.change.kind, event.change.subject) for event in each.opened] for key, each in found.items()}
    first = next(about["file"] for about in truth()["DailyIndicators"] if about["ncols"] == 13)
    assert {key: changes for key, changes in opened.items() if changes} == {first: [("added", name) for name in _LATER]}
    assert not any(each.closed for each in found.values())


@pytest.mark.parametrize(
    ("file", "sheet", "options", "records", "first"),
    [
        (_BOARDS, "Table 1 *", {"header_row": 3}, 48, ("2020-03-07", "*")),
        (_BOARDS, "Table 2 *", {"header_row": 3}, 37, ("2020-03-18", "*")),
        (_TRENDS, "Table 5 *", {"header_row": 3, "header_rows": 2}, 54, ("2020-03-02", "814")),
        (_TRENDS, "Table 2 *", {"header_row": 3, "header_rows": 2}, 38, ("2020-03-18", None)),
        (_HISTORY, "UK Deaths", {"header_row": 8}, 30, ("2020-03-10", None)),
        (_HISTORY, "UTLAs", {"header_row": 8, "footer": 1}, 150, ("Unconfirmed", "Unconfirmed")),
    ],
)
def test_tables_below_titles_are_read(
    file: str, sheet: str, options: dict[str, Any], records: int, first: tuple[str | None, ...]
) -> None:
    read = contents((_FOLDER / file).read_bytes(), sheet=sheet, **options)
    assert (len(read.records), read.records[0][:2], read.malformed) == (records, first, {})


def test_names_in_two_rows_with_merged_cells_are_joined() -> None:
    read = contents((_FOLDER / _TRENDS).read_bytes(), sheet="Table 5 *", header_row=3, header_rows=2)
    upper = "Cumulative people tested for COVID-19"
    assert read.names == ("Date notified", f"{upper} / Negative", f"{upper} / Positive", f"{upper} / Total")
    assert read.records[-1] == ("2020-04-24", "36392", "9697", "46089")


def test_a_workbook_of_many_tables_is_refused_with_the_names_of_its_sheets() -> None:
    text = refusal((_FOLDER / _TRENDS).read_bytes())
    assert "'Contents', 'Notes', 'Table 1 - NHS 24', 'Chart 1 - NHS 24'" in text


@pytest.mark.slow
def test_every_workbook_that_broke_other_readers_is_read_or_refused_with_a_reason() -> None:
    paths = sorted(path for path in _TORTURE.rglob("*") if path.suffix in SUFFIXES)
    found = survey(paths)
    assert sum(found.read.values()) + sum(found.refused.values()) == len(paths) == 178
    assert dict(found.refused) == _REFUSED
    assert found.rules == {"record__error_cell": 12}


def shown(value: Any) -> str | None:  # noqa: PLR0911 -- one for each type of value
    """What a value of Calamine or xlrd is, as the package writes it."""
    if value in ("", None):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)


@pytest.mark.parametrize(
    ("file", "sheet"),
    [
        ("any_sheets.xlsx", "Visible"),
        ("date.xlsx", "Sheet1"),
        ("date_1904.xlsx", "Sheet1"),
        ("date.xls", "Sheet1"),
        ("date_1904.xls", "Sheet1"),
        ("date.xlsb", "Sheet1"),
        ("date_1904.xlsb", "Sheet1"),
        ("issues.xls", "issue2"),
        ("issues.xlsb", "datatypes"),
        ("issues.ods", "datatypes"),
        ("richtext_issue.ods", "datatypes"),
        ("sst_continue.xls", "Sheet1"),
        ("issue127.xlsx", "Sheet1"),
        ("nonstandard-xml-ns-prefix.xlsx", "Sheet1"),
        ("table-multiple.xlsx", "Sheet1"),
        ("vba.xlsm", "Sheet1"),
    ],
)
def test_contents_are_those_that_calamine_reads(file: str, sheet: str) -> None:
    data = (_TORTURE / "calamine" / "tests" / file).read_bytes()
    book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
    rows = book.get_sheet_by_name(sheet).to_python(skip_empty_area=False)
    width = max(map(len, rows), default=1) or 1
    expected = [tuple(map(shown, row)) for row in rows]
    read = contents(data, sheet=sheet, header=tuple(f"c{n}" for n in range(width)))
    assert read.records == [row for row in expected if any(row)]
    assert read.malformed == {}


def test_errors_in_old_workbooks_are_bad_values() -> None:
    old = contents(
        (_TORTURE / "xlrd" / "tests" / "samples" / "formula_test_sjmachin.xls").read_bytes(), header=tuple("abcde")
    )
    assert list(old.malformed.values()) == [["record__error_cell"]]


def test_options_that_a_type_cannot_keep_are_refused() -> None:
    data = (_TORTURE / "calamine" / "tests" / "date.xlsb").read_bytes()
    assert "of the type xlsb, of which hidden_rows= cannot be kept" in refusal(data, hidden_rows="skip")
    assert "of the type xlsb, of which header_rows= cannot be kept" in refusal(data, header_rows=2)


def test_merged_names_of_old_workbooks_are_joined() -> None:
    read = contents((_TORTURE / "calamine" / "tests" / "merge_cells.xls").read_bytes(), header_rows=2)
    assert read.names == (
        "Row Merge / Column Merge",
        "Row Merge / Chunk Merged",
        "Not Merged / Chunk Merged",
        "Chunk Merged",
    )


def test_old_workbooks_have_the_values_that_xlrd_reads() -> None:
    path = _TORTURE / "calamine" / "tests" / "merged_range.xls"
    for sheet in xlrd.open_workbook(path).sheets():
        read = contents(path.read_bytes(), sheet=sheet.name, header=tuple(f"c{n}" for n in range(sheet.ncols)))
        rows = [tuple(map(shown, sheet.row_values(place))) for place in range(sheet.nrows)]
        assert read.records == [row for row in rows if any(row)]
