"""Cuts a stream of delimited text into batches.

This module reads the header and computes offsets, lines and record numbers. The same bytes always give the same
batches, whatever sizes the stream returns them in.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.blocks import Blocks
from etl_assets.extract.formats.csv.batch import CsvBatch, ended_by_line_feed
from etl_assets.extract.formats.csv.records import MISQUOTED, OPEN, find_records, record_end, split_fields
from etl_assets.extract.formats.encoding import UTF8, Transcoded, foreign_mark
from etl_assets.extract.formats.published_names import check_names
from etl_assets.model.delivery import Span
from etl_assets.model.text import names_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.extract.formats.csv.options import CsvOptions
    from etl_assets.model.delivery import MemberIndex

_MARK: Final = b"\xef\xbb\xbf"
_HEAD: Final = 64 * 1024
_BLANK: Final = (b"", b"\r")


class CsvReader:
    """Reads one file."""

    def __init__(self, format_: CsvOptions, stream: BinaryIO, member: str) -> None:
        """Wrap a stream.

        Args:
            format_: How the file is written.
            stream: At its start.
            member: Its name in the archive, or the empty text.
        """
        self._format = format_
        self._layout = format_.layout
        self._codec = UTF8 if format_.transcoded else format_.codec
        self._member = member
        self._where = member or "the file"
        raw = cast("BinaryIO", Transcoded(stream, format_.codec, self._where)) if format_.transcoded else stream
        self._blocks = Blocks(raw, self._where)
        self._skipped = 0

    def indexed(self, index: MemberIndex) -> Iterator[CsvBatch]:
        """Read the batches of an index."""
        for span, data in self._blocks.of(index.spans, seekable=not self._format.transcoded):
            yield CsvBatch(self._format, span, index.names, data)

    def through(self, after: Span | None) -> Iterator[CsvBatch]:
        """Cut the whole file into batches, numbered on from those of the previous member."""
        size = self._format.batch_bytes
        head = self._blocks.fill(b"", min(_HEAD, size))
        header = self._header(head)
        if header is None and not self._blocks.ended:
            head = self._blocks.fill(head, size)
            header = self._header(head)
        if header is None:
            raise self._refused(
                "has a header that does not end", "Declare the quote character, or name the columns: header=(...)"
            )
        offset, line, names = header
        return self._cut(head[offset:], offset, line, names, after)

    def _cut(
        self, head: bytes, offset: int, line: int, names: tuple[str, ...], after: Span | None
    ) -> Iterator[CsvBatch]:
        """Fill a block, cut it after its last complete record, and carry the rest over to the next block."""
        number, record = (after.batch + 1, after.last_record + 1) if after else (1, 1)
        first = number
        size = self._format.batch_bytes
        block = self._blocks.fill(head, size)
        while block or number == first:
            ended = self._blocks.ended
            records = find_records(ended_by_line_feed(block) if ended else block, self._layout, final=ended)
            length = len(block) if ended else records.consumed
            if block and not length:
                raise self._refused(
                    f"has a line longer than {size} bytes, line {line}",
                    "Check whether it is delimited text with LF line ends, or raise batch_bytes",
                )
            self._skipped += records.comments
            if len(records) or (ended and (number == first or self._skipped)):
                ahead = block.count(b"\n", 0, int(records.starts[0])) if len(records) else 0
                span = Span(number, self._member, offset, length, record, len(records), line + ahead, self._skipped)
                self._skipped = 0
                yield CsvBatch(self._format, span, names, block, records)
                number += 1
                record += len(records)
            elif ended:
                return
            offset += length
            line += records.lines
            block = self._blocks.fill(block[length:], size)

    def _header(self, head: bytes) -> tuple[int, int, tuple[str, ...]] | None:
        """Return offset and number of the first line after the header, and the names; None if the header is cut off."""
        offset = self._check_head(head)
        text = ended_by_line_feed(head) if self._blocks.ended else head
        line, skipped = 1, 0
        while (feed := text.find(b"\n", offset)) >= 0:
            if line > self._format.skip_lines and not self._is_void(text, offset, feed):
                break
            skipped += text[offset:feed] not in _BLANK
            offset, line = feed + 1, line + 1
        self._skipped = skipped
        if isinstance(self._format.header, tuple):
            return min(offset, len(head)), line, self._format.header
        if offset >= len(text):
            if self._blocks.ended:
                raise self._refused("has no header", "Check the feed: it may be empty today")
            return None
        end = record_end(text, offset, self._layout)
        if end == OPEN:
            return None
        if end == MISQUOTED:
            raise self._refused(
                f"has a stray quote in its header, line {line}",
                "Declare the quote character (quote=None for none), or skip_lines=... for lines before the header",
            )
        names = self._names(text[offset:end].removesuffix(b"\r"))
        return min(end + 1, len(head)), line + text.count(b"\n", offset, end) + 1, names

    def _is_void(self, text: bytes, start: int, feed: int) -> bool:
        """Return whether a line is blank or a comment."""
        comment = self._layout.comment
        return text[start:feed] in _BLANK or (bool(comment) and text.startswith(comment, start))

    def _check_head(self, head: bytes) -> int:
        """Refuse a file that is not text in the declared encoding; return the length of its byte order mark."""
        if not head:
            raise self._refused("is empty", "Check the feed: an empty file is no delivery")
        if marked := foreign_mark(head, self._codec):
            raise self._refused(
                f"begins with the byte order mark of {marked} but is declared {self._format.encoding}",
                f"Write encoding={marked!r}",
            )
        if b"\n" not in head and b"\r" in head.rstrip(b"\r"):
            raise self._refused("has bare carriage returns for line ends", "Have the publisher write LF or CRLF")
        return len(_MARK) if self._format.codec == UTF8 and head.startswith(_MARK) else 0

    def _names(self, record: bytes) -> tuple[str, ...]:
        if b"\0" in record:
            raise self._refused(
                "has a NUL byte in its header", "Declare its encoding (utf-16 has many NUL bytes) or its format"
            )
        try:
            names = [field.decode(self._codec) for field in split_fields(record, self._layout)]
        except UnicodeDecodeError:
            raise self._refused(
                f"has a header that is not in the declared encoding {self._format.encoding}",
                "Declare its encoding, e.g. encoding='cp1252'",
            ) from None
        remedy = "Name the columns yourself: header=(...), with skip_lines= to skip the publisher's header"
        check_names(names, self._where, remedy)
        if twins := sorted(name for name, count in Counter(names).items() if count > 1):
            raise self._refused(f"publishes more than one column named {names_text(twins)}", remedy)
        return tuple(names)

    def _refused(self, problem: str, remedy: str) -> DeliveryError:
        return DeliveryError(f"{self._where} {problem}. Nothing was written. {remedy}.")
