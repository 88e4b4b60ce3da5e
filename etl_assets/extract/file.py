"""FileExtractor: files on disk, in an installed package, on the web, or anywhere that fsspec reaches.

Here live fetching and listing of whole files, and the refusal of files that are still being written. What they hold is
their `Format`'s business.
"""

from __future__ import annotations

import io
import os
import stat
import time
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import glob
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

import fsspec

from etl_assets.errors import (
    DeclarationError,
    DeliveryError,
    DeliveryIncompleteError,
    DeliveryMissingError,
    DeliveryUnreachableError,
)
from etl_assets.extract.base import Extractor, Fetched
from etl_assets.extract.location import (
    check_placeholders,
    filled_in,
    fixed_folder,
    is_glob,
    is_remote,
    is_web,
    local_path,
    shown,
)
from etl_assets.extract.validators import FileState, distinguishing, of_listing
from etl_assets.extract.web import fetched_by_http, polled_by_http

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from etl_assets.model.partitions import Partition

_WEB_TIMEOUT: Final = 60.0
_LOOK_TIMEOUT: Final = 10.0


@dataclass(frozen=True)
class FileExtractor(Extractor):
    """Fetches one file for each partition.

    Attributes:
        location: One of: a local path or glob (``~`` is the home folder, a relative path begins in the working
            directory); a URL with a scheme that fsspec knows (``s3://``, ``sftp://``, ``memory://``) or ``http(s)://``;
            or ``package:NAME/path`` for a file of an installed Python package. May hold ``{key}``, the partition's key,
            and ``{start:%Y-%m}`` or ``{end:%Y-%m}``, its window. A glob goes with ``Files`` partitions; their keys are
            the paths below the glob's fixed part.
        settle_seconds: A local file changed more recently than that is looked at twice, that far apart, and refused
            if it changed meanwhile: it is still being written.
    """

    location: str

    def check(self, where: str) -> None:
        """Raise unless the location can be filled in."""
        if not self.location:
            raise DeclarationError(where, "location", "is empty", "Write a path, a URL or package:NAME/path")
        check_placeholders(self.location, where)
        if self.settle_seconds < 0:
            raise DeclarationError(where, "settle_seconds", "is below 0", "Write 0 for no second look")

    def fetch(self, partition: Partition) -> AbstractContextManager[Fetched]:
        """Open the partition's file; see `Extractor.fetch`."""
        location = filled_in(self.location, partition)
        if is_web(location):
            return fetched_by_http(location, _WEB_TIMEOUT)
        if is_glob(location):
            location = self._chosen(location, partition)
        elif not is_remote(location):
            location = local_path(location)
        return _fetched_remote(location) if is_remote(location) else _fetched_local(location, self.settle_seconds)

    def poll(self, partition: Partition) -> Mapping[str, str] | None:
        """What the partition's file is known by; see `Extractor.look`.

        Size and modification time of a local file, ETag, modification time, checksum and size of any other. A size
        alone tells nothing: what is published anew may be as long as what it replaces.
        """
        location = filled_in(self.location, partition)
        if is_web(location):
            return distinguishing(polled_by_http(location, _LOOK_TIMEOUT))
        if is_glob(location):
            return _polled(self._chosen(location, partition))
        return _polled(location if is_remote(location) else local_path(location), listed=False)

    def list(self) -> Sequence[str]:
        """Paths, below the glob's fixed part, of the files that match it now."""
        if not is_glob(self.location):
            return ()
        pattern = _pattern(self.location)
        folder = fixed_folder(pattern)
        return [path.removeprefix(folder) for path in _matches(pattern)]

    def _chosen(self, location: str, partition: Partition) -> str:
        """The file of a glob that belongs to a partition; the only one when there are no partitions."""
        pattern = _pattern(location)
        if partition.key and location == self.location:
            path = fixed_folder(pattern) + partition.key
            if ".." in PurePosixPath(partition.key).parts or not fnmatchcase(path, pattern):
                raise DeliveryMissingError(
                    f"{partition.key!r} is no file of {shown(location)}. Nothing was written. Name one that it matches."
                )
            return path
        found = _matches(pattern)
        if not found:
            raise DeliveryMissingError(f"No file matches {shown(location)}. Nothing was written. Look at the location.")
        if len(found) > 1:
            raise DeliveryError(
                f"{len(found)} files match {shown(location)}. Nothing was written. "
                "Declare partitions=Files() to take each, or a location that only one matches."
            )
        return found[0]


class _Watched(io.RawIOBase):
    """A local file that, at its end, must be what it was at its beginning."""

    def __init__(self, file: io.FileIO, path: str, first: FileState) -> None:
        super().__init__()
        self._file = file
        self._path = path
        self._first = first

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        count = self._file.readinto(buffer)
        if count == 0 and len(buffer) > 0:
            held = FileState.at(os.fstat(self._file.fileno()))
            named = FileState.at(_status(self._path))
            if not self._first == held == named or self._file.tell() != held.size:
                raise _still_written(self._path)
        return count


