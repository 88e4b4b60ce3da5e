"""Member: one file inside a delivery, read as a stream within limits."""

from __future__ import annotations

import io
import lzma
import tarfile
import zlib
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from etl_assets.errors import DeliveryError, DeliveryIncompleteError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_MEMBERS: Final = 10_000
MAX_BYTES: Final = 256 * 1024**3
MAX_RATIO: Final = 200
RATIO_FLOOR: Final = 64 * 1024**2
"""A member may always unpack to this size, whatever its ratio."""
_SHOWN: Final = 20
_DAMAGE: Final = (EOFError, OSError, zlib.error, lzma.LZMAError, tarfile.TarError)


class Member(io.RawIOBase):
    """One file inside a delivery, read as a stream.

    Attributes:
        member: Its name in the archive; the empty text when the delivery is one file.
        position: Number of bytes read so far; the size of the member, once it is read to the end.
        packed: Packed size, in bytes.
        claimed: Unpacked size that the archive claims, in bytes; the packed size, if it claims none.
    """

    def __init__(
        self,
        stream: Any,
        member: str,
        where: str,
        packed: int,
        damage: type[Exception] = EOFError,
        *,
        claimed: int | None = None,
    ) -> None:
        """Wrap the unpacking stream.

        Args:
            stream: The stream of unpacked bytes.
            member: Name in the archive.
            where: Its name in errors.
            packed: Packed size, in bytes.
            damage: An error that the stream raises if its packed bytes are damaged, besides those of all libraries.
            claimed: Unpacked size that the archive claims, if it does.
        """
        super().__init__()
        self.member = member
        self.position = 0
        self.packed = packed
        self.claimed = packed if claimed is None else claimed
        self._stream = stream
        self._ready = b""
        self._where = where
        self._damage = (*_DAMAGE, damage)
        self._limit = min(MAX_BYTES, max(RATIO_FLOOR, packed * MAX_RATIO))

    def as_stream(self) -> BinaryIO:
        """Return the member under the type that formats read."""
        return cast("BinaryIO", self)

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer; 0 at the end."""
        chunk = self.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def head(self, size: int) -> bytes:
        """Return the next bytes, which `read` will return again; fewer than that many at the end."""
        while len(self._ready) < size and (chunk := self._unpacked(size - len(self._ready))):
            self._ready += chunk
        return self._ready[:size]

    def read(self, size: int = -1, /) -> bytes:
        """Read at most that many bytes; all for -1.

        Raises:
            DeliveryIncompleteError: If the packed bytes end early or are damaged.
            DeliveryError: If the unpacked bytes exceed the limit for the packed size.
        """
        if size < 0:
            return self.readall()
        chunk, self._ready = self._ready[:size], self._ready[size:]
        chunk = chunk or self._unpacked(size)
        self.position += len(chunk)
        if self.position > self._limit:
            raise DeliveryError(
                f"{self._where} unpacks to more than {self._limit} bytes, over {MAX_RATIO} times its packed size. "
                "Nothing of it was written. Check the file: it may be made to fill disks."
            )
        return chunk

    def _unpacked(self, size: int) -> bytes:
        try:
            chunk: bytes = self._stream.read(size)
        except self._damage as error:
            raise DeliveryIncompleteError(
                f"{self._where} is cut short or damaged ({type(error).__name__} after {self.position} unpacked bytes). "
                "Nothing of it was written. Fetch it again; if that does not help, ask the publisher."
            ) from error
        return chunk

    def drain(self) -> None:
        """Read to the end, so that the checksum is verified."""
        while self.read(io.DEFAULT_BUFFER_SIZE * 16):
            pass


def is_wanted(member: str, pattern: str) -> bool:
    """Return whether a file of an archive is to be read; the Finder's files beside the others never are."""
    return not member.startswith("__MACOSX/") and fnmatchcase(member, pattern)


def check_count(members: int, name: str) -> None:
    """Raise a `DeliveryError` if an archive has more members than can be trusted."""
    if members > MAX_MEMBERS:
        raise DeliveryError(f"{name} has over {MAX_MEMBERS} members. Nothing was written. Check the file.")


def check_size(unpacked: int, name: str) -> None:
    """Raise a `DeliveryError` if the members of an archive are larger together than can be trusted, in bytes."""
    if unpacked > MAX_BYTES:
        raise DeliveryError(f"{name} unpacks to more than {MAX_BYTES} bytes. Nothing was written. Check the file.")


def two_of_one_name(name: str) -> DeliveryError:
    """Return the error for an archive two of whose wanted members have the same name."""
    return DeliveryError(f"{name} has two members of one name. Nothing was written. Check the file.")


def no_member_matches(name: str, members: Sequence[str], pattern: str) -> DeliveryError:
    """Return the error for an archive without a member to read.

    Args:
        name: Of the archive.
        members: Names of all its files.
        pattern: The declared glob.
    """
    shown = ", ".join(members[:_SHOWN]) or "nothing"
    more = f" and {len(members) - _SHOWN} more" if len(members) > _SHOWN else ""
    return DeliveryError(
        f"{name} has no member that matches member={pattern!r}; it contains {shown}{more}. Nothing was written. "
        "Correct member= or check the feed."
    )
