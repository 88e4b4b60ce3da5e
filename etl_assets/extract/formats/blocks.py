"""Read a stream in blocks of bytes: one after another, or the spans of an index."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final

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
        self.ended = False

    def fill(self, carried: bytes, size: int) -> bytes:
        """Return the carried bytes filled up to a size; fewer at the end of the stream."""
        wanted = size - len(carried)
        if wanted <= 0 or self.ended:
            return carried
        fresh = self._exactly(wanted)
        self.ended = len(fresh) < wanted
        return carried + fresh if carried else fresh

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
            data = self._exactly(span.length)
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

    def _exactly(self, count: int) -> bytes:
        """Read that many bytes; fewer only at the end of the stream."""
        parts: list[bytes] = []
        while count > 0 and (part := self._stream.read(count)):
            parts.append(part)
            count -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
