"""Reads the rows of a sheet of Office Open XML while it is unpacked.

Most programs write cells in the same few ways. A row of which a regular expression proves that it has nothing but such
cells is read by it; Expat never sees that row. Expat parses everything else: what is before and after the rows, and
each row of which there is no proof. If a construct crosses the border of a row, such as a comment, Expat parses the
rest of the part.
"""

from __future__ import annotations

import re
from functools import partial
from typing import IO, TYPE_CHECKING, Final

from etl_assets.extract.formats.excel.child import literals
from etl_assets.extract.formats.excel.child.book import Row, column_of
from etl_assets.extract.formats.excel.child.package import CHUNK, feed
from etl_assets.extract.formats.excel.child.refusal import damaged
from etl_assets.extract.formats.excel.child.xlsx_cells import CellParser, shared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Convert = Callable[[str], str]
    Shape = tuple[tuple[int, ...], list[Convert]]

_ROW: Final = re.compile(r'\s*<row r="([1-9]\d{0,6})"([^<>&]*)>')
_CELL: Final = re.compile(
    r'<c r="([A-Z]{1,3})([1-9]\d{0,6})"(?: s="(\d{1,6})")?(?: t="([nsb])")?'
    r"(?:/>|><v>(-?\d+(?:\.\d+)?(?:E[-+]?\d{1,3})?)</v></c>)"
)
_ROWS_BEGIN: Final = b"<sheetData>"
_ROW_END: Final = b"</row>"
_LONGEST_HEAD: Final = 1024 * 1024
_LONGEST_ROW: Final = 8 * 1024 * 1024
_MOST_SHAPES: Final = 5_000
_LAST_COLUMN: Final = 16_383
_LAST_ROW: Final = 1_048_576


class SheetPart:
    """A part with a sheet.

    Args:
        part: Its name.
        strings: The shared strings, as cells.
        converters: For each style, what makes a cell of the digits of a number.
    """

    def __init__(self, part: str, strings: Sequence[str], converters: Sequence[Convert]) -> None:
        self._part = part
        self._strings = strings
        self._converters = converters
        self._slow = CellParser(part, strings, converters)
        self._shapes: dict[tuple[tuple[str, ...], ...], Shape | None] = {}

    def rows(self, stream: IO[bytes]) -> Iterator[Row]:
        """Yield the rows that have cells.

        Raises:
            RefusalError: If the part is not well-formed, or its rows are not in ascending order.
        """
        last = 0
        for row in self._rows(stream):
            if not last < row.number <= _LAST_ROW:
                raise damaged(f"its part {self._part} has row {row.number} after row {last}")
            last = row.number
            yield row

    def _rows(self, stream: IO[bytes]) -> Iterator[Row]:
        rest, provable = self._parse_head(stream)
        while provable and (data := stream.read(CHUNK)):
            *fragments, rest = (rest + data).split(_ROW_END)
            for index, fragment in enumerate(fragments):
                if (row := self._proven(fragment)) is not None:
                    yield row
                    continue
                self._feed(fragment + _ROW_END)
                yield from self._slow.finished()
                if not self._slow.at_end_of_row:
                    rest = _ROW_END.join([*fragments[index + 1 :], rest])
                    provable = False
                    break
            provable = provable and len(rest) < _LONGEST_ROW
        self._feed(rest)
        yield from self._slow.finished()
        while data := stream.read(CHUNK):
            self._feed(data)
            yield from self._slow.finished()
        feed(self._slow.parser, self._part, b"", final=True)
        yield from self._slow.finished()

    def _parse_head(self, stream: IO[bytes]) -> tuple[bytes, bool]:
        """Parse what is before the rows; return what was read after it, and whether rows can be proven."""
        head = b""
        while _ROWS_BEGIN not in head and len(head) < _LONGEST_HEAD and (data := stream.read(CHUNK)):
            head += data
        before, begin, rest = head.partition(_ROWS_BEGIN)
        self._feed(before + begin)
        return rest, bool(begin) and self._slow.at_first_row and not self._slow.foreign

    def _feed(self, data: bytes) -> None:
        feed(self._slow.parser, self._part, data)

    def _proven(self, fragment: bytes) -> Row | None:
        """Return the row of a fragment without its end tag, if nothing in it is written in another way."""
        try:
            text = fragment.decode()
        except UnicodeDecodeError:
            return None
        match = _ROW.match(text)
        if match is None:
            return None
        number, attributes = match.groups()
        cells = _CELL.findall(text, match.end())
        if not cells or attributes.endswith("/") or "hidden" in attributes:
            return None
        letters, numbers, styles, types, values = zip(*cells, strict=True)
        empty = values.count("")
        if text.count("<", match.end()) != 4 * len(cells) - 3 * empty or numbers.count(number) != len(cells):
            return None
        shape = self._shape(letters, styles, types)
        if shape is None:
            return None
        columns, converters = shape
        try:
            return Row(
                int(number),
                False,  # noqa: FBT003 -- a tuple in the innermost loop: keywords take longer
                columns,
                [convert(value) for convert, value in zip(converters, values, strict=True)]
                if not empty
                else [convert(value) if value else literals.NULL for convert, value in zip(converters, values, strict=True)],
            )
        except (IndexError, ValueError):
            return None

    def _shape(self, *shape: tuple[str, ...]) -> Shape | None:
        """Return the columns of a row and what makes its cells; None if its columns do not ascend."""
        if shape not in self._shapes:
            if len(self._shapes) >= _MOST_SHAPES:
                self._shapes.clear()
            self._shapes[shape] = self._new_shape(*shape)
        return self._shapes[shape]

    def _new_shape(self, letters: Sequence[str], styles: Sequence[str], types: Sequence[str]) -> Shape | None:
        columns = tuple(map(column_of, letters))
        ascending = all(column < following for column, following in zip(columns, columns[1:], strict=False))
        if not ascending or columns[-1] > _LAST_COLUMN:
            return None
        return columns, [self._convert(style, type_) for style, type_ in zip(styles, types, strict=True)]

    def _convert(self, style: str, type_: str) -> Convert:
        if type_ == "s":
            return partial(shared, self._strings)
        if type_ == "b":
            return _boolean
        place = int(style or 0)
        return self._converters[place] if place < len(self._converters) else self._converters[0]


def _boolean(value: str) -> str:
    return {"1": literals.TRUE, "0": literals.FALSE}.get(value) or literals.damaged(value)
