"""Reads the rows of a sheet of Office Open XML while it is unpacked.

Most programs write the rows of a table alike. `proof` reads a run of rows of which a regular expression proves that it
has nothing but such rows; Expat never sees that run. Expat parses everything else: what is before and after the rows,
and each row of which there is no proof. If a construct crosses the border of a row, such as a comment, Expat parses
the rest of the part.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Final

from etl_assets.extract.formats.excel.child.package import CHUNK
from etl_assets.extract.formats.excel.child.proof import Proof
from etl_assets.extract.formats.excel.child.refusal import damaged
from etl_assets.extract.formats.excel.child.xlsx_cells import ROW_END, ROWS_BEGIN, CellParser

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.extract.formats.excel.child.book import Row
    from etl_assets.extract.formats.excel.child.values import Conversion

_LONGEST_HEAD: Final = 1024 * 1024
_LONGEST_ROW: Final = 8 * 1024 * 1024
_LAST_ROW: Final = 1_048_576


class SheetPart:
    """A part with a sheet.

    Args:
        part: Its name.
        strings: The shared strings, as cells.
        conversions: For each style, the cells by the digits of a number.
    """

    def __init__(self, part: str, strings: Sequence[str], conversions: Sequence[Conversion]) -> None:
        self._part = part
        self._slow = CellParser(part, strings, conversions)
        self._proof = Proof(strings, conversions)

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
            run, end, rest = (rest + data).rpartition(ROW_END)
            if (rows := self._proof.of_run(run + end)) is not None:
                for row in rows:
                    yield row
                    self._slow.number = row.number
            elif end:
                for fragment in run.split(ROW_END):
                    yield from self._row(fragment + ROW_END, provable=provable)
                    provable = provable and self._provable
            provable = provable and len(rest) < _LONGEST_ROW
        yield from self._parsed(rest)
        while data := stream.read(CHUNK):
            yield from self._parsed(data)
        yield from self._parsed(b"", final=True)

    def _row(self, fragment: bytes, *, provable: bool) -> Iterator[Row]:
        """Yield the row that ends a fragment, and note whether the fragments after it can be proven."""
        row = self._proof.of_row(fragment) if provable else None
        self._provable = provable
        if row is not None:
            self._slow.number = row.number
            yield row
            return
        yield from self._parsed(fragment)
        self._provable = provable and self._slow.at_end_of_row

    def _parse_head(self, stream: IO[bytes]) -> tuple[bytes, bool]:
        """Parse what is before the rows; return what was read after it, and whether rows can be proven."""
        head = b""
        while ROWS_BEGIN not in head and len(head) < _LONGEST_HEAD and (data := stream.read(CHUNK)):
            head += data
        before, begin, rest = head.partition(ROWS_BEGIN)
        self._slow.parser.feed(before + begin)
        return rest, bool(begin) and self._slow.at_first_row and not self._slow.foreign

    def _parsed(self, data: bytes, *, final: bool = False) -> Iterator[Row]:
        """Give bytes to Expat; yield the rows that end in them."""
        self._slow.parser.feed(data, final=final)
        yield from self._slow.finished()
