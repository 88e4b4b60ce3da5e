"""Cuts the rows of a sheet into names and records: header, footer, hidden and blank rows, and columns."""

from __future__ import annotations

import re
from collections import deque
from fnmatch import translate
from typing import TYPE_CHECKING, Final

from etl_assets.extract.formats.excel.child import literals
from etl_assets.extract.formats.excel.child.book import letters
from etl_assets.extract.formats.excel.child.header import names_of
from etl_assets.extract.formats.excel.child.refusal import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.extract.formats.excel.child.book import Book, Row, Sheet
    from etl_assets.extract.formats.excel.child.request import Request

    Record = tuple[int, Sequence[str], str]
    """The number of a row, its cells, and its cells in columns without a name; see `literals`."""

_MOST_PLANS: Final = 5_000


class Table:
    """The records of one sheet.

    Args:
        book: The workbook.
        sheet: The sheet.
        request: How it is declared.
        before: The sheet before, whose names and their order the records have; None for the first sheet.

    Attributes:
        names: The published names, in order.
        skipped: Number of rows so far that have values, and are neither names nor records.
        cells: Number of cells so far, with those of the sheets before.
    """

    def __init__(self, book: Book, sheet: Sheet, request: Request, before: Table | None) -> None:
        self._request = request
        self._sheet = sheet.name
        self.skipped = 0
        self.cells: int = before.cells if before else 0
        self._rows = book.rows(sheet)
        self._pending: list[Row] = []
        by_column = self._header(book, sheet)
        if before is not None and sorted(before.names) != sorted(by_column.values()):
            raise RefusalError(
                f"sheet {sheet.name!r} does not have the names of the sheets before it",
                "Declare one source for each set of names, with sheet= for its sheets",
            )
        self.names: list[str] = before.names if before else list(by_column.values())
        columns = {name: column for column, name in by_column.items()}
        self._columns = [columns[name] for name in self.names]
        self._exact = tuple(self._columns)
        self._leftmost = self._columns.index(min(self._columns))
        self._plans: dict[tuple[int, ...], tuple[list[int], list[int]]] = {}

    def records(self) -> Iterator[Record]:
        """Yield the records, in order; `skipped` counts as they are read."""
        footer = self._request.footer
        if not isinstance(footer, int):
            yield from self._body()
            return
        held: deque[Record] = deque()
        for record in self._body():
            held.append(record)
            if len(held) > footer:
                yield held.popleft()
        self.skipped += len(held)

    def _header(self, book: Book, sheet: Sheet) -> dict[int, str]:
        """Read the rows before the records; return the names by their columns."""
        request = self._request
        numbers = range(request.header_row, request.header_row + request.header_rows)
        header: list[Row] = []
        for row in self._rows:
            if row.number >= request.header_row + request.header_rows:
                self._pending = [row]
                break
            if row.number in numbers:
                header.append(row)
            else:
                self.skipped += any(cell != literals.NULL for cell in row.cells)
        if request.header is not None:
            return dict(enumerate(request.header, start=request.columns[0]))
        merged = book.merged(sheet) if request.header_rows > 1 else ()
        return names_of(header, numbers, merged, request.columns, sheet.name)

    def _body(self) -> Iterator[Record]:
        """Yield the records and the rows of a footer that is a number of rows."""
        skip_hidden = self._request.hidden_rows == "skip"
        footer = self._request.footer
        ends = re.compile(translate(footer)).fullmatch if isinstance(footer, str) else None
        following = self._first_row()
        ended = False
        for row in self._remaining():
            cells, others = self._cells(row)
            if cells[0] == literals.NULL == others and cells.count(literals.NULL) == len(cells):
                continue
            if self._request.ends_at_blank_row and row.number > following:
                ended = True
            following = row.number + 1
            if not ended and ends is not None and (text := literals.shown(cells[self._leftmost])) is not None:
                ended = ends(text) is not None
            if ended or (skip_hidden and row.hidden):
                self.skipped += 1
                continue
            yield row.number, cells, others
        if ends is not None and not ended:
            raise RefusalError(
                f"sheet {self._sheet!r} has no row whose first cell matches footer={footer!r}",
                "Correct footer= if the publisher has changed it, or remove it if there is none",
            )

    def _first_row(self) -> int:
        return self._request.header_row + self._request.header_rows

    def _remaining(self) -> Iterator[Row]:
        yield from self._pending
        self._pending = []
        yield from self._rows

    def _cells(self, row: Row) -> tuple[Sequence[str], str]:
        """Return the cells of a row by the names, and its cells in columns without a name."""
        self.cells += max(len(row.cells), len(self._columns))
        if self.cells > self._request.most_cells:
            raise RefusalError(
                f"its sheets have more than {self._request.most_cells:,} cells",
                "Raise most_cells if the workbook is as large as it should be",
            )
        if row.columns == self._exact:
            return row.cells, literals.NULL
        plan, unnamed = self._plan(row.columns)
        cells = [*row.cells, literals.NULL]
        others = {letters(row.columns[place]): cells[place] for place in unnamed if cells[place] != literals.NULL}
        return [cells[place] for place in plan], literals.of_unnamed_columns(others) if others else literals.NULL

    def _plan(self, columns: tuple[int, ...]) -> tuple[list[int], list[int]]:
        """Return for cells of these columns where the cell of each name is, or -1, and where the other cells are."""
        if columns not in self._plans:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            first, last = self._request.columns
            places = {column: place for place, column in enumerate(columns)}
            plan = [places.get(column, -1) for column in self._columns]
            unnamed = [
                place for column, place in places.items() if first <= column <= last and column not in self._exact
            ]
            self._plans[columns] = plan, unnamed
        return self._plans[columns]
