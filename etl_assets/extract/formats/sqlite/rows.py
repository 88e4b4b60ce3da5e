"""Fetches the rows of a statement as columns, from any position, within a limit of time."""

from __future__ import annotations

import marshal
import sqlite3
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from etl_assets.extract.formats.sqlite.database import TimeLimit
    from etl_assets.extract.formats.sqlite.selection import Selection

    Row: TypeAlias = tuple[Any, ...]
    Columns: TypeAlias = list[list[Any]]

_STEP: Final = 64
"""The number of rows that are fetched at once: few enough to stay in the cache until they are columns."""
_NOT_UTF8: Final = "Could not decode to UTF-8"
_MARSHALLED: Final = 2
"""The version of `marshal` in which equal rows have equal sizes."""
_LIST_HEADER: Final = 5


class Rows:
    """The rows of a selection, in order. Texts that are not UTF-8 have their bytes as surrogates.

    Args:
        connection: Restricted.
        selection: What is read.
        limit: Of the time that SQLite computes.
        refusing: Turns errors of SQLite within its block into those of the package.

    Attributes:
        position: Number of rows before the next one.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        selection: Selection,
        limit: TimeLimit,
        refusing: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._connection = connection
        self._selection = selection
        self._limit = limit
        self._refusing = refusing
        self.move(0, selection.start)

    def move(self, position: int, parameter: int) -> None:
        """Continue at another position.

        Args:
            position: Number of rows before the next one.
            parameter: Of the statement: the next rowid, or the same number.
        """
        self.position = position
        self._next = parameter
        self._cursor: sqlite3.Cursor | None = None

    def take(self, count: int) -> Columns:
        """Return the next rows as columns; fewer only at the end."""
        columns = self._no_rows()
        while (left := count - len(columns[0])) and (rows := self._fetch(min(left, _STEP))):
            _append(columns, rows)
        return columns

    def cut(self, size: int) -> Iterator[Columns]:
        """Yield the remaining rows in batches of at most a size; a row that is larger is a batch of its own."""
        batch, filled = self._no_rows(), 0
        while rows := self._fetch(_STEP):
            more = _size(rows)
            parts = [rows] if filled + more <= size else [[row] for row in rows]
            for part in parts:
                added = more if part is rows else _size(part)
                if filled and filled + added > size:
                    yield batch
                    batch, filled = self._no_rows(), 0
                _append(batch, part)
                filled += added
        if filled:
            yield batch

    def _no_rows(self) -> Columns:
        return [[] for _ in range(1 + len(self._selection.names))]

    def _fetch(self, count: int) -> list[Row]:
        """Return the next rows; fewer only at the end."""
        with self._refusing(), self._limit:
            try:
                rows = self._next_rows(count)
            except sqlite3.OperationalError as error:
                if _NOT_UTF8 not in str(error):
                    raise
                self._connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
                self._cursor = None
                rows = self._next_rows(count)
        self.position += len(rows)
        if rows:
            self._next = rows[-1][0] + 1 if self._selection.has_rowid else self.position
        return rows

    def _next_rows(self, count: int) -> list[Row]:
        if self._cursor is None:
            self._cursor = self._connection.execute(self._selection.statement, (self._next,))
        return self._cursor.fetchmany(count)


def _append(columns: Columns, rows: list[Row]) -> None:
    for column, cells in zip(columns, zip(*rows, strict=True), strict=True):
        column.extend(cells)


def _size(rows: list[Row]) -> int:
    """Return about how many bytes rows have."""
    return len(marshal.dumps(rows, _MARSHALLED)) - _LIST_HEADER
