"""Reads the rows of an SQLite database as batches, and computes their spans."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from etl_assets.errors import DeliveryIncompleteError
from etl_assets.extract.formats.row_batch import RowBatch
from etl_assets.extract.formats.sqlite.cells import texts_of
from etl_assets.extract.formats.sqlite.database import TimeLimit, check_structure, opened, refusing, restrict
from etl_assets.extract.formats.sqlite.rows import Rows
from etl_assets.extract.formats.sqlite.selection import of_query, of_table, quoted, tables_of
from etl_assets.extract.spool import file_of
from etl_assets.model.delivery import Span

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Sequence

    import polars as pl

    from etl_assets.extract.formats.sqlite.format import Sqlite
    from etl_assets.extract.formats.sqlite.selection import Selection
    from etl_assets.model.delivery import MemberIndex


class SqliteReader:
    """Reads one database.

    Args:
        stream: At its start.
        member: Its name in the archive, or the empty text.
        format_: What to read, and the limits.
    """

    def __init__(self, stream: BinaryIO, member: str, format_: Sqlite) -> None:
        self._stream = stream
        self._member = member
        self._where = member or "the file"
        self._format = format_

    def through(self, after: Span | None) -> Iterator[RowBatch]:
        """Check the structure of the database and read all rows."""
        number, record = (after.batch + 1, after.last_record + 1) if after else (1, 1)
        first, offset = number, 0
        with self._opened(check=True) as (rows, selection):
            for batch in rows.cut(self._format.batch_bytes):
                rowids, *columns = batch
                count = len(rowids)
                line = rowids[0] if selection.has_rowid else offset + 1
                span = Span(number, self._member, offset, count, record, count, line)
                yield self._batch(span, selection, rowids, partial(texts_of, columns))
                number, record, offset = number + 1, record + count, offset + count
            if number == first:
                rowids, *columns = rows.take(0)
                span = Span(number, self._member, 0, 0, record, 0, 1)
                yield self._batch(span, selection, rowids, partial(texts_of, columns))

    def indexed(self, index: MemberIndex) -> Iterator[RowBatch]:
        """Read the batches of an index; their cells are kept as columns at once, which take less memory than rows."""
        with self._opened(check=False) as (rows, selection):
            for span in sorted(index.spans, key=lambda span: span.offset):
                if rows.position != span.offset:
                    rows.move(span.offset, span.first_line if selection.has_rowid else span.offset)
                rowids, *columns = rows.take(span.length)
                if len(rowids) < span.length:
                    raise DeliveryIncompleteError(
                        f"{self._where} ends before batch {span.batch} does. Nothing more was written. "
                        "Land the delivery again: its index belongs to other bytes."
                    )
                yield self._batch(span, selection, rowids, partial(list, texts_of(columns)))

    @contextmanager
    def _opened(self, *, check: bool) -> Iterator[tuple[Rows, Selection]]:
        limit, size = TimeLimit(self._format.seconds), self._format.batch_bytes
        with file_of(self._stream) as path, opened(path, self._where, limit, size) as connection:
            with refusing(self._where, [], size), limit:
                tables, virtual = tables_of(connection)
            of_sqlite = partial(refusing, self._where, tables, size)
            with of_sqlite(), limit:
                selection = self._select(connection, virtual, check=check)
            yield Rows(connection, selection, limit, of_sqlite), selection

    def _select(self, connection: sqlite3.Connection, virtual: frozenset[str], *, check: bool) -> Selection:
        """Return what is read, and restrict the connection to reading it."""
        selection = of_table(connection, self._format.table, self._where) if self._format.table else None
        if check:
            check_structure(connection, quoted(selection.label) if selection else None, self._where)
        restrict(connection, virtual)
        return selection or of_query(connection, self._format.query or "", self._where)

    def _batch(
        self, span: Span, selection: Selection, rowids: Sequence[int], cells: Callable[[], list[pl.Series]]
    ) -> RowBatch:
        place = f"{self._member}:{selection.label}:" if selection.label else f"{self._member}:"

        def location(index: int) -> str:
            return f"{place}{rowids[index]}" if selection.has_rowid else f"{place}row {span.first_line + index}"

        return RowBatch(span, selection.names, cells, location, null=self._format.null)
