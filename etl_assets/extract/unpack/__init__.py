"""Unpacks zip and tar archives and gz, bz2, xz and zst streams, which are recognised by their first bytes.

`member` limits the unpacked size, against archive bombs. Members are only read as streams; no file is written under a
name from an archive. The content of a member is not unpacked again, except that a packed stream may be a tar archive.
"""

from __future__ import annotations

import io
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final

from etl_assets.extract.unpack.member import Member
from etl_assets.extract.unpack.streams import open_stream, stream_magic
from etl_assets.extract.unpack.tars import TAR_HEAD, is_tar, tar_members
from etl_assets.extract.unpack.zips import ZIP, is_document, opened_zip, zip_members

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.model.secret import Secret

__all__ = ["HEAD", "Member", "looks_packed", "unpack"]

HEAD: Final = TAR_HEAD
"""Number of bytes at the start of a file by which `looks_packed` recognises it."""


def looks_packed(head: bytes) -> bool:
    """Return whether a file may be an archive, a packed stream or an office document, by its first ``HEAD`` bytes."""
    return head.startswith(ZIP) or stream_magic(head) is not None or is_tar(head)


@contextmanager
def unpack(
    stream: BinaryIO, name: str, pattern: str, password: Secret | None = None
) -> Iterator[Iterator[tuple[str, BinaryIO]]]:
    """Open the files inside a delivery, one after the other.

    Args:
        stream: The delivery; seekable, at its start.
        name: Its name, for errors.
        pattern: Glob for the archive members to read.
        password: Of encrypted members.

    Yields:
        Name and stream of each file, in the archive's order; each is closed before the next one is opened. A delivery
        that is one file has the empty name; if it is not packed, its stream is the one given.

    Raises:
        DeliveryIncompleteError: If an archive is cut short.
        DeliveryError: If no member matches, or the archive cannot be trusted.
    """
    head = stream.read(HEAD)
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    with ExitStack() as opened:
        if head.startswith(ZIP) and not is_document(stream):
            archive = opened.enter_context(opened_zip(stream, name, pattern, password))
            yield zip_members(archive, name, pattern)
        elif is_tar(head):
            yield tar_members(stream, name, pattern)
        elif (magic := stream_magic(head)) is not None:
            member = Member(opened.enter_context(open_stream(magic, stream)), "", name, size)
            yield tar_members(member, name, pattern) if is_tar(member.head(HEAD)) else iter([("", member.as_stream())])
        else:
            yield iter([("", stream)])
