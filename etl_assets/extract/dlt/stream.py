"""A stream of the bytes that an iterator makes, as they are asked for."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Stream(io.RawIOBase):
    """Returns the chunks of an iterator as one stream.

    An error of the iterator is raised by every read from then on: a stream that broke never looks like one that ended.

    Attributes:
        at_end: Is called once after the last chunk, before the end is shown; its error breaks the stream too.
    """

    at_end: Callable[[], None]

    def __init__(self, chunks: Iterator[bytes]) -> None:
        """Take the chunks; nothing is asked for yet."""
        super().__init__()
        self._chunks = chunks
        self._ready = memoryview(b"")
        self._ended = False
        self._error: BaseException | None = None

    def fill(self) -> None:
        """Ask for the first bytes, so that what is wrong from the start is raised here."""
        while not self._ready and not self._ended:
            self._advance()

    def readable(self) -> bool:
        """True."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return that many bytes, fewer only at the end; all for -1."""
        parts: list[memoryview] = []
        missing = size
        while missing and (self._ready or not self._ended):
            if not self._ready:
                self._advance()
                continue
            part = self._ready if missing < 0 else self._ready[:missing]
            self._ready = self._ready[len(part) :]
            missing = missing if missing < 0 else missing - len(part)
            parts.append(part)
        return b"".join(parts)

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer and return the number of bytes; 0 at the end."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _advance(self) -> None:
        if self._error is not None:
            raise self._error
        try:
            chunk = next(self._chunks, None)
            if chunk is None:
                self.at_end()
                self._ended = True
            else:
                self._ready = memoryview(chunk)
        except BaseException as error:
            self._error = error
            raise
