"""Opens the file of which a declaration is inferred: fetches it, and unpacks one member."""

from __future__ import annotations

import glob
import socket
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Final, cast
from urllib.parse import urlsplit

from etl_assets.extract.access.http import Http
from etl_assets.extract.file import FileExtractor
from etl_assets.extract.formats.csv import Csv
from etl_assets.extract.http.addresses import is_public
from etl_assets.extract.location import is_web
from etl_assets.extract.unpack import HEAD as HEAD_OF_PACKED
from etl_assets.extract.unpack import Member, looks_packed, unpack
from etl_assets.infer.replay import Replay
from etl_assets.model.partitions import Partition

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.infer.extractors import DeclaredExtractor
    from etl_assets.model.secret import Secret

HEAD: Final = 256 * 1024
"""Number of bytes at the start of a file by which its format is recognised."""


@dataclass(frozen=True)
class File:
    """A file, unpacked, of which no more is fetched than is read.

    Attributes:
        location: As given.
        name: The file's name at the publisher.
        member: Its name in the archive; empty if it is not in one.
        pattern: The glob to declare for the member; ``*`` if it is not in an archive.
        others: Names of the other members of the archive that match.
        stream: Its bytes, seekable.
        by: The extractor that fetched it, if that is declared already.
        is_cut: Whether it may lack records that the publisher has.
        private: Whether its host has an address outside the public internet.
    """

    location: str
    name: str
    member: str
    pattern: str
    others: Sequence[str]
    stream: BinaryIO
    by: DeclaredExtractor | None = None
    is_cut: bool = False
    private: bool = False

    @property
    def shown(self) -> str:
        """Its name in errors."""
        return f"{self.member} in {self.name}" if self.member else self.name

    def head(self, size: int = HEAD) -> bytes:
        """Return the first bytes, fewer only if the file has no more."""
        self.stream.seek(0)
        parts, missing = [], size
        while missing and (part := self.stream.read(missing)):
            parts.append(part)
            missing -= len(part)
        self.stream.seek(0)
        return b"".join(parts)


@contextmanager
def opened(location: str, member: str = "*", password: Secret | None = None) -> Iterator[File]:
    """Open a file, and of an archive its largest member that matches, for a block.

    Args:
        location: As for `FileExtractor`.
        member: Glob for the members of an archive.
        password: Of an encrypted archive.

    Raises:
        DeliveryError: If there is no such file, or it cannot be unpacked.
    """
    private = is_web(location) and _is_private(urlsplit(location).hostname or "")
    access = Http(private=True) if private else None
    extractor = FileExtractor(location=location, format=Csv(), access=access, settle_seconds=0)
    extractor.check("the location")
    with ExitStack() as stack:
        fetched = stack.enter_context(extractor.fetch(Partition()))
        stream = _replayed(fetched.stream, stack)
        head = stream.read(HEAD_OF_PACKED)
        stream.seek(0)
        if not looks_packed(head):
            yield File(location, fetched.name, "", "*", (), stream, private=private)
            return
        names = _members(stream, fetched.name, member, password)
        chosen = glob.escape(names[0]) or member
        members = stack.enter_context(unpack(stream, fetched.name, chosen, password))
        name, unpacked = next(members)
        pattern = _pattern(name, names[1:], member)
        unpacked = _replayed(unpacked, stack)
        yield File(location, fetched.name, name, pattern, names[1:], unpacked, private=private)


@contextmanager
def opened_by(declared: DeclaredExtractor) -> Iterator[File]:
    """Open what a declared extractor fetches, for a block; of an API the first pages, of a database the first rows.

    Args:
        declared: The extractor.

    Raises:
        DeclarationError: If it is not sound.
        DeliveryError: If it cannot fetch.
    """
    extractor, where = declared.extractor, f"file {declared.path}"
    extractor.check(where)
    extractor.check_partitions(declared.partitions, where)
    with ExitStack() as stack:
        fetched = stack.enter_context(extractor.of_preview().fetch(declared.partition))
        stream = _replayed(fetched.stream, stack)
        yield File("", fetched.name, "", "*", (), stream, declared, is_cut=extractor.is_cut(fetched.statistics))


def _replayed(stream: BinaryIO, stack: ExitStack) -> BinaryIO:
    return cast("BinaryIO", Replay(stream, stack.enter_context(tempfile.TemporaryFile(prefix="etl-assets-infer-"))))


def _is_private(host: str) -> bool:
    """Whether a host has an address outside the public internet, as ``localhost`` has; no if it is not known."""
    try:
        return any(not is_public(str(info[4][0])) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
    except OSError:
        return False


def _members(stream: BinaryIO, name: str, pattern: str, password: Secret | None) -> list[str]:
    """Return the names of the members that match, the largest first."""
    with unpack(stream, name, pattern, password) as files:
        sizes = {member: file.claimed if isinstance(file, Member) else 0 for member, file in files}
    stream.seek(0)
    return sorted(sizes, key=lambda member: -sizes[member])


def _pattern(name: str, others: Sequence[str], given: str) -> str:
    """Return the glob to declare: by the ending alone, if no other member has it."""
    if not name or (given != "*" and not others):
        return given
    ending = PurePosixPath(name).suffix
    if ending and given == "*" and not any(other.endswith(ending) for other in others):
        return f"*{glob.escape(ending)}"
    return glob.escape(name)
