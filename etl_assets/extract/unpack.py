"""Unpacks zip archives and gz, bz2, xz and zst streams, which are recognised by their first bytes.

This module also limits the unpacked size, against archive bombs. Members are only read as streams; no file is written
under a name from an archive. The content of a member is not unpacked again.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

import pyarrow as pa

from etl_assets.errors import DeliveryError, DeliveryIncompleteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_MEMBERS: Final = 10_000
MAX_BYTES: Final = 256 * 1024**3
MAX_RATIO: Final = 200
RATIO_FLOOR: Final = 64 * 1024**2
"""A member may always unpack to this size, whatever its ratio."""

_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_DOCUMENTS: Final = frozenset({"[Content_Types].xml", "mimetype"})
_ENCRYPTED: Final = 0x1
_SHOWN: Final = 20
_STREAMS: Final[dict[bytes, Callable[[BinaryIO], Any]]] = {
    b"\x1f\x8b": lambda stream: gzip.GzipFile(fileobj=stream),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": lambda stream: pa.CompressedInputStream(
        pa.PythonFile(cast("io.IOBase", stream), mode="r"), "zstd"
    ),
}


class Member(io.RawIOBase):
    """One file inside a delivery, read as a stream.

    Attributes:
        member: Its name in the archive; the empty text when the delivery is one file.
        position: Number of bytes read so far; the size of the member, once it is read to the end.
    """

    def __init__(self, stream: Any, member: str, where: str, packed: int) -> None:
        """Wrap the unpacking stream.

        Args:
            stream: The stream of unpacked bytes.
            member: Name in the archive.
            where: Its name in errors.
            packed: Packed size, in bytes.
        """
        super().__init__()
        self.member = member
        self.position = 0
        self._stream = stream
        self._where = where
        self._limit = min(MAX_BYTES, max(RATIO_FLOOR, packed * MAX_RATIO))

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer; 0 at the end."""
        chunk = self.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def read(self, size: int = -1, /) -> bytes:
        """Read at most that many bytes; all for -1.

        Raises:
            DeliveryIncompleteError: If the packed bytes end early or are damaged.
            DeliveryError: If the unpacked bytes exceed the limit for the packed size.
        """
        if size < 0:
            return self.readall()
        try:
            chunk: bytes = self._stream.read(size)
        except (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
            raise DeliveryIncompleteError(
                f"{self._where} is cut short or damaged ({type(error).__name__} after {self.position} unpacked bytes). "
                "Nothing of it was written. Fetch it again; if that does not help, ask the publisher."
            ) from error
        self.position += len(chunk)
        if self.position > self._limit:
            raise DeliveryError(
                f"{self._where} unpacks to more than {self._limit} bytes, over {MAX_RATIO} times its packed size. "
                "Nothing of it was written. Check the file: it may be made to fill disks."
            )
        return chunk

    def drain(self) -> None:
        """Read to the end, so that the checksum is verified."""
        while self.read(io.DEFAULT_BUFFER_SIZE * 16):
            pass


def looks_packed(head: bytes) -> bool:
    """Return whether a file may be an archive, a packed stream or an office document, by its first 8 bytes."""
    return head.startswith((*_STREAMS, *_ZIP))


def is_packed(stream: BinaryIO) -> bool:
    """Return whether a file is an archive or a packed stream; leave the stream at its start."""
    head = stream.read(8)
    stream.seek(0)
    return any(head.startswith(magic) for magic in _STREAMS) or (head.startswith(_ZIP) and not _is_document(stream))


@contextmanager
def unpack(stream: BinaryIO, name: str, pattern: str) -> Iterator[Iterator[tuple[str, BinaryIO]]]:
    """Open the files inside a delivery, one after the other.

    Args:
        stream: The delivery; seekable, at its start.
        name: Its name, for errors.
        pattern: Glob for the archive members to read.

    Yields:
        Name and stream of each file, in the archive's order; each is closed before the next one is opened. A delivery
        that is one file has the empty name; if it is not packed, its stream is the one given.

    Raises:
        DeliveryIncompleteError: If an archive is cut short.
        DeliveryError: If no member matches, or the archive cannot be trusted.
    """
    if not is_packed(stream):
        yield iter([("", stream)])
        return
    head = stream.read(8)
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    if not head.startswith(_ZIP):
        opener = next(opener for magic, opener in _STREAMS.items() if head.startswith(magic))
        with opener(stream) as inner:
            yield iter([("", cast("BinaryIO", Member(inner, "", name, size)))])
        return
    try:
        archive = zipfile.ZipFile(stream)
    except zipfile.BadZipFile as error:
        raise DeliveryIncompleteError(
            f"{name} is a zip archive without its end ({error}). Nothing was written. "
            "Fetch it again once the publisher has finished it."
        ) from error
    with archive:
        yield _members(archive, _matching(archive, name, pattern), name)


def _members(archive: zipfile.ZipFile, infos: list[zipfile.ZipInfo], name: str) -> Iterator[tuple[str, BinaryIO]]:
    for info in infos:
        where = f"{info.filename} in {name}"
        try:
            inner = archive.open(info)
        except (NotImplementedError, RuntimeError) as error:
            raise DeliveryError(
                f"{where} is packed in a way that cannot be read ({error}). Nothing was written. "
                "Ask the publisher for ordinary zip."
            ) from error
        except zipfile.BadZipFile as error:
            raise DeliveryIncompleteError(
                f"{where} is damaged ({error}). Nothing was written. Fetch it again."
            ) from error
        with inner:
            yield info.filename, cast("BinaryIO", Member(inner, info.filename, where, info.compress_size))


def _matching(archive: zipfile.ZipFile, name: str, pattern: str) -> list[zipfile.ZipInfo]:
    """Return the members that match; raise if the archive is not sound."""
    infos = [info for info in archive.infolist() if not info.is_dir() and not info.filename.startswith("__MACOSX/")]
    if len(infos) > MAX_MEMBERS:
        raise DeliveryError(
            f"{name} has {len(infos)} members, over {MAX_MEMBERS}. Nothing was written. Check the file."
        )
    wanted = [info for info in infos if fnmatchcase(info.filename, pattern)]
    if not wanted:
        members = ", ".join(info.filename for info in infos[:_SHOWN]) or "nothing"
        more = f" and {len(infos) - _SHOWN} more" if len(infos) > _SHOWN else ""
        raise DeliveryError(
            f"{name} has no member that matches member={pattern!r}; it contains {members}{more}. Nothing was written. "
            "Correct member= or check the feed."
        )
    if len({info.filename for info in wanted}) < len(wanted):
        raise DeliveryError(f"{name} has two members of one name. Nothing was written. Check the file.")
    if locked := [info.filename for info in wanted if info.flag_bits & _ENCRYPTED]:
        raise DeliveryError(
            f"{locked[0]} in {name} is encrypted. Nothing was written. Have the publisher send it without a password."
        )
    if sum(info.file_size for info in wanted) > MAX_BYTES:
        raise DeliveryError(f"{name} unpacks to more than {MAX_BYTES} bytes. Nothing was written. Check the file.")
    return wanted


def _is_document(stream: BinaryIO) -> bool:
    """Return whether a zip archive is an office document, which is not unpacked; leave the stream at its start."""
    try:
        with zipfile.ZipFile(stream) as archive:
            return not _DOCUMENTS.isdisjoint(archive.namelist())
    except zipfile.BadZipFile:
        return False
    finally:
        stream.seek(0)
