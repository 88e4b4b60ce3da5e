"""Read a stream in blocks of bytes: one after another, or the spans of an index."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from etl_assets.errors import DeliveryIncompleteError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.model.delivery import Span

_SKIP: Final = 1024 * 1024


class Blocks:
    """One stream, read forward.

    Args:
        stream: At its start.
        where: Its name in errors.

    Attributes:
        ended: Whether `fill` has reached the end of the stream.
    """

    def __init__(self, stream: BinaryIO, where: str) -> None:
        self._stream = stream
        self._where = where
        self._pushback = _Pushback(stream)
        self._reader = io.BufferedReader(self._pushback, buffer_size=1)
        self.ended = False

    def fill(self, carried: bytes, size: int) -> bytes:
        """Return the carried bytes filled up to a size; fewer at the end of the stream."""
        if len(carried) >= size or self.ended:
            return carried
        self._pushback.push_back(carried)
        block = self._reader.read(size)
        self.ended = len(block) < size
        return block

    def of(self, spans: Sequence[Span], *, seekable: bool) -> Iterator[tuple[Span, bytes]]:
        """Read the bytes of some spans; skip the others by seeking if possible, else by reading.

        Args:
            spans: Spans of the stream.
            seekable: Whether the offsets count bytes of the stream itself, so that it may be sought.

        Yields:
            Each span and its bytes, by offset.

        Raises:
            DeliveryIncompleteError: If the stream ends before a span does.
        """
        seekable = seekable and self._stream.seekable()
        position = 0
        for span in sorted(spans, key=lambda span: span.offset):
            if seekable:
                self._stream.seek(span.offset)
            else:
                self._skip(span.offset - position)
            data = self._reader.read(span.length)
            position = span.offset + span.length
            if len(data) < span.length:
                raise DeliveryIncompleteError(
                    f"{self._where} ends before batch {span.batch} does. Nothing more was written. "
                    "Land the delivery again: its index belongs to other bytes."
                )
            yield span, data

    def _skip(self, count: int) -> None:
        while count > 0 and (chunk := self._stream.read(min(count, _SKIP))):
            count -= len(chunk)


class _Pushback(io.RawIOBase):
    """A stream to which bytes can be pushed back, which are then read first.

    Read through a buffer of one byte, which holds nothing back, a block is one piece of memory that is written once.

    Args:
        stream: The stream.
    """

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream: Any = stream
        self._bytes = b""

    def push_back(self, data: bytes) -> None:
        """Push back the last bytes that were read."""
        self._bytes = data

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer; 0 at the end."""
        if not self._bytes:
            count: int = self._stream.readinto(buffer)
            return count
        count = min(len(buffer), len(self._bytes))
        buffer[:count] = self._bytes[:count]
        self._bytes = self._bytes[count:]
        return count
