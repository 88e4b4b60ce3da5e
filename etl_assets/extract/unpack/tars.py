"""Tar archives, read from start to end."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Self, cast

from etl_assets.errors import DeliveryError, DeliveryIncompleteError
from etl_assets.extract.unpack.member import (
    Member,
    check_count,
    is_wanted,
    no_member_matches,
    two_of_one_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

TAR_HEAD: Final = 512
"""Number of bytes at the start of a file by which `is_tar` recognises it."""
_MAGIC: Final = slice(257, 262)
_NAME_HEADERS: Final = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE)
_LONGEST_HEADER: Final = 1024**2


class _Header(tarfile.TarInfo):
    """A header that raises wherever tarfile itself would take damage for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        if header.type in _NAME_HEADERS and header.size > _LONGEST_HEADER:
            raise DeliveryError(
                f"A tar archive has a name or attributes of {header.size} bytes. Nothing was written. Check the file."
            )
        return header

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the stubs lack it
            raise
        except tarfile.TarError as error:
            raise _damaged(archive, error) from None


def is_tar(head: bytes) -> bool:
    """Return whether a file is a tar archive, by its first ``TAR_HEAD`` bytes."""
    return head[_MAGIC] == b"ustar"


def tar_members(stream: BinaryIO | Member, name: str, pattern: str) -> Iterator[tuple[str, BinaryIO]]:
    """Yield name and stream of each file of an archive that matches a pattern; see `unpack`."""
    files: list[str] = []
    wanted: set[str] = set()
    with tarfile.open(name, mode="r|", fileobj=cast("Any", stream), tarinfo=_Header) as archive:
        for header in _headers(archive):
            if header.isdir():
                continue
            files.append(header.name)
            check_count(len(files), name)
            if not is_wanted(header.name, pattern):
                continue
            if header.name in wanted:
                raise two_of_one_name(name)
            wanted.add(header.name)
            yield header.name, _opened(archive, header, name)
    if not wanted:
        raise no_member_matches(name, files, pattern)


def _headers(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    while True:
        try:
            header = archive.next()
        except tarfile.TarError as error:  # the bytes end before the next header
            raise _damaged(archive, error) from None
        if header is None:
            return
        yield header


def _damaged(archive: tarfile.TarFile, error: tarfile.TarError) -> DeliveryIncompleteError:
    return DeliveryIncompleteError(
        f"{archive.name!r} is a tar archive that is damaged or cut short ({type(error).__name__} at byte "
        f"{archive.offset}). Nothing was written. Fetch it again; if that does not help, ask the publisher."
    )


def _opened(archive: tarfile.TarFile, header: tarfile.TarInfo, name: str) -> BinaryIO:
    inner = archive.extractfile(header) if header.isreg() else None
    if inner is None:
        raise DeliveryError(
            f"{header.name} in {name} is a link or a device and not a file. Nothing was written. Leave it out by "
            "member=, or have the publisher pack the file itself."
        )
    return Member(inner, header.name, f"{header.name} in {name}", header.size).as_stream()
