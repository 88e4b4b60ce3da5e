"""The benchmark case of workbooks: xlsx with twelve columns, half of them texts, as Excel writes it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import xlsxwriter

from benchmarks.formats._records import read
from etl_assets.extract.formats.excel.format import Excel

if TYPE_CHECKING:
    from pathlib import Path

STREAMS: Final = False
_BYTES_OF_A_RECORD: Final = 67
"""Packed."""
_RECORDS_OF_A_SHEET: Final = 1_000_000


def write(path: Path, megabytes: int) -> None:
    """Write a workbook of about that size, with a sheet for each million records."""
    records = megabytes * 1_000_000 // _BYTES_OF_A_RECORD
    book = xlsxwriter.Workbook(path, {"constant_memory": False, "in_memory": False, "tmpdir": str(path.parent)})
    day, padded = book.add_format({"num_format": "yyyy-mm-dd"}), book.add_format({"num_format": "00000"})
    begin = datetime(2020, 1, 1)  # noqa: DTZ001 -- workbooks have no zones
    for first in range(0, records, _RECORDS_OF_A_SHEET):
        sheet = book.add_worksheet(f"part {first}")
        sheet.write_row(0, 0, [f"column {place}" for place in range(12)])
        for number in range(first, min(records, first + _RECORDS_OF_A_SHEET)):
            row = number - first + 1
            sheet.write_number(row, 0, number)
            sheet.write_datetime(row, 1, begin + timedelta(number % 2000), day)
            sheet.write_number(row, 2, number % 90000, padded)
            sheet.write_number(row, 3, number / 7)
            sheet.write_number(row, 4, number % 1000 + 0.5)
            sheet.write_boolean(row, 5, number % 2 == 0)
            for place in range(6, 12):
                sheet.write_string(row, place, f"text {number * place % 5000}")
    book.close()


def ours(path: Path) -> int:
    """Read it through the format into frames; return the number of records."""
    return read(Excel(sheet="part *", null=("-",)), path)


def fastest(path: Path) -> int:
    """Read it by fastexcel into frames; return the number of records."""
    import fastexcel  # noqa: PLC0415 -- of the extra excel

    reader = fastexcel.read_excel(path)
    return sum(reader.load_sheet(name, dtypes="string").to_polars().height for name in reader.sheet_names)
