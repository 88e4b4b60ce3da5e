"""Cuts the records of a table out of a dump into batches, and computes offsets, lines and record numbers.

The same bytes always give the same batches. A batch ends where the window ends, and where another statement comes.
"""

from __future__ import annotations

import codecs
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import numpy as np

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.bits import count_of, find_all
from etl_assets.extract.formats.blocks import Blocks
from etl_assets.extract.formats.encoding import UTF8, Transcoded, foreign_mark
from etl_assets.extract.formats.published_names import check_names
from etl_assets.extract.formats.sql_dump.batch import DumpBatch
from etl_assets.extract.formats.sql_dump.cutting import BrokenError, cut_copy, cut_insert
from etl_assets.extract.formats.sql_dump.layout import Layout
from etl_assets.extract.formats.sql_dump.scanner import Scanner
from etl_assets.extract.formats.sql_dump.skipping import HEAD
from etl_assets.extract.formats.sql_dump.statements import COPY_END
from etl_assets.extract.formats.sql_dump.window import Window
from etl_assets.model.delivery import Span
from etl_assets.model.text import names_text

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

    from etl_assets.extract.formats.bits import Positions
    from etl_assets.extract.formats.sql_dump.cutting import Cut
    from etl_assets.extract.formats.sql_dump.options import SqlDumpOptions
    from etl_assets.model.delivery import MemberIndex

_BINARY: Final = {
    b"PGDMP": ("in pg_dump's custom format", "Convert it: pg_restore -f dump.sql FILE"),
    b"toc.dat\0": ("in pg_dump's tar format", "Convert it: pg_restore -f dump.sql FILE"),
    b"SQLite format 3\0": ("a database of SQLite and no dump of it", "Make a dump of it: sqlite3 FILE .dump"),
}
_RECORD: Final = "a record"


@dataclass(frozen=True)
class Run:
    """Consecutive records in a window.

    Attributes:
        at: Position of their bytes.
        stop: Position after them.
        first: Position of the first record.
        records: Number of records.
        cut: The records, if already cut.
    """

    at: int
    stop: int
    first: int
    records: int
    cut: Cut | None = None


