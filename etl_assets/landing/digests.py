"""Digests of frozen bytes: computed while they are written, compared whenever they are read.

A digest of each block of `BLOCK_BYTES` lets a reader seek: it verifies the blocks that it reads and no others.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from etl_assets.errors import DeliveryDamagedError

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCK_BYTES: Final = 4 * 1024 * 1024
"""Size of a block; the last block of a file may be shorter. Stored digests depend on it."""


@dataclass(frozen=True)
class Digests:
    """The digests of some bytes.

    Attributes:
        sha256: SHA-256 (hex) of all bytes.
        size: Number of bytes.
        blocks: SHA-256 (hex) of each block, in order.
    """

    sha256: str
    size: int
    blocks: tuple[str, ...]


class Digester:
    """Computes the digests of bytes that come in chunks."""

    def __init__(self) -> None:
        self._whole = sha256()
        self._size = 0
        self._block = sha256()
        self._blocks: list[str] = []

    def update(self, chunk: bytes) -> None:
        """Add a chunk of any size."""
        self.update_whole(chunk)
        self.update_blocks(chunk)

    def update_whole(self, chunk: bytes) -> None:
        """Add a chunk to the digest of all bytes only; `update_blocks`, in any thread, adds it to the others."""
        self._whole.update(chunk)

    def update_blocks(self, chunk: bytes) -> None:
        """Add a chunk to the digests of the blocks only; see `update_whole`."""
        view = memoryview(chunk)
        while view:
            part = view[: BLOCK_BYTES - self._size % BLOCK_BYTES]
            self._block.update(part)
            self._size += len(part)
            view = view[len(part) :]
            if self._size % BLOCK_BYTES == 0:
                self._end_block()

    def digests(self) -> Digests:
        """Return the digests of all bytes; call it once, after the last chunk."""
        if self._size % BLOCK_BYTES:
            self._end_block()
        return Digests(self._whole.hexdigest(), self._size, tuple(self._blocks))

    def _end_block(self) -> None:
        self._blocks.append(self._block.hexdigest())
        self._block = sha256()


def digests_of(stream: BinaryIO) -> Digests:
    """Read a stream to its end and return its digests."""
    digester = Digester()
    while chunk := stream.read(BLOCK_BYTES):
        digester.update(chunk)
    return digester.digests()


class VerifiedStream(io.RawIOBase):
    """Returns the bytes of a file only if their blocks have the expected digests. It is seekable.

    Args:
        file: The file, unbuffered and seekable; it is closed with this stream.
        size: Expected number of bytes.
        blocks: Expected digests of the blocks.
        where: The bytes and their place, for errors.
    """

    def __init__(self, file: BinaryIO, size: int, blocks: Sequence[str], where: str) -> None:
        super().__init__()
        self._file: Any = file
        self._size = size
        self._blocks = blocks
        self._where = where
        self._position = 0
        self._last: tuple[int, bytes] = (-1, b"")

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to a position and return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer and return the number of bytes; 0 at the end. Whole blocks are read straight into it.

        Raises:
            DeliveryDamagedError: If a block differs from what was fetched.
        """
        view = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(view):
            whole = self._whole_blocks(len(view) - filled)
            if whole:
                self._read_blocks(view[filled : filled + whole])
                count = whole
            else:
                to_end_of_block = BLOCK_BYTES - self._position % BLOCK_BYTES
                chunk = self.read(min(to_end_of_block, len(view) - filled))
                count = len(chunk)
                view[filled : filled + count] = chunk
            if not count:
                break
            filled += count
        return filled

    def _whole_blocks(self, most: int) -> int:
        """Return the length of the blocks that begin at the position and fit into a number of bytes."""
        if self._position % BLOCK_BYTES:
            return 0
        left = max(0, self._size - self._position)
        return left if left <= most else most - most % BLOCK_BYTES

    def _read_blocks(self, view: memoryview) -> None:
        """Read the blocks that begin at the position, and compare their digests."""
        self._file.seek(self._position)
        filled = 0
        while filled < len(view) and (count := self._file.readinto(view[filled:])):
            filled += count
        self._compare(view[:filled], self._position // BLOCK_BYTES, len(view))
        self._position += len(view)

    def read(self, size: int = -1, /) -> bytes:
        """Return that many bytes, all up to the end for -1; fewer only at the end.

        Raises:
            DeliveryDamagedError: If a block differs from what was fetched.
        """
        begin = self._position
        end = self._size if size < 0 else min(begin + size, self._size)
        if begin >= end:
            return b""
        self._position = end
        first, last = begin // BLOCK_BYTES, (end - 1) // BLOCK_BYTES
        if first == last == self._last[0]:
            data = self._last[1]
        else:
            data = self._verified(first, last)
            offset = (last - first) * BLOCK_BYTES
            self._last = (last, data[offset:] if offset else data)
        offset = first * BLOCK_BYTES
        return data[begin - offset : end - offset]

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def _verified(self, first: int, last: int) -> bytes:
        """Read blocks from the file and compare their digests."""
        self._file.seek(first * BLOCK_BYTES)
        length = min((last + 1) * BLOCK_BYTES, self._size) - first * BLOCK_BYTES
        data = _read_fully(self._file, length)
        self._compare(memoryview(data), first, length)
        return data

    def _compare(self, view: memoryview, first: int, length: int) -> None:
        """Raise if bytes are not those of the blocks from a number on, of that many bytes in all."""
        for begin in range(0, length, BLOCK_BYTES):
            number = first + begin // BLOCK_BYTES
            if sha256(view[begin : begin + BLOCK_BYTES]).hexdigest() != self._blocks[number]:
                begins = number * BLOCK_BYTES
                raise damaged(self._where, f"bytes {begins} to {min(begins + BLOCK_BYTES, self._size)} differ")


def damaged(where: str, problem: str) -> DeliveryDamagedError:
    """Return the error that frozen bytes are not those that were fetched.

    Args:
        where: The bytes or their manifest, and the place.
        problem: What is wrong with them, as a clause.
    """
    return DeliveryDamagedError(
        f"{where} differs from what was fetched: {problem}. It was not used, and nothing more was written. "
        "Run the partition again with --force, which fetches it again if the publisher still has it; otherwise "
        "restore it from a backup."
    )


def _read_fully(file: BinaryIO, count: int) -> bytes:
    """Read that many bytes; fewer only at the end of the file."""
    parts: list[bytes] = []
    while count > 0 and (part := file.read(count)):
        parts.append(part)
        count -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
