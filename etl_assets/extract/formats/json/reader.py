"""Cuts a JSON document into batches of the records at a path."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec

from etl_assets.extract.formats.blocks import Blocks
from etl_assets.extract.formats.json.batch import JsonBatch
from etl_assets.extract.formats.json.cursor import Cursor
from etl_assets.extract.formats.json.extent import text_end
from etl_assets.extract.formats.json.head import length_of_mark
from etl_assets.extract.formats.json.numbering import numbered
from etl_assets.extract.formats.json.options import MOST_NAMES
from etl_assets.extract.formats.json.path import step_of
from etl_assets.extract.formats.json.walk import WHOLE, Found, Walk
from etl_assets.extract.formats.published_names import check_names
from etl_assets.model.delivery import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.extract.formats.json.format import Json
    from etl_assets.model.delivery import MemberIndex

_MOST_RECORDS: Final = 1_000_000
"""The largest number of objects of a batch, however small they are."""


class JsonReader:
    """Reads one document.

    Args:
        stream: At its start.
        member: Its name in the archive, or the empty text.
        format_: Where its records are, and how they are read.
    """

    def __init__(self, stream: BinaryIO, member: str, format_: Json) -> None:
        self._member = member
        self._where = member or "the file"
        self._format = format_
        self._path = format_.path
        self._blocks = Blocks(stream, self._where)
        self._names: dict[str, None] = {}

    def indexed(self, index: MemberIndex) -> Iterator[JsonBatch]:
        """Read the batches of an index."""
        for span, data in self._blocks.of(index.spans, seekable=True):
            yield self._batch(span, list(self._of_span(span, data)), index.names)

    def through(self, after: Span | None) -> Iterator[JsonBatch]:
        """Cut the whole document into batches, each with the names that its own records have."""
        return numbered(self._batches(), after)

    def _of_span(self, span: Span, data: bytes) -> Iterator[Found]:
        """Yield the records of a span."""
        blocks = Blocks(io.BytesIO(), self._where)
        cursor = Cursor(blocks, data, len(data) + 1, self._where, span.offset)  # one more, so that it finds the end
        walk = Walk(cursor, self._path, missing_ok=self._format.missing_ok)
        outer = tuple(map(int, span.context.split()))
        for found in walk.records_from(outer, span.first_line - 1) if data else ():
            yield found
            if found.offset + len(found.data) == span.offset + span.length:
                return

    def _batches(self) -> Iterator[JsonBatch]:
        size = self._format.batch_bytes
        head = self._blocks.fill(b"", size)
        mark = length_of_mark(head, self._where)
        cursor = Cursor(self._blocks, head[mark:], size, self._where, mark)
        walk = Walk(cursor, self._path, missing_ok=self._format.missing_ok)
        skipped, run = 0, list[Found]()
        for found in walk.records():
            if run and (len(run) == _MOST_RECORDS or found.offset + len(found.data) - run[0].offset > size):
                yield from self._cut(run, walk.skipped - skipped)
                skipped, run = walk.skipped, []
            run.append(found)
        yield from self._cut(run, walk.skipped - skipped)

    def _cut(self, run: Sequence[Found], skipped: int) -> Iterator[JsonBatch]:
        """Yield records that follow one another as one batch, or as several if it would be too large."""
        parts = [run]
        while parts:
            part = parts.pop()
            batch = self._batch(self._span(part, skipped), part, None)
            self._names |= dict.fromkeys(batch.names)
            check_names(self._names, self._where, "Ask the publisher for another key", most=MOST_NAMES)
            if batch.too_large and len(part) > 1:
                middle = len(part) // 2
                parts += (part[middle:], part[:middle])
                continue
            yield batch
            skipped = 0

    def _span(self, run: Sequence[Found], skipped: int) -> Span:
        """Return the span of records that follow one another; its context has the indices of the first."""
        if not run:
            return Span(0, self._member, 0, 0, 0, 0, 1, skipped)
        first, length = run[0], run[-1].offset + len(run[-1].data) - run[0].offset
        context = " ".join(map(str, first.outer))
        return Span(0, self._member, first.offset, length, 0, 0, first.place + 1, skipped, context)

    def _batch(self, span: Span, records: Sequence[Found], names: tuple[str, ...] | None) -> JsonBatch:
        objects = [record.data for record in records]
        return JsonBatch(
            span,
            objects,
            self._format,
            key_name=self._format.key_name,
            names=names,
            place=lambda index: f"{self._member}:{self._place(records[index])}",
        )

    def _place(self, record: Found) -> str:
        """Return the path to a record."""
        place = self._path.place(record.outer)
        if self._path.members:
            return place + _key_step(record.data)
        return place if record.place == WHOLE else f"{place}[{record.place}]"


def _key_step(member: bytes) -> str:
    """Return the step to a member; its key as published, if it cannot be decoded."""
    key = member[: text_end(member, 0)]
    try:
        return step_of(msgspec.json.decode(key, type=str))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"[{key.decode(errors='replace')}]"
