"""A stream that is read again and again, of which no more is fetched than was asked for."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, BinaryIO, Final

if TYPE_CHECKING:
    from typing import IO

_CHUNK: Final = 1024 * 1024


class Replay(io.RawIOBase):
    """A stream that can seek, over one that cannot: what was read of it is kept in a temporary file.

    Args:
        stream: At its start.
        kept: An empty file for what was read.
    """

    def __init__(self, stream: BinaryIO, kept: IO[bytes]) -> None:
        super().__init__()
        self._stream = stream
        self._kept = kept
        self._size = 0
        self._at = 0
        self._ended = False

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to a position; the bytes up to the end are fetched only if it is relative to the end."""
        if whence == io.SEEK_END:
            while self._fetch():
                pass
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer; fewer bytes only at the end."""
        end = self._at + len(buffer)
        while self._size < end and self._fetch():
            pass
        self._kept.seek(self._at)
        data = self._kept.read(max(0, min(end, self._size) - self._at))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _fetch(self) -> bool:
        """Keep the next bytes of the stream; return whether there were any."""
        chunk = b"" if self._ended else self._stream.read(_CHUNK)
        self._ended = not chunk
        self._kept.seek(self._size)
        self._kept.write(chunk)
        self._size += len(chunk)
        return bool(chunk)
