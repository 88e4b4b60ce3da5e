"""Cuts a stream of lines into batches, and computes offsets, line numbers and record numbers.

The same bytes always give the same batches, whatever sizes the stream returns them in.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, BinaryIO, cast

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.blocks import Blocks
from etl_assets.extract.formats.encoding import UTF8, Transcoded, foreign_mark
from etl_assets.extract.formats.lines.batch import LineBatch
from etl_assets.extract.formats.lines.enclosure import Enclosure
from etl_assets.extract.formats.lines.lines import LineKind, find_lines
from etl_assets.model.delivery import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.extract.formats.lines.format import LineFormat
    from etl_assets.model.delivery import MemberIndex


class LineReader:
    """Reads one file.

    Args:
        format_: The format.
        stream: At its start.
        member: Its name in the archive, or the empty text.
    """

    def __init__(self, format_: LineFormat, stream: BinaryIO, member: str) -> None:
        self._format = format_
        self._end = format_.line_end.encode()
        self._member = member
        self._where = member or "the file"
        raw = cast("BinaryIO", Transcoded(stream, format_.codec, self._where)) if format_.transcoded else stream
        self._blocks = Blocks(raw, self._where)
        self._skipped = 0

    def indexed(self, index: MemberIndex) -> Iterator[LineBatch]:
        """Read the batches of an index."""
        for span, data in self._blocks.of(index.spans, seekable=not self._format.transcoded):
            yield LineBatch(self._format, span, data)

    def through(self, after: Span | None) -> Iterator[LineBatch]:
        """Cut the whole file into batches, numbered on from those of the previous member."""
        number, record = (after.batch + 1, after.last_record + 1) if after else (1, 1)
        first = number
        enclosure = Enclosure(self._format, self._where)
        for offset, line, data in self._whole_lines():
            lines = find_lines(data, self._format.text_codec, self._end, first=line, prefix=f"{self._member}:")
            kinds = self._format.kinds(lines)
            enclosure.follow(lines, kinds)
            if self._blocks.ended:
                enclosure.end()
            records = lines.select(kinds == LineKind.RECORD)
            self._skipped += len(lines) - len(records)
            if len(records) or (self._blocks.ended and (number == first or self._skipped)):
                first_line = int(records.numbers[0]) if len(records) else line
                place = (number, self._member, offset, len(data), record, len(records), first_line)
                span = Span(*place, self._skipped, enclosure.context)
                yield LineBatch(self._format, span, data, records)
                number, record, self._skipped = number + 1, record + len(records), 0

    def _whole_lines(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield blocks of whole lines: offset, number of the first line, and the bytes. The last one may be empty."""
        offset, line, block = self._after_skipped_lines()
        size = self._format.batch_bytes
        while True:
            block = self._blocks.fill(block, size)
            length = len(block) if self._blocks.ended else block.rfind(self._end) + 1
            if not length and not self._blocks.ended:
                raise self._too_long(line)
            yield offset, line, block[:length]
            if self._blocks.ended:
                return
            offset += length
            line += block.count(self._end, 0, length)
            block = block[length:]

    def _after_skipped_lines(self) -> tuple[int, int, bytes]:
        """Return offset and number of the first line that is not skipped, and the bytes from there on."""
        size = self._format.batch_bytes
        block = self._blocks.fill(b"", size)
        before, line, position = 0, 1, self._check_head(block)
        while line <= self._format.skip_lines and (position < len(block) or not self._blocks.ended):
            end = block.find(self._end, position) + 1 or (len(block) if self._blocks.ended else 0)
            if end:
                self._skipped += bool(block[position:end].strip(b"\r" + self._end))
                line, position = line + 1, end
            elif position:
                before, block, position = before + position, self._blocks.fill(block[position:], size), 0
            else:
                raise self._too_long(line)
        return before + position, line, block[position:]

    def _check_head(self, head: bytes) -> int:
        """Refuse a file that is not text in the declared encoding; return the length of its byte order mark."""
        if not head:
            raise self._refused("is empty", "Check the feed: an empty file is no delivery")
        if marked := foreign_mark(head, self._format.text_codec):
            raise self._refused(
                f"begins with the byte order mark of {marked} but is declared {self._format.encoding}",
                f"Write encoding={marked!r}",
            )
        if self._end == b"\n" and b"\n" not in head and b"\r" in head.rstrip(b"\r"):
            raise self._refused("has bare carriage returns for line ends", "Have the publisher write LF or CRLF")
        has_mark = self._format.codec == UTF8 and head.startswith(codecs.BOM_UTF8)
        return len(codecs.BOM_UTF8) if has_mark else 0

    def _too_long(self, line: int) -> DeliveryError:
        return self._refused(
            f"has a line longer than {self._format.batch_bytes} bytes, line {line}",
            "Check whether it has the line ends of its format, or raise batch_bytes",
        )

    def _refused(self, problem: str, remedy: str) -> DeliveryError:
        return DeliveryError(f"{self._where} {problem}. Nothing was written. {remedy}.")
