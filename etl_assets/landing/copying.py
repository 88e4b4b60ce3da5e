"""A stream that is copied while it is read: threads hash and write each chunk that the reader has just read."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Self

from etl_assets.extract.unpack import HEAD
from etl_assets.landing.digests import Digester

if TYPE_CHECKING:
    from concurrent.futures import Future
    from types import TracebackType

    from etl_assets.landing.digests import Digests

_CHUNK: Final = 4 * 1024 * 1024


class Copying(io.RawIOBase):
    """Returns a stream's bytes once, and copies all of them. Leaving the block copies the rest."""

    def __init__(self, source: BinaryIO, target: BinaryIO) -> None:
        """Connect two streams.

        Args:
            source: Is read from start to end.
            target: The copy is written to it.
        """
        super().__init__()
        self._source = source
        self._target = target
        self._digester = Digester()
        self._ready = b""
        self._workers = ThreadPoolExecutor(2, "etl-assets-copying")
        self._last: list[Future[None]] = []

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
            self._workers.shutdown()

    def digests(self) -> Digests:
        """Return the digests of all bytes; call it once, after the block."""
        return self._digester.digests()

    def readable(self) -> bool:
        """True."""
        return True

    def head(self) -> bytes:
        """Return the first bytes, which `read` will return again; call it before anything is read."""
        while len(self._ready) < HEAD and (more := self._advance(_CHUNK)):
            self._ready += more
        return self._ready[:HEAD]

    def read(self, size: int = -1, /) -> bytes:
        """Return at most that many bytes, all for -1; none at the end."""
        if size < 0:
            return self.readall()
        if not self._ready:
            return self._advance(size)
        chunk, self._ready = self._ready[:size], self._ready[size:]
        return chunk

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer and return the number of bytes; 0 at the end."""
        chunk = self.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def _advance(self, size: int) -> bytes:
        chunk = self._source.read(size)
        if chunk:
            self._finish()
            self._last = [
                self._workers.submit(self._digester.update_whole, chunk),
                self._workers.submit(self._copy_chunk, chunk),
            ]
        return chunk

    def _copy_chunk(self, chunk: bytes) -> None:
        self._digester.update_blocks(chunk)
        view = memoryview(chunk)
        while view:
            view = view[self._target.write(view) :]

    def _finish(self) -> None:
        """Wait for the copy of the last chunk; raise its error, if any."""
        last, self._last = self._last, []
        for part in last:
            part.result()
