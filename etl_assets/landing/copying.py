"""A stream that is kept while it is read: a thread hashes and writes what the reader has just been given."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Self

if TYPE_CHECKING:
    from concurrent.futures import Future
    from types import TracebackType

_CHUNK: Final = 4 * 1024 * 1024
_HEAD: Final = 8


class Copying(io.RawIOBase):
    """Gives a stream's bytes once, and keeps a copy of every one of them. Leaving the block copies what is left.

    Attributes:
        size: Number of bytes copied.
    """

    def __init__(self, source: BinaryIO, target: BinaryIO) -> None:
        """Join two streams.

        Args:
            source: Read from start to end.
            target: Takes the copy.
        """
        super().__init__()
        self.size = 0
        self._source = source
        self._target = target
        self._digest = sha256()
        self._ready = b""
        self._worker = ThreadPoolExecutor(1, "etl-assets-copying")
        self._last: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        try:
            while kind is None and self.read(_CHUNK):
                pass
            self._finish()
        finally:
            self._worker.shutdown()

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of all that was copied; to be asked after the block."""
        return self._digest.hexdigest()

    def readable(self) -> bool:
        """True."""
        return True

    def head(self) -> bytes:
        """The first bytes, which stay to be read; to be asked before anything is read."""
        while len(self._ready) < _HEAD and (more := self._advance(_CHUNK)):
            self._ready += more
        return self._ready[:_HEAD]

    def read(self, size: int = -1, /) -> bytes:
        """At most that many bytes, all for -1; empty at the end."""
        if size < 0:
            return self.readall()
        if not self._ready:
            return self._advance(size)
        chunk, self._ready = self._ready[:size], self._ready[size:]
        return chunk

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer; 0 at the end."""
        chunk = self.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def _advance(self, size: int) -> bytes:
        chunk = self._source.read(size)
        if chunk:
            self._finish()
            self.size += len(chunk)
            self._last = self._worker.submit(self._keep, chunk)
        return chunk

    def _keep(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        view = memoryview(chunk)
        while view:
            view = view[self._target.write(view) :]

    def _finish(self) -> None:
        """Wait for the copy of the last chunk; what went wrong with it is raised here."""
        last, self._last = self._last, None
        if last is not None:
            last.result()
