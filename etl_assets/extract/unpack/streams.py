"""Packed streams: gz, bz2, xz and zst. Each may consist of several packed streams, one after another."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable

_XZ_MEMORY: Final = 256 * 1024**2
"""Largest dictionary of an xz stream, in bytes: four times that of the strongest usual setting."""
_CHUNK: Final = 64 * 1024


class _Concatenated(io.RawIOBase):
    """Packed streams one after another, read as one. What follows a stream must be a stream, or zeros."""

    def __init__(self, stream: BinaryIO, decompressor: Callable[[], Any]) -> None:
        super().__init__()
        self._stream = stream
        self._decompressor = decompressor
        self._current = decompressor()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while True:
            if self._current.eof and not self._next_stream():
                return 0
            packed = self._stream.read(_CHUNK) if self._current.needs_input else b""
            if self._current.needs_input and not packed:
                raise EOFError
            chunk = self._current.decompress(packed, len(buffer))
            if chunk:
                buffer[: len(chunk)] = chunk
                return len(chunk)

    def _next_stream(self) -> bool:
        """Begin the stream after one that has ended; return whether there is one."""
        rest = self._current.unused_data.lstrip(b"\0")
        while not rest:
            rest = self._stream.read(_CHUNK)
            if not rest:
                return False
            rest = rest.lstrip(b"\0")
        following = self._decompressor()
        self._current = _Begun(following, rest)
        return True


class _Begun:
    """A decompressor whose first packed bytes have been read already."""

    def __init__(self, decompressor: Any, first: bytes) -> None:
        self._decompressor = decompressor
        self._first = first

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decompressor, name)

    @property
    def needs_input(self) -> bool:
        return not self._first and bool(self._decompressor.needs_input)

    def decompress(self, packed: bytes, size: int) -> bytes:
        first, self._first = self._first or packed, b""
        return cast("bytes", self._decompressor.decompress(first, size))


def _zst(stream: BinaryIO) -> Any:
    return pa.CompressedInputStream(pa.PythonFile(cast("io.IOBase", stream), mode="r"), "zstd")


_OPENERS: Final[dict[bytes, Callable[[BinaryIO], Any]]] = {
    b"\x1f\x8b": lambda stream: gzip.GzipFile(fileobj=stream),
    b"BZh": lambda stream: _Concatenated(stream, bz2.BZ2Decompressor),
    b"\xfd7zXZ\x00": lambda stream: _Concatenated(stream, lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY)),
    b"\x28\xb5\x2f\xfd": _zst,
}


def stream_magic(head: bytes) -> bytes | None:
    """Return the first bytes of the kind of packed stream that begins with some bytes; None if it is none."""
    return next((magic for magic in _OPENERS if head.startswith(magic)), None)


def open_stream(magic: bytes, stream: BinaryIO) -> Any:
    """Return the stream of unpacked bytes, a context manager.

    It raises an error of the library, an `OSError` or an `EOFError` if the packed bytes are damaged or end early.
    """
    return _OPENERS[magic](stream)
