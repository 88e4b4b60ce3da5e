"""A stream cut into blocks of bytes: filled one after another, or sought by the spans of an earlier reading."""

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
        where: What to call it in errors.

    Attributes:
        ended: Whether `fill` came to the end of the stream.
    """

    def __init__(self, stream: BinaryIO, where: str) -> None:
        self._stream = stream
        self._where = where
        self.ended = False

    def fill(self, carried: bytes, size: int) -> bytes:
        """The bytes carried over, filled up to a size; at the end of the stream, what there is."""
        wanted = size - len(carried)
        if wanted <= 0 or self.ended:
            return carried
        fresh = self._exactly(wanted)
        self.ended = len(fresh) < wanted
        return carried + fresh if carried else fresh

    def of(self, spans: Sequence[Span], *, seekable: bool) -> Iterator[tuple[Span, bytes]]:
        """The bytes of some spans, sought if possible, else read and passed over.

        Args:
            spans: Of the stream.
            seekable: Whether offsets are those of the stream, which may then be sought.

        Raises:
            DeliveryIncompleteError: If the stream ends before one of them does.
        """
        seekable = seekable and self._stream.seekable()
        position = 0
        for span in sorted(spans, key=lambda each: each.offset):
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
        """That many bytes, fewer only at the end of the stream."""
        parts: list[bytes] = []
        while count > 0 and (part := self._stream.read(count)):
            parts.append(part)
            count -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
