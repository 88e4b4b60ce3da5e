"""Cuts a stream of delimited text into batches.

This module reads the header and computes offsets, lines and record numbers. The same bytes always give the same
batches, whatever sizes the stream returns them in.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import numpy as np

from etl_assets.errors import DeliveryError, DeliveryIncompleteError
from etl_assets.extract.formats.bits import count_of
from etl_assets.extract.formats.blocks import Blocks
from etl_assets.extract.formats.csv.batch import CsvBatch, scan
from etl_assets.extract.formats.csv.plain import plain_text
from etl_assets.extract.formats.csv.records import MISQUOTED, OPEN, record_end, split_fields
from etl_assets.extract.formats.encoding import UTF8, Transcoded, foreign_mark
from etl_assets.extract.formats.published_names import check_names
from etl_assets.model.delivery import FoundIndex, Span
from etl_assets.model.text import names_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.extract.formats.csv.options import CsvOptions
    from etl_assets.extract.formats.csv.plain import PlainText
    from etl_assets.extract.formats.csv.records import Records
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
        self._codec = format_.read_codec
        self._line_end = self._layout.line_end
        self._header_begins = (format_.header_begins or "").encode(self._codec)
        self._footer_begins = (format_.footer_begins or "").encode(self._codec)
        self._member = member
        self._where = member or "the file"
        raw = cast("BinaryIO", Transcoded(stream, format_.codec, self._where)) if format_.transcoded else stream
        self._blocks = Blocks(raw, self._where)
        self._skipped = 0
        self._has_footer = False

    def indexed(self, index: MemberIndex) -> Iterator[CsvBatch]:
        """Read the batches of an index; find the records of those of which landing did not find them."""
        found = index.found if isinstance(index, FoundIndex) else {}
        for span, data in self._blocks.of(index.spans, seekable=not self._format.transcoded):
            if span.batch in found:
                yield CsvBatch(self._format, span, index.names, data, found=found[span.batch])
            else:
                yield CsvBatch(self._format, span, index.names, data, scan(data, self._format, index.names, final=True))

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
        yield from self._cut(head[offset:], offset, line, names, after)
        if self._footer_begins and not self._has_footer:
            raise DeliveryIncompleteError(
                f"{self._where} ends without a line that begins with {self._format.footer_begins!r}, its footer. "
                "Nothing was written. Fetch it again once the publisher has finished it, or correct footer_begins=."
            )

    def _cut(
        self, head: bytes, offset: int, line: int, names: tuple[str, ...], after: Span | None
    ) -> Iterator[CsvBatch]:
        """Fill a block, cut it after its last complete record, and carry the rest over to the next block."""
        number, record = (after.batch + 1, after.last_record + 1) if after else (1, 1)
        first = number
        size = self._format.batch_bytes
        block = self._blocks.fill(head, size)
        while block or number == first:
            block, text, records = self._scan(block, names, line)
            ended = self._blocks.ended
            length = len(block) if ended else text.origin(records.consumed)
            if block and not length:
                raise self._refused(
                    f"has a line longer than {size} bytes, line {line}",
                    "Check whether its lines end as declared, or raise batch_bytes",
                )
            self._skipped += records.skipped
            if len(records) or (ended and (number == first or self._skipped)):
                ahead = self._lines(block, text.origin(int(records.starts[0]))) if len(records) else 0
                span = Span(number, self._member, offset, length, record, len(records), line + ahead, self._skipped)
                self._skipped = 0
                yield CsvBatch(self._format, span, names, block, (text, records))
                number += 1
                record += len(records)
            elif ended:
                return
            offset += length
            line += self._lines(block, length) if text.hides_line_ends else records.lines
            block = self._blocks.fill(block[length:], size)

    def _scan(self, block: bytes, names: tuple[str, ...], line: int) -> tuple[bytes, PlainText, Records]:
        """Find the records of a block; return the block without the footer, which ends the file."""
        text, records = scan(block, self._format, names, final=self._blocks.ended)
        if not self._footer_begins or self._has_footer:
            return block, text, records
        codes = np.frombuffer(block, np.uint8)
        starts = text.origins(records.starts)
        for start in starts[codes[starts] == self._footer_begins[0]].tolist():
            if block.startswith(self._footer_begins, start):
                self._pass_footer(block[start:], line + self._lines(block, start))
                return block[:start], *scan(block[:start], self._format, names, final=True)
        return block, text, records

    def _pass_footer(self, footer: bytes, line: int) -> None:
        """Read the rest of the file, and count its lines."""
        self._has_footer = True
        footer = self._blocks.fill(footer, len(footer) + self._format.batch_bytes)
        lines = [text for text in footer.split(self._line_end) if text not in _BLANK]
        if not self._blocks.ended or sum(text.startswith(self._footer_begins) for text in lines) > 1:
            raise self._refused(
                f"goes on after its footer, line {line}",
                "Check whether several files were put together, or write more of the footer: footer_begins=",
            )
        self._skipped += len(lines)

    def _lines(self, block: bytes, end: int) -> int:
        """Return the number of line ends before a position."""
        return count_of(self._line_end, block, 0, end)

    def _header(self, head: bytes) -> tuple[int, int, tuple[str, ...]] | None:
        """Return offset and number of the first line after the header, and the names; None if the header is cut off."""
        offset, line = self._first_line(head)
        if isinstance(self._format.header, tuple):
            return min(offset, len(head)), line, self._format.header
        text = plain_text(head[offset:], self._layout, final=self._blocks.ended)
        lines = text.data[: text.data.rfind(self._line_end) + 1]  # what follows may be cut off
        end = record_end(lines, 0, text.layout)
        if end == OPEN:
            return None
        if end == MISQUOTED:
            raise self._refused(
                f"has a stray quote in its header, line {line}",
                "Declare the quote character (quote=None for none), or skip_lines=... for lines before the header",
            )
        names = self._names(text, text.data[:end].removesuffix(b"\r" if self._layout.takes_crlf else b""))
        line += self._lines(head[offset:], text.origin(end)) + 1
        return min(offset + text.origin(end + 1), len(head)), line, names

    def _first_line(self, head: bytes) -> tuple[int, int]:
        """Return offset and number of the line with which the header begins, or the first record if names are declared.

        Until more bytes are read, it may be the last line of these bytes, which is cut off.
        """
        offset, line, skipped = self._check_head(head), 1, 0
        ended = self._blocks.ended
        text = head + self._line_end if ended and not head.endswith(self._line_end) else head
        while (end := text.find(self._line_end, offset)) >= 0:
            if line > self._format.skip_lines and self._is_header(text, offset, end):
                break
            skipped += text[offset:end] not in _BLANK
            offset, line = end + 1, line + 1
        self._skipped = skipped
        no_more = ended or len(head) >= self._format.batch_bytes
        if end < 0 and no_more and self._format.header is True and (self._header_begins or offset >= len(text)):
            raise self._without_header(len(head))
        return offset, line

    def _without_header(self, size: int) -> DeliveryError:
        """Return the error about a file without a header in its first bytes."""
        if not self._header_begins:
            return self._refused("has no header", "Check the feed: it may be empty today")
        return self._refused(
            f"has no line that begins with {self._format.header_begins!r} in its first {size} bytes, as its header",
            "Check the feed, or correct header_begins=",
        )

    def _is_header(self, text: bytes, start: int, end: int) -> bool:
        """Return whether the first record may begin with a line: it is neither blank nor a comment nor before it."""
        comment = self._layout.comment
        if text[start:end] in _BLANK or (comment and text.startswith(comment, start)):
            return False
        return text.startswith(self._header_begins, start)

    def _check_head(self, head: bytes) -> int:
        """Refuse a file that is not text in the declared encoding; return the length of its byte order mark."""
        if not head:
            raise self._refused("is empty", "Check the feed: an empty file is no delivery")
        if marked := foreign_mark(head, self._codec):
            raise self._refused(
                f"begins with the byte order mark of {marked} but is declared {self._format.encoding}",
                f"Write encoding={marked!r}",
            )
        if self._line_end == b"\n" and b"\n" not in head and b"\r" in head.rstrip(b"\r"):
            raise self._refused("has bare carriage returns for line ends", 'Declare them: line_end="\\r"')
        if self._line_end == b"\r" and head.startswith(b"\r\n", max(head.find(b"\r"), 0)):
            raise self._refused("has a line feed after its first carriage return", "Leave out line_end=")
        return len(_MARK) if self._format.codec == UTF8 and head.startswith(_MARK) else 0

    def _names(self, text: PlainText, record: bytes) -> tuple[str, ...]:
        if b"\0" in record:
            raise self._refused(
                "has a NUL byte in its header", "Declare its encoding (utf-16 has many NUL bytes) or its format"
            )
        try:
            names = [text.meaning(field.decode(self._codec)) for field in split_fields(record, text.layout)]
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