class DumpReader:
    """Reads one dump.

    Args:
        options: Which table to read, and how the dump is written.
        stream: At its start.
        member: Its name in the archive, or the empty text.
    """

    def __init__(self, options: SqlDumpOptions, stream: BinaryIO, member: str) -> None:
        self._options = options
        self._member = member
        self._where = member or "the file"
        self._codec = UTF8 if options.transcoded else options.codec
        transcoded = options.transcoded
        self._stream = cast("BinaryIO", Transcoded(stream, options.codec, self._where)) if transcoded else stream
        self._names: tuple[str, ...] = ()

    def indexed(self, index: MemberIndex) -> Iterator[DumpBatch]:
        """Read the batches of an index."""
        self._names = index.names
        blocks = Blocks(self._stream, self._where)
        for span, data in blocks.of(index.spans, seekable=not self._options.transcoded):
            yield self._batch(span, Layout.of_context(span.context), data, None)

    def through(self, after: Span | None) -> Iterator[DumpBatch]:
        """Cut the whole dump into batches, numbered on from those of the previous member."""
        window = Window(self._stream, self._where, self._options.batch_bytes + HEAD)
        self._check_head(window)
        number, record = (after.batch + 1, after.last_record + 1) if after else (1, 1)
        first, layout = number, None
        scanner = Scanner(self._options, window, self._where)
        for layout in scanner.runs():
            self._check_names(layout)
            for run in self._cuts(window, layout):
                line, offset = window.line(run.first), window.offset
                context = layout.context
                span = Span(number, self._member, offset, run.stop - run.at, record, run.records, line, 0, context)
                data = window.data[run.at : run.stop]
                window.at = run.stop
                scanner.rows = True
                yield self._batch(span, layout, data, run.cut)
                number, record = number + 1, record + span.records
        if number == first:
            layout = Layout("insert", self._options.dialect, scanner.columns_without_records())
            self._check_names(layout)
            yield self._batch(Span(number, self._member, 0, 0, record, 0, 1, 0, layout.context), layout, b"", None)

    def _cuts(self, window: Window, layout: Layout) -> Iterator[Run]:
        """Yield the records of a statement, and of like ones after it; the caller moves the window behind each run."""
        if layout.kind == "copy":
            yield from self._lines(window, layout)
            return
        while True:
            window.ensure(self._options.batch_bytes // 2 + HEAD)
            at = window.at
            try:
                cut = cut_insert(window.data, at, layout, self._options.batch_bytes, final=window.ended)
            except BrokenError as error:
                raise self._broken(window, *error.args) from None
            ended = cut.ended
            if cut.records:
                first = cut.starts[0]
                cut.starts = [start - at for start in cut.starts]
                yield Run(at, cut.stop, first, len(cut.records), cut)
            else:
                window.more(_RECORD)
            if ended:
                return

    def _lines(self, window: Window, layout: Layout) -> Iterator[Run]:
        while True:
            window.ensure(self._options.batch_bytes // 2 + HEAD)
            at = window.at
            backslashes = _backslashes(window.data, at)
            match = _copy_end(window.data, backslashes)
            end = match.start() + 1 if match else window.data.rfind(b"\n", at, len(window.data) - window.ended) + 1
            whole = bool(match) and end - at <= self._options.batch_bytes
            if not whole:
                end = _line_end(window.data, at, min(end, at + self._options.batch_bytes)) or _line_end(
                    window.data, at, end
                )
            if end > at:
                yield Run(at, end, at, _count(window.data, at, end, backslashes, layout))
            elif not match:
                window.more("the data of a COPY")
            if match and whole:
                window.at = match.end()
                return

    def _batch(self, span: Span, layout: Layout, data: bytes, cut: Cut | None) -> DumpBatch:
        return DumpBatch(
            span,
            layout,
            names=self._names,
            null=self._options.null,
            codec=self._codec,
            original=self._options.codec if self._options.transcoded else None,
            data=data,
            cut=cut,
        )

    def _check_head(self, window: Window) -> None:
        """Refuse what is no dump in the declared encoding, and move behind its byte order mark."""
        head = window.data[:HEAD]
        if head in (b"", b"\n"):
            raise self._refused("is empty", "Check the feed: an empty file is no delivery")
        for magic, (what, remedy) in _BINARY.items():
            if head.startswith(magic):
                raise self._refused(f"is {what}", remedy)
        if marked := foreign_mark(head, self._options.codec):
            declared = self._options.encoding
            problem = f"begins with the byte order mark of {marked} but is declared {declared}"
            raise self._refused(problem, f"Write encoding={marked!r}")
        if head.startswith(codecs.BOM_UTF8):
            window.at = len(codecs.BOM_UTF8)

    def _check_names(self, layout: Layout) -> None:
        remedy = "Have the dump made with other names of columns"
        check_names(layout.columns, self._where, remedy)
        if twins := sorted(name for name, count in Counter(layout.columns).items() if count > 1):
            raise self._refused(f"has an INSERT that names columns twice: {names_text(twins)}", remedy)
        if not self._names:
            self._names = layout.columns
        elif difference := set(self._names) ^ set(layout.columns):
            raise self._refused(
                f"has statements for {self._options.table} with different columns: {names_text(sorted(difference))} "
                "are in only some of them",
                "Make a dump in which each INSERT has all columns",
            )

    def _broken(self, window: Window, start: int, at: int) -> DeliveryError:
        return self._refused(
            f"has a record that cannot be cut, or is followed by what changes it, on line {window.line(start)}; it is "
            f"broken on line {window.line(at)}",
            "Check the declared dialect; a dump has lists of values alone after VALUES, and neither ON DUPLICATE KEY "
            "nor RETURNING",
        )

    def _refused(self, problem: str, remedy: str) -> DeliveryError:
        return DeliveryError(f"{self._where} {problem}. Nothing was written. {remedy}.")


def _line_end(data: bytes, at: int, end: int) -> int:
    """Return the position after the last line feed that no backslash is before; 0 if there is none."""
    while (feed := data.rfind(b"\n", at, end)) >= 0:
        if not data.startswith(b"\\", feed - 1):
            return feed + 1
        end = feed
    return 0


def _backslashes(data: bytes, at: int) -> Positions:
    """Return the positions of the backslashes from a position on, except of one that is the last byte."""
    return find_all(np.frombuffer(data, np.uint8)[at:-1], ord("\\")) + at


def _copy_end(data: bytes, backslashes: Positions) -> re.Match[bytes] | None:
    """Return the match of the line that ends a COPY; None if none of the backslashes begins one."""
    codes = np.frombuffer(data, np.uint8)
    dots = backslashes[codes[backslashes + 1] == ord(".")]
    begins = dots[codes[dots - 1] == ord("\n")].tolist()
    return next((match for begin in begins if (match := COPY_END.match(data, begin - 1))), None)


def _count(data: bytes, at: int, end: int, backslashes: Positions, layout: Layout) -> int:
    """Return the number of records in whole lines of a COPY."""
    codes = np.frombuffer(data, np.uint8)
    if (codes[backslashes[backslashes < end] + 1] == ord("\n")).any():
        return len(cut_copy(data[at:end], layout).records)
    return count_of(b"\n", data, at, end)
