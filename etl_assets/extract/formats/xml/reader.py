"""Cuts a document into batches, and computes offsets, record numbers and contexts.

The document is parsed once while it is cut. The same bytes always give the same batches, whatever sizes the stream
returns them in.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from etl_assets.extract.formats.blocks import Blocks
from etl_assets.extract.formats.encoding import UTF8, Transcoded, canonical, foreign_mark
from etl_assets.extract.formats.published_names import check_names
from etl_assets.extract.formats.xml.batch import XmlBatch
from etl_assets.extract.formats.xml.document import Document
from etl_assets.extract.formats.xml.found import end_of
from etl_assets.extract.formats.xml.refusals import refused
from etl_assets.extract.formats.xml.tags import Context
from etl_assets.model.delivery import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.errors import DeliveryError
    from etl_assets.extract.formats.xml.found import Record
    from etl_assets.extract.formats.xml.options import XmlOptions
    from etl_assets.model.delivery import MemberIndex

MOST_CELLS: Final = 5_000_000
"""The largest number of records times names of a batch."""
_FEWEST_NAMES: Final = 10
"""A batch of fewer names counts as one of this many, since each record takes memory too."""
_MOST_NAMES: Final = 2_000
_BLOCK: Final = 64 * 1024
_UTF16: Final = {
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
    b"<\0": "utf-16-le",
    b"\0<": "utf-16-be",
}
"""The encoding of a document that begins with these bytes."""


class XmlReader:
    """Reads one file.

    Args:
        options: How it is read.
        stream: At its start.
        member: Its name in the archive, or the empty text.
    """

    def __init__(self, options: XmlOptions, stream: BinaryIO, member: str) -> None:
        self._options = options
        self._member = member
        self._where = member or "the file"
        transcoded = options.transcoded
        raw = cast("BinaryIO", Transcoded(stream, transcoded, self._where)) if transcoded else stream
        self._blocks = Blocks(raw, self._where)

    def indexed(self, index: MemberIndex) -> Iterator[XmlBatch]:
        """Read the batches of an index."""
        for span, data in self._blocks.of(index.spans, seekable=not self._options.transcoded):
            yield XmlBatch(self._options, span, index.names, data)

    def through(self, after: Span | None) -> Iterator[XmlBatch]:
        """Cut the whole file into batches, numbered on from those of the previous member."""
        block = self._blocks.fill(b"", _BLOCK)
        document = Document(self._options, self._where, UTF8 if self._options.encoding else None)
        cut = _Cut(self._options, self._member, document, self._codec(block), after)
        while block:
            document.feed(block)
            yield from cut.add(block)
            block = self._blocks.fill(b"", _BLOCK)
        document.close()
        if cut.is_empty and not self._options.missing_ok:
            document.check_place()
        yield from cut.rest()

    def _codec(self, head: bytes) -> str | None:
        """Return Python's name of the encoding; None if the document declares it.

        Raises:
            DeliveryError: If the file is empty, or in another encoding than the declared one.
        """
        if not head:
            raise refused(self._where, "is empty", "Check the feed: an empty file is no delivery")
        if self._options.encoding:
            marked = foreign_mark(head, UTF8)
            if marked:
                raise refused(
                    self._where,
                    f"begins with the byte order mark of {marked} but is declared {self._options.encoding}",
                    f"Write encoding={marked!r}",
                )
            return UTF8
        if foreign_mark(head, UTF8) == "utf-32":
            raise refused(self._where, "begins with the byte order mark of utf-32", "Write encoding='utf-32'")
        return _UTF16.get(head[:2])


class _Cut:
    """Collects the records of a document into batches.

    A batch ends before the record with which it would exceed ``batch_bytes`` or `MOST_CELLS`.

    Args:
        options: How the document is read.
        member: Its name in the archive, or the empty text.
        document: Its parser.
        codec: Python's name of its encoding; None if the document declares it.
        after: The last batch of the previous member.
    """

    def __init__(
        self, options: XmlOptions, member: str, document: Document, codec: str | None, after: Span | None
    ) -> None:
        self._options = options
        self._member = member
        self._document = document
        self._known_codec = codec
        self._number, self._record = (after.batch + 1, after.last_record + 1) if after else (1, 1)
        self._first = self._number
        self._place = 1
        self._data = bytearray()
        self._origin = 0
        self._records: list[Record] = []
        self._end = 0
        self._names: dict[str, Any] = {}
        self._all_names: dict[str, Any] = {}

    def add(self, block: bytes) -> Iterator[XmlBatch]:
        """Take a block that the document was fed, and yield the batches that are complete."""
        self._data += block
        records = self._document.take()
        if records and not self._take_all(records):
            for record in records:
                yield from self._take(record)
        limit = self._options.batch_bytes
        start = self._document.record_start
        if start is not None and self._origin + len(self._data) - start > limit:
            raise self._too_long(start)
        if self._records and self._document.position - self._records[0].start > limit:
            yield self._batch()
        self._forget_before(self._records[0].start if self._records else start)

    @property
    def is_empty(self) -> bool:
        """Whether no record was found so far."""
        return self._number == self._first and not self._records

    def rest(self) -> Iterator[XmlBatch]:
        """Yield the last batch; an empty one if the document has no records."""
        if self._records or self.is_empty:
            yield self._batch()

    def _take_all(self, records: list[Record]) -> bool:
        """Add records to the batch, if it can have all of them; return whether it did."""
        names = dict(self._names)
        for record in records:
            names.update(record.cells or ())
        end = self._end_of(records[-1])
        every = [*self._records[:1], *records]
        if end - every[0].start > self._options.batch_bytes or self._is_full(len(self._records) + len(records), names):
            return False
        self._records += records
        self._names, self._end = names, end
        return True

    def _take(self, record: Record) -> Iterator[XmlBatch]:
        """Add one record, and yield the batch before it if that is complete."""
        end, own = self._end_of(record), record.cells or {}
        names = self._names | own
        if self._records and (
            end - self._records[0].start > self._options.batch_bytes or self._is_full(len(self._records) + 1, names)
        ):
            yield self._batch()
            names = dict(own)
        if end - record.start > self._options.batch_bytes:
            raise self._too_long(record.start)
        self._records.append(record)
        self._names, self._end = names, end

    def _is_full(self, records: int, names: dict[str, Any]) -> bool:
        return records * max(len(names), _FEWEST_NAMES) > MOST_CELLS

    def _batch(self) -> XmlBatch:
        """Return the batch of the records since the last one."""
        records, names = self._records, tuple(self._names)
        self._all_names |= dict.fromkeys(names)
        check_names(self._all_names, self._document.where, "Ask the publisher for another name", most=_MOST_NAMES)
        start = records[0].start if records else 0
        ancestors = records[0].ancestors if records else ()
        span = Span(
            batch=self._number,
            member=self._member,
            offset=start,
            length=self._end - start if records else 0,
            first_record=self._record,
            records=len(records),
            first_line=self._place,
            context=str(Context(self._codec, tuple(map(str, ancestors)))),
        )
        data = bytes(self._data[start - self._origin : start - self._origin + span.length])
        self._number, self._record, self._place = (
            self._number + 1,
            self._record + len(records),
            self._place + len(records),
        )
        self._records, self._names = [], {}
        return XmlBatch(self._options, span, names, data, records)

    @property
    def _codec(self) -> str:
        return self._known_codec or canonical(self._document.declared or UTF8)

    def _end_of(self, record: Record) -> int:
        return end_of(record, self._data, self._origin, self._codec)

    def _forget_before(self, position: int | None) -> None:
        """Free the bytes before a position; None for that of the parser."""
        count = (self._document.position if position is None else position) - self._origin
        del self._data[:count]
        self._origin += count

    def _too_long(self, start: int) -> DeliveryError:
        problem = f"has a record longer than {self._options.batch_bytes} bytes, byte {start}"
        return refused(self._document.where, problem, "Check the path of the records, or raise batch_bytes")
