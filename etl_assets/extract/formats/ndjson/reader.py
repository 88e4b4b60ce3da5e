"""Cuts a stream of JSON objects, one a line, into batches, and computes offsets, lines and record numbers."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, BinaryIO, Final

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.blocks import Blocks
from etl_assets.extract.formats.encoding import UTF8, foreign_mark
from etl_assets.extract.formats.ndjson.batch import NdjsonBatch
from etl_assets.extract.formats.published_names import check_names
from etl_assets.model.delivery import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.model.delivery import MemberIndex


_MOST_NAMES: Final = 2_000
MOST_CELLS: Final = 5_000_000
"""The largest number of records times keys of a batch: a batch whose records have few of many keys is cut further."""
_JSON_BLANKS: Final = b" \t\r"


class NdjsonReader:
    """Reads one file.

    Args:
        stream: At its start.
        member: Its name in the archive, or the empty text.
        null: Texts that mean no value.
        size: Largest size of a batch, in bytes.
    """

    def __init__(self, stream: BinaryIO, member: str, null: tuple[str, ...], size: int) -> None:
        self._member = member
        self._where = member or "the file"
        self._null = null
        self._size = size
        self._blocks = Blocks(stream, self._where)
        self._names: dict[str, None] = {}

    def indexed(self, index: MemberIndex) -> Iterator[NdjsonBatch]:
        """Read the batches of an index."""
        for span, data in self._blocks.of(index.spans, seekable=True):
            yield self._batch(span, data, index.names)

    def through(self, after: Span | None) -> Iterator[NdjsonBatch]:
        """Cut the whole file into batches, each with the names that its own records have."""
        number, record = (after.batch + 1, after.last_record + 1) if after else (1, 1)
        first, line = number, 1
        for start, whole in self._whole_lines():
            offset, parts = start, [whole]
            while parts:
                data = parts.pop()
                lines = [index for index, _ in _records(data)]
                ahead = min(lines, default=0)
                span = Span(number, self._member, offset, len(data), record, len(lines), line + ahead)
                batch = self._batch(span, data, None)
                self._check_names(batch.names)
                if halves := _halves(data, len(lines) * len(batch.names)):
                    parts += halves
                    continue
                if lines or number == first:
                    yield batch
                    number, record = number + 1, record + len(lines)
                offset += len(data)
                line += data.count(b"\n")

    def _whole_lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield blocks of whole lines, and the offset of each."""
        block = self._blocks.fill(b"", self._size)
        offset, line = self._check_head(block), 1
        block = block[offset:]
        while True:
            length = len(block) if self._blocks.ended else block.rfind(b"\n") + 1
            if block and not length:
                raise self._refused(
                    f"has a line longer than {self._size} bytes, line {line}",
                    "Check whether it has one JSON object a line, or raise batch_bytes",
                )
            yield offset, block[:length]
            if self._blocks.ended:
                return
            offset += length
            line += block.count(b"\n", 0, length)
            block = self._blocks.fill(block[length:], self._size)

    def _batch(self, span: Span, data: bytes, names: tuple[str, ...] | None) -> NdjsonBatch:
        records = list(_records(data))
        before = span.first_line - min((line for line, _ in records), default=0)
        places = [f"{self._member}:{before + line}" for line, _ in records]
        return NdjsonBatch(span, [record for _, record in records], null=self._null, names=names, places=places)

    def _check_head(self, head: bytes) -> int:
        """Refuse a file with the byte order mark of another encoding; return the length of its byte order mark."""
        if not head:
            raise self._refused("is empty", "Check the feed: an empty file is no delivery")
        if marked := foreign_mark(head, UTF8):
            raise self._refused(f"begins with the byte order mark of {marked}", "Have the publisher write UTF-8")
        return len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0

    def _check_names(self, names: tuple[str, ...]) -> None:
        self._names |= dict.fromkeys(names)
        check_names(self._names, self._where, "Ask the publisher for another key", most=_MOST_NAMES)

    def _refused(self, problem: str, remedy: str) -> DeliveryError:
        return DeliveryError(f"{self._where} {problem}. Nothing was written. {remedy}.")


def _halves(data: bytes, cells: int) -> Sequence[bytes]:
    """Return the second and the first half of the lines of a batch with too many cells; nothing for any other batch."""
    middle = data.rfind(b"\n", 0, len(data) // 2) + 1
    return (data[middle:], data[:middle]) if cells > MOST_CELLS and middle else ()


def _records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each line that is not blank, without its end, and the number of lines before it."""
    for index, line in enumerate(data.split(b"\n")):
        if line.strip(_JSON_BLANKS):
            yield index, line.removesuffix(b"\r")
