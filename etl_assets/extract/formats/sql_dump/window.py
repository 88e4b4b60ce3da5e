"""The part of a stream that is in memory: a window that moves forward, and the line on which it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final

from etl_assets.errors import DeliveryError, DeliveryIncompleteError
from etl_assets.extract.formats.bits import count_of
from etl_assets.extract.formats.blocks import Blocks

if TYPE_CHECKING:
    import re

_MARGIN: Final = 8
"""Bytes before the position that stay, because patterns look behind."""


class Window:
    """Bytes of a stream, and the position at which reading goes on.

    Args:
        stream: At its start.
        where: Its name in errors.
        size: Number of bytes that are in memory at once.

    Attributes:
        data: The bytes. A line feed follows the last byte of the stream, so that every token has a byte after it.
        at: The position in these bytes.
        ended: Whether they reach to the end of the stream.
    """

    def __init__(self, stream: BinaryIO, where: str, size: int) -> None:
        self._blocks = Blocks(stream, where)
        self._where = where
        self._size = size
        self._base = 0
        self._first = 1
        self._counted, self._line = 0, 1
        self.data = b""
        self.at = 0
        self.ended = False
        self.fill()

    @property
    def offset(self) -> int:
        """The position, counted from the start of the stream."""
        return self._base + self.at

    def line(self, at: int) -> int:
        """Return the number of the line at a position in the bytes."""
        begin, line = (self._counted, self._line) if at >= self._counted else (0, self._first)
        self._counted, self._line = at, line + count_of(b"\n", self.data, begin, at)
        return self._line

    def fill(self) -> bool:
        """Drop the bytes before the position and read on; return whether there are more bytes after the position."""
        if self.ended:
            return False
        dropped = max(self.at - _MARGIN, 0)
        before = len(self.data) - self.at
        self._first = self.line(dropped)
        self._counted = 0
        self._base += dropped
        self.at -= dropped
        self.data = self._blocks.fill(self.data[dropped:], self._size)
        self.ended = self._blocks.ended
        if self.ended:
            self.data += b"\n"
        return len(self.data) - self.at > before

    def ensure(self, size: int) -> None:
        """Read on if fewer bytes than that follow the position."""
        if len(self.data) - self.at < size:
            self.fill()

    def match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Match a pattern at the position."""
        return pattern.match(self.data, self.at)

    def more(self, what: str) -> None:
        """Read on within something that does not end in the bytes at hand.

        Raises:
            DeliveryIncompleteError: If the stream ends.
            DeliveryError: If it is larger than the window.
        """
        if self.fill():
            return
        place = f"{self._where}:{self.line(self.at)}"
        if self.ended:
            raise DeliveryIncompleteError(
                f"{place} begins {what} that does not end: the dump is cut short. Nothing was written. Fetch it again "
                "once the publisher has finished it."
            )
        raise DeliveryError(
            f"{place} begins {what} of more than {self._size:,} bytes. Nothing was written. Check the declared "
            "dialect, or raise batch_bytes."
        )
