"""Cuts a stream of JSON objects, one a line, into batches, and computes offsets, lines and record numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.bits import count_of
from etl_assets.extract.formats.blocks import Blocks
from etl_assets.extract.formats.encoding import UTF8
from etl_assets.extract.formats.json.batch import JsonBatch
from etl_assets.extract.formats.json.head import length_of_mark
from etl_assets.extract.formats.json.numbering import numbered
from etl_assets.extract.formats.json.options import MOST_NAMES
from etl_assets.extract.formats.lines.lines import find_lines
from etl_assets.extract.formats.published_names import check_names
from etl_assets.extract.formats.slices import Slices
from etl_assets.model.delivery import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.extract.formats.json.options import ObjectOptions
    from etl_assets.extract.formats.lines import Lines
    from etl_assets.model.delivery import MemberIndex

_JSON_BLANKS: Final = b" \t\r"
_BLANK_CODES: Final = np.frombuffer(_JSON_BLANKS, np.uint8)


class NdjsonReader:
    """Reads one file.

    Args:
        stream: At its start.
        member: Its name in the archive, or the empty text.
        options: How objects become records, and the largest size of a batch.
    """

    def __init__(self, stream: BinaryIO, member: str, options: ObjectOptions) -> None:
        self._member = member
        self._where = member or "the file"
        self._options = options
        self._size = options.batch_bytes
        self._blocks = Blocks(stream, self._where)
        self._names: dict[str, None] = {}
        self._line = 1

    def indexed(self, index: MemberIndex) -> Iterator[JsonBatch]:
        """Read the batches of an index."""
        for span, data in self._blocks.of(index.spans, seekable=True):
            yield self._batch(span, data, index.names)

    def through(self, after: Span | None) -> Iterator[JsonBatch]:
        """Cut the whole file into batches, each with the names that its own records have."""
        return numbered(self._batches(), after)

    def _batches(self) -> Iterator[JsonBatch]:
        for start, whole in self._whole_lines():
            offset, parts = start, [whole]
            while parts:
                data = parts.pop()
                batch = self._batch(Span(0, self._member, offset, len(data), 0, 0, self._line), data, None)
                self._check_names(batch.names)
                if batch.too_large and (halves := _halves(data)):
                    parts += halves
                    continue
                yield batch
                offset += len(data)
                self._line += count_of(b"\n", data)

    def _whole_lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield blocks of whole lines, and the offset of each."""
        block = self._blocks.fill(b"", self._size)
        offset = length_of_mark(block, self._where)
        block = block[offset:]
        while True:
            length = len(block) if self._blocks.ended else block.rfind(b"\n") + 1
            if block and not length:
                raise self._refused(
                    f"has a line longer than {self._size} bytes, line {self._line}",
                    "Check whether it has one JSON object a line, or raise batch_bytes",
                )
            yield offset, block[:length]
            if self._blocks.ended:
                return
            offset += length
            block = self._blocks.fill(block[length:], self._size)

    def _batch(self, span: Span, data: bytes, names: tuple[str, ...] | None) -> JsonBatch:
        lines = _with_values(find_lines(data, UTF8, b"\n", first=span.first_line, prefix=f"{self._member}:"))
        first = int(lines.numbers[0]) if len(lines) else span.first_line
        if names is None:
            span = replace(span, first_line=first)
        else:
            lines = replace(lines, numbers=lines.numbers + (span.first_line - first))
        records = Slices(data, lines.starts, lines.ends)
        return JsonBatch(span, records, self._options, names=names, place=lines.location)

    def _check_names(self, names: tuple[str, ...]) -> None:
        self._names |= dict.fromkeys(names)
        check_names(self._names, self._where, "Ask the publisher for another key", most=MOST_NAMES)

    def _refused(self, problem: str, remedy: str) -> DeliveryError:
        return DeliveryError(f"{self._where} {problem}. Nothing was written. {remedy}.")


def _with_values(lines: Lines) -> Lines:
    """Return the lines that have more than blanks."""
    first = np.frombuffer(lines.data, np.uint8)[lines.starts]
    filled = np.ones(len(lines), bool)
    for index in np.flatnonzero(np.isin(first, _BLANK_CODES)).tolist():
        filled[index] = bool(lines.line(index).strip(_JSON_BLANKS))
    return lines.select(filled)


def _halves(data: bytes) -> Sequence[bytes]:
    """Return the second and the first half of the lines of a batch; nothing if it is one line."""
    middle = data.rfind(b"\n", 0, len(data) // 2) + 1
    return (data[middle:], data[:middle]) if middle else ()
