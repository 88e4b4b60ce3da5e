"""Parses the rows and cells of a sheet of an OpenDocument spreadsheet."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from etl_assets.extract.formats.excel.child import literals
from etl_assets.extract.formats.excel.child.book import Row
from etl_assets.extract.formats.excel.child.package import Parser, local
from etl_assets.extract.formats.excel.child.refusal import damaged
from etl_assets.extract.formats.excel.child.values import IS_NUMBER, clock, integer, number, percentage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DATE: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d:\d\d)(?:[.,](\d+))?)?", re.ASCII)
_DURATION: Final = re.compile(r"PT(\d{1,7})H(\d{1,2})M(\d{1,2})(?:[.,](\d+))?S", re.ASCII)
_ERROR: Final = re.compile(r"#[A-Z/0]+[!?]?|#N/A|Err:\d{3}", re.ASCII)
_CELLS: Final = ("table-cell", "covered-table-cell")
_NO_TEXT: Final = frozenset({"annotation", "frame", "shapes", "custom-shape", "g", "rect", "line"})
_LAST_COLUMN: Final = 16_383
_LAST_ROW: Final = 1_048_576
_LONGEST_CELL: Final = 1024 * 1024


def count(attributes: dict[str, str], what: str, prefix: str = "number") -> int:
    """Return how often a row or a cell is repeated, or how many it spans; 1 unless it says so."""
    name = f"{prefix}-{what}" if what.endswith("spanned") else f"{prefix}-{what}-repeated"
    return integer(local(attributes, name, "1"), 1)


def is_hidden(attributes: dict[str, str]) -> bool:
    """Return whether the properties of a table are those of a hidden sheet."""
    return local(attributes, "display", "true") == "false"


class OdsParser:
    """Collects the rows of one sheet while Expat parses the content.

    Args:
        part: The name of the part.
        place: The place of the sheet among the sheets, from 0.
        percentages: ``seen`` or ``number``.

    Attributes:
        ended: Whether the sheet has ended.
    """

    def __init__(self, part: str, place: int, percentages: str) -> None:
        self._part = part
        self._place = place
        self._percentage = percentage if percentages == "seen" else number
        self._parser = Parser(part, self._start, self._end)
        self.ended = False
        self._rows: list[tuple[Row, int]] = []
        self._sheet, self._depth, self._ignored = -1, 0, 0
        self._number = 0
        self._row: dict[str, str] | None = None
        self._columns: list[int] = []
        self._cells: list[str] = []
        self._cell: dict[str, str] | None = None
        self._texts: list[str] = []

    def feed(self, data: bytes) -> None:
        """Parse more bytes."""
        self._parser.feed(data)

    def finished(self) -> Iterator[Row]:
        """Yield the rows that have ended, each once, and repeated ones as often as they are."""
        rows, self._rows = self._rows, []
        for row, repeated in rows:
            yield from (row._replace(number=number) for number in range(row.number, row.number + repeated))

    def _start(self, element: str, attributes: dict[str, str]) -> None:
        if element == "table":
            self._depth += 1
            self._sheet += self._depth == 1
        elif self._sheet != self._place or self._depth != 1:
            return
        elif element == "table-row" and self._row is None:
            self._row, self._columns, self._cells, self._column = attributes, [], [], 0
        elif element in _CELLS and self._row is not None and self._cell is None:
            self._cell, self._paragraphs, self._size = attributes, 0, 0
            self._texts.clear()
        elif self._cell is not None:
            self._start_in_cell(element, attributes)

    def _start_in_cell(self, element: str, attributes: dict[str, str]) -> None:
        if element in _NO_TEXT:
            self._ignored += 1
        if self._ignored:
            return
        if element == "p":
            if self._paragraphs:
                self._collect("\n")
            self._paragraphs += 1
            self._parser.collect(self._collect)
        elif element == "s":
            spaces = integer(local(attributes, "c", "1"), 1)
            self._collect(" " * min(spaces, _LONGEST_CELL + 1))
        elif element in ("tab", "line-break"):
            self._collect("\t" if element == "tab" else "\n")

    def _collect(self, data: str) -> None:
        self._size += len(data)
        if self._size > _LONGEST_CELL:
            raise damaged(f"its part {self._part} has a cell of more than {_LONGEST_CELL} characters")
        if not self._ignored:
            self._texts.append(data)

    def _end(self, element: str) -> None:
        if element == "table":
            self._depth -= 1
            self.ended = self._depth == 0 and self._sheet == self._place
        elif self._sheet != self._place or self._depth != 1:
            return
        elif element in _NO_TEXT and self._cell is not None:
            self._ignored -= 1
        elif element == "p":
            self._parser.collect(None)
        elif element in _CELLS and self._cell is not None:
            self._end_cell(self._cell)
        elif element == "table-row" and self._row is not None and self._cell is None:
            self._end_row(self._row)

    def _end_cell(self, attributes: dict[str, str]) -> None:
        repeated = count(attributes, "columns")
        cell = self._literal(attributes, "".join(self._texts))
        if cell != literals.NULL:
            if self._column + repeated - 1 > _LAST_COLUMN:
                raise damaged(f"its part {self._part} has a cell beyond the last column")
            self._columns += range(self._column, self._column + repeated)
            self._cells += [cell] * repeated
        self._column += repeated
        self._cell = None

    def _end_row(self, attributes: dict[str, str]) -> None:
        repeated = count(attributes, "rows")
        if self._cells:
            if self._number + repeated > _LAST_ROW:
                raise damaged(f"its part {self._part} has a row beyond the last one")
            hidden = local(attributes, "visibility", "visible") != "visible"
            columns = tuple(self._columns)
            self._rows.append((Row(self._number + 1, hidden, columns, self._cells), repeated))
        self._number += repeated
        self._row = None

    def _literal(self, attributes: dict[str, str], shown: str) -> str:
        """Return a cell."""
        values = {name.rpartition(":")[2]: value for name, value in attributes.items()}
        type_ = values.get("value-type", "")
        if attributes.get("calcext:value-type") == "error" or ("formula" in values and _ERROR.fullmatch(shown)):
            return literals.error(shown)
        if not type_:
            return literals.FORMULA if "formula" in values else literals.text(shown)
        return _READERS.get(type_, _text)(self, values, shown)

    def _float(self, values: dict[str, str], shown: str) -> str:
        digits = values.get("value", "")
        if not IS_NUMBER.fullmatch(digits):
            return literals.damaged(digits)
        if (
            shown.startswith("0")
            and shown.isascii()
            and shown.isdigit()
            and number(shown.lstrip("0")) == number(digits)
        ):
            return literals.plain(shown)
        return self._percentage(digits) if values["value-type"] == "percentage" else number(digits)


def _text(_: OdsParser, values: dict[str, str], shown: str) -> str:
    return literals.text(values.get("string-value", shown))


def _boolean(_: OdsParser, values: dict[str, str], __: str) -> str:
    value = values.get("boolean-value", "")
    return literals.plain(value) if value in ("true", "false") else literals.damaged(value)


def _date(_: OdsParser, values: dict[str, str], __: str) -> str:
    value = values.get("date-value", "")
    match = _DATE.fullmatch(value)
    if match is None or match[1] < "0001":
        return literals.date(value)
    day, clock_, fraction = match.groups()
    return literals.plain(f"{day} {clock_}{_fraction(fraction)}" if clock_ else day)


def _time(_: OdsParser, values: dict[str, str], __: str) -> str:
    value = values.get("time-value", "")
    match = _DURATION.fullmatch(value)
    if match is None:
        return literals.date(value)
    hours, minutes, seconds, fraction = match.groups()
    return literals.plain(clock(((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000) + _fraction(fraction))


def _fraction(digits: str | None) -> str:
    digits = (digits or "")[:6].rstrip("0")
    return f".{digits}" if digits else ""


_READERS: Final[dict[str, Callable[[OdsParser, dict[str, str], str], str]]] = {
    "float": OdsParser._float,  # noqa: SLF001 -- a method of this module
    "percentage": OdsParser._float,  # noqa: SLF001 -- the same
    "currency": OdsParser._float,  # noqa: SLF001 -- the same
    "boolean": _boolean,
    "date": _date,
    "time": _time,
    "string": _text,
}
