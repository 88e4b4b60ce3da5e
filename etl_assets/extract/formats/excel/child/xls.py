"""Reads workbooks of Excel 97 and before by xlrd; those that xlrd cannot read by Calamine."""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, Any

from etl_assets.extract.formats.excel.child import literals
from etl_assets.extract.formats.excel.child.book import Merged, Row, Sheet
from etl_assets.extract.formats.excel.child.encryption import refusal
from etl_assets.extract.formats.excel.child.libraries import library
from etl_assets.extract.formats.excel.child.number_formats import kind_of
from etl_assets.extract.formats.excel.child.values import conversion

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.extract.formats.excel.child.book import Book
    from etl_assets.extract.formats.excel.child.request import Request
    from etl_assets.extract.formats.excel.child.values import Conversion


def open_xls(stream: IO[bytes], request: Request) -> Book:
    """Return the workbook of a file.

    Raises:
        RefusalError: If it is encrypted, or neither reader can read it.
    """
    xlrd = library("xlrd", "excel")
    data = stream.read()
    try:
        book = xlrd.open_workbook(file_contents=data, formatting_info=True, ragged_rows=True, logfile=io.StringIO())
    except Exception as error:
        if "encrypt" in str(error):
            raise refusal() from error
        from etl_assets.extract.formats.excel.child.calamine import Calamine  # noqa: PLC0415 -- where xlrd fails

        return Calamine(io.BytesIO(data), "xls")
    return Xls(book, xlrd.error_text_from_code, request.percentages)


class Xls:
    """A workbook that xlrd has read; see `Book`.

    Args:
        book: The workbook.
        errors: The texts of errors by their codes.
        percentages: ``seen`` or ``number``.
    """

    type = "xls"
    lacks: frozenset[str] = frozenset()

    def __init__(self, book: Any, errors: dict[int, str], percentages: str) -> None:
        self._book = book
        self._errors = errors
        self._percentages = percentages
        self._conversions: dict[int, Conversion] = {}
        self.sheets = [
            Sheet(sheet.name, sheet.visibility != 0, has_cells=True, place=str(place))
            for place, sheet in enumerate(book.sheets())
        ]

    def rows(self, sheet: Sheet) -> Iterator[Row]:
        """Yield the rows that have cells, in ascending order."""
        table = self._book.sheet_by_index(int(sheet.place))
        for place in range(table.nrows):
            types, values = table.row_types(place), table.row_values(place)
            if types:
                cells = [
                    self._cell(table, place, column, type_, value)
                    for column, (type_, value) in enumerate(zip(types, values, strict=True))
                ]
                info = table.rowinfo_map.get(place)
                yield Row(place + 1, bool(info and info.hidden), tuple(range(len(cells))), cells)

    def merged(self, sheet: Sheet) -> Sequence[Merged]:
        """Return the merged ranges."""
        ranges = self._book.sheet_by_index(int(sheet.place)).merged_cells
        return [Merged(top + 1, bottom, left, right - 1) for top, bottom, left, right in ranges]

    def _cell(self, table: Any, row: int, column: int, type_: int, value: Any) -> str:
        if type_ == _TEXT:
            return literals.text(value)
        if type_ in (_NUMBER, _DATE):
            return self._conversion(table.cell_xf_index(row, column))[repr(value).removesuffix(".0")]
        if type_ == _BOOLEAN:
            return literals.TRUE if value else literals.FALSE
        if type_ == _ERROR:
            return literals.error(self._errors.get(value, f"error {value}"))
        return literals.NULL

    def _conversion(self, style: int) -> Conversion:
        if style not in self._conversions:
            format_ = self._book.format_map.get(self._book.xf_list[style].format_key)
            kind = kind_of(format_.format_str if format_ else "General")
            from_1904 = self._book.datemode == 1
            self._conversions[style] = conversion(kind, self._percentages, from_1904=from_1904)
        return self._conversions[style]


_TEXT, _NUMBER, _DATE, _BOOLEAN, _ERROR = range(1, 6)
