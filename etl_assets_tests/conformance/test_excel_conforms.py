"""The format of workbooks conforms to the contract of formats."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from etl_assets.extract.formats.excel.format import Excel
from etl_assets.testing.format_suite import FormatSuite
from etl_assets_tests.extract.workbooks import book, ods, ods_cell, ods_number, ods_row, ods_table, workbook

_NAMES = ("Number", "Word", "Day")
_MIDNIGHT = datetime(2021, 1, 31)  # noqa: DTZ001 -- workbooks have no zones
_ROWS = [(n, f"word {n}\né\U0001f600", n / 7) for n in range(30)]


def _damage(writer: Any, sheet: Any) -> None:
    sheet.write_formula(7, 1, "=1/0", None, "#DIV/0!")
    sheet.write(11, 5, "unnamed")
    sheet.write_datetime(12, 2, _MIDNIGHT, writer.add_format({"num_format": "yyyy-mm-dd"}))
    sheet.write_number(13, 2, 60, writer.add_format({"num_format": "yyyy-mm-dd"}))


def _damage_and_hide(writer: Any, sheet: Any) -> None:
    _damage(writer, sheet)
    sheet.set_row(20, None, None, {"hidden": True})


class TestExcelConforms(FormatSuite):
    format = Excel(batch_bytes=600)
    sample = workbook(_NAMES, *_ROWS, change=_damage)
    records = 30
    cuts = 8  # each is read in a process of its own
    empty = workbook(_NAMES)
    in_file = False


class TestExcelOfSeveralSheetsConforms(FormatSuite):
    format = Excel(
        sheet="Part *", batch_bytes=900, header_row=3, header_rows=2, footer="Total*", hidden_rows="skip", columns="A:C"
    )
    sample = book(
        {
            "Part 1": [("Title",), (), ("", "Upper"), _NAMES, *_ROWS[:12], ("Total", 1)],
            "Notes": [("Nothing",)],
            "Part 2": [(), (), ("", "Upper"), _NAMES, *_ROWS, ("Total of 2",)],
        },
        change=_damage_and_hide,
    )
    records = 41
    cuts = 8  # each is read in a process of its own
    empty = book({"Part 1": [(), (), ("", "Upper"), _NAMES, ("Total", 0)]})
    in_file = False


class TestExcelWithDeclaredNamesConforms(FormatSuite):
    format = Excel(header=("a", "b"), batch_bytes=150, null=("-",))
    sample = ods(
        ods_table(
            *(ods_row(ods_cell(f"text {n}"), ods_number(f"{n}.50")) for n in range(12)),
            ods_row(ods_cell("-"), ods_number("1"), ods_cell("unnamed")),
            ods_row(ods_cell("x"), attributes='table:number-rows-repeated="3"'),
            ods_row(ods_cell("#N/A", 'office:value-type="string" table:formula="of:=NA()"')),
        )
    )
    records = 17
    cuts = 8  # each is read in a process of its own
    empty = ods(ods_table(ods_row(ods_cell(""))))
    in_file = False
