"""Parses rows and cells of Office Open XML by Expat, in every way in which they can be written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from etl_assets.extract.formats.excel.child import literals
from etl_assets.extract.formats.excel.child.book import Row, column_of
from etl_assets.extract.formats.excel.child.package import Parser
from etl_assets.extract.formats.excel.child.refusal import damaged
from etl_assets.extract.formats.excel.child.values import IS_NUMBER, integer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.extract.formats.excel.child.values import Conversion

ROWS_BEGIN: Final = b"<sheetData>"
ROW_END: Final = b"</row>"
_REFERENCE: Final = re.compile(r"\$?([A-Z]{1,3})\$?\d{1,7}", re.ASCII)
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d)?T?(\d\d:\d\d:\d\d(?:\.\d+)?)?Z?", re.ASCII)
_TRUTH: Final = {"1": literals.TRUE, "0": literals.FALSE, "true": literals.TRUE, "false": literals.FALSE}
_BLANKS: Final = " \t\r\n"
_LONGEST_CELL: Final = 1024 * 1024
_COLUMNS: Final = 16_384
_YES: Final = ("1", "true")


class CellParser:
    """Collects rows while Expat parses a part.

    Args:
        part: The name of the part.
        strings: The shared strings, as cells.
        conversions: For each style, the cells by the digits of a number.

    Attributes:
        parser: The parser.
        number: The number of the last row; a row without a number follows it.
        foreign: Whether the part is in another encoding than UTF-8.
    """

    def __init__(self, part: str, strings: Sequence[str], conversions: Sequence[Conversion]) -> None:
        self._part = part
        self._strings = strings
        self._conversions = conversions
        self.parser = Parser(part, self._start, self._end)
        self.parser.expat.XmlDeclHandler = self._declare
        self.foreign = False
        self._begin_of_rows = self._end_of_row = -1
        self._rows: list[Row] = []
        self.number = 0
        self._cells: dict[int, str] | None = None
        self._within_rows = self._within_cell = self._phonetic = False

    @property
    def at_first_row(self) -> bool:
        """Whether the last bytes that were parsed are the start tag of the element of all rows."""
        return self._begin_of_rows >= 0 and self._begin_of_rows + len(ROWS_BEGIN) == self.parser.fed

    @property
    def at_end_of_row(self) -> bool:
        """Whether the last bytes that were parsed are the end tag of a row."""
        return self._end_of_row >= 0 and self._end_of_row + len(ROW_END) == self.parser.fed

    def finished(self) -> Iterator[Row]:
        """Yield the rows that have ended, each once."""
        rows, self._rows = self._rows, []
        return iter(rows)

    def _declare(self, _: str, encoding: str | None, __: int) -> None:
        self.foreign = (encoding or "utf-8").lower() not in ("utf-8", "utf8", "us-ascii")

    def _start(self, element: str, attributes: dict[str, str]) -> None:
        if element == "sheetData":
            self._within_rows = True
            self._begin_of_rows = self.parser.expat.CurrentByteIndex
        elif element == "row" and self._within_rows and self._cells is None:
            self.number = integer(attributes.get("r"), self.number + 1)
            self._hidden = attributes.get("hidden") in _YES
            self._cells, self._column = {}, -1
        elif element == "c" and self._cells is not None and not self._within_cell:
            self._start_cell(attributes)
        elif self._within_cell:
            self._start_in_cell(element)

    def _start_cell(self, attributes: dict[str, str]) -> None:
        match = _REFERENCE.fullmatch(attributes.get("r", ""))
        self._column = column_of(match[1]) if match else self._column + 1
        if self._column >= _COLUMNS or (self._cells is not None and self._column in self._cells):
            raise damaged(f"its part {self._part} has a cell twice, or beyond the last column, in row {self.number}")
        self._type, self._style = attributes.get("t", "n"), integer(attributes.get("s"), 0)
        self._value: list[str] = []
        self._within_cell, self._has_value, self._formula, self._size = True, False, False, 0

    def _start_in_cell(self, element: str) -> None:
        if element == "f":
            self._formula = True
        elif element == "rPh":
            self._phonetic = True
        elif element == "v" or (element == "t" and self._type == "inlineStr" and not self._phonetic):
            if element == "v":
                self._value.clear()
            self._has_value = True
            self.parser.collect(self._collect)

    def _collect(self, data: str) -> None:
        self._size += len(data)
        if self._size > _LONGEST_CELL:
            raise damaged(f"its part {self._part} has a cell of more than {_LONGEST_CELL} characters")
        self._value.append(data)

    def _end(self, element: str) -> None:
        if element in ("v", "t"):
            self.parser.collect(None)
        elif element == "rPh":
            self._phonetic = False
        elif element == "c" and self._within_cell and self._cells is not None:
            self._cells[self._column] = self._cell("".join(self._value))
            self._within_cell = False
        elif element == "row" and self._cells is not None and not self._within_cell:
            columns = tuple(sorted(self._cells))
            cells = [self._cells[column] for column in columns]
            self._rows.append(Row(self.number, self._hidden, columns, cells))
            self._cells = None
            self._end_of_row = self.parser.expat.CurrentByteIndex
        elif element == "sheetData":
            self._within_rows = False

    def _cell(self, value: str) -> str:
        """Return the cell that ends here."""
        if not self._has_value:
            return literals.FORMULA if self._formula else literals.NULL
        if self._type in ("str", "inlineStr"):
            return literals.escaped_text(value)
        value = value.strip(_BLANKS)
        if not value:
            return literals.NULL
        return self._other_cell(value)

    def _other_cell(self, value: str) -> str:
        if self._type == "s":
            place = integer(value, -1)
            return self._strings[place] if 0 <= place < len(self._strings) else _bad(value)
        if self._type == "b":
            return _TRUTH.get(value) or _bad(value)
        if self._type == "e":
            return literals.error(value)
        if self._type == "d":
            return _moment(value)
        if not IS_NUMBER.fullmatch(value):
            return _bad(value)
        return self._conversions[self._style if self._style < len(self._conversions) else 0][value]


def _moment(value: str) -> str:
    """Return a date, a time or both, from the notation of ISO 8601."""
    match = _MOMENT.fullmatch(value)
    parts = [part for part in match.groups() if part] if match else []
    return literals.plain(" ".join(parts)) if parts else _bad(value)


def _bad(value: str) -> str:
    return literals.damaged(value)