@contextmanager
def _fetched_local(path: str, settle_seconds: float) -> Iterator[Fetched]:
    status = _status(path)
    first = FileState.at(status)
    age = time.time() - status.st_mtime
    if age < settle_seconds:
        time.sleep(min(settle_seconds, settle_seconds - age))
        if FileState.at(_status(path)) != first:
            raise _still_written(path)
    try:
        file = io.FileIO(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    with file:
        if FileState.at(os.fstat(file.fileno())) != first:
            raise _still_written(path)
        yield Fetched(cast("BinaryIO", _Watched(file, path, first)), Path(path).name, path, first.validators)


def _status(path: str) -> os.stat_result:
    try:
        status = Path(path).stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(status.st_mode):
        raise DeliveryError(
            f"{path} is no regular file. Nothing was written. Name a file; for the files of a folder, write a glob."
        )
    return status


def _unreadable(path: str, error: OSError) -> DeliveryError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return DeliveryMissingError(
            f"There is no file {path}. Nothing was written. Correct the location, or wait until it is published."
        )
    return DeliveryError(
        f"{path} cannot be read ({error.strerror}). Nothing was written. Give this user the right to read it."
    )


def _still_written(path: str) -> DeliveryIncompleteError:
    return DeliveryIncompleteError(
        f"{path} changed while it was looked at: it is still being written. Nothing was written. "
        "Run again when it is finished; have the publisher write under another name and rename."
    )


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Says in our words what keeps fsspec from a location; its own errors may hold secrets and are left out."""
    try:
        yield
    except FileNotFoundError:
        raise DeliveryMissingError(
            f"There is nothing at {shown(url)}. Nothing was written. Correct the location, or wait for it."
        ) from None
    except (OSError, ImportError, ValueError) as error:
        kind = DeliveryUnreachableError if isinstance(error, ConnectionError | TimeoutError) else DeliveryError
        raise kind(
            f"{shown(url)} cannot be opened ({type(error).__name__}). Nothing was written. "
            "Look at the address, the rights, and whether fsspec's package for the scheme is installed."
        ) from None


@contextmanager
def _fetched_remote(url: str) -> Iterator[Fetched]:
    with _explained(url):
        system, path = fsspec.core.url_to_fs(url)
        about = system.info(path)
        if about.get("type") == "directory":
            raise DeliveryError(f"{shown(url)} is a folder. Nothing was written. Name a file, or write a glob.")
        stream = system.open(path, "rb")
    with stream:
        body = _Counted(stream, shown(url), about.get("size"))
        yield Fetched(cast("BinaryIO", body), PurePosixPath(path).name, shown(url), of_listing(about))


def _polled(location: str, *, listed: bool = True) -> Mapping[str, str] | None:
    """What a file is known by; `listed` says that its folder was just listed, and need not be again."""
    if not is_remote(location):
        return FileState.at(_status(location)).validators
    with _explained(location):
        system, path = fsspec.core.url_to_fs(location)
        if not listed:
            system.invalidate_cache()
        return distinguishing(of_listing(system.info(path)))


class _Counted(io.RawIOBase):
    """A remote file that must be as long as it was said to be."""

    def __init__(self, stream: Any, where: str, size: int | None) -> None:
        super().__init__()
        self._stream = stream
        self._where = where
        self._size = size
        self._received = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        try:
            chunk: bytes = self._stream.read(len(buffer))
        except (OSError, EOFError) as error:
            raise self._cut_short(type(error).__name__) from None
        buffer[: len(chunk)] = chunk
        self._received += len(chunk)
        if not chunk and len(buffer) > 0 and self._size is not None and self._received != self._size:
            raise self._cut_short(f"{self._received} of {self._size} bytes")
        return len(chunk)

    def _cut_short(self, detail: str) -> DeliveryIncompleteError:
        return DeliveryIncompleteError(
            f"{self._where} was cut short while it was fetched ({detail}). Nothing was written. Run again."
        )


def _pattern(location: str) -> str:
    """A glob as the paths that match it are written."""
    if not is_remote(location):
        return local_path(location)
    with _explained(location):
        system, path = fsspec.core.url_to_fs(location)
        return str(system.unstrip_protocol(path))


def _matches(pattern: str) -> Sequence[str]:
    """Files, no folders, that match a glob, in the order of their names."""
    if not is_remote(pattern):
        return sorted(path for path in glob(pattern, recursive=True) if Path(path).is_file())  # noqa: PTH207 -- absolute patterns
    with _explained(pattern):
        system, path = fsspec.core.url_to_fs(pattern)
        system.invalidate_cache()  # a process that lives long would never see a new file
        found = system.glob(path, detail=True)
        return sorted(system.unstrip_protocol(name) for name, about in found.items() if about.get("type") == "file")
