"""FileExtractor: files on disk, in an installed package, on the web, or on any file system of fsspec.

This module fetches and lists whole files, and refuses files that are still being written. A `Format` reads what they
contain.
"""

from __future__ import annotations

import io
import os
import stat
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

import fsspec

from etl_assets.errors import (
    DeclarationError,
    DeliveryError,
    DeliveryIncompleteError,
    DeliveryMissingError,
)
from etl_assets.extract.base import Extractor, Fetched
from etl_assets.extract.globs import absolute_pattern, fsspec_errors, inside, matching_files, path_of_key
from etl_assets.extract.location import (
    check_location,
    check_placeholders,
    fill_in,
    fixed_folder,
    is_glob,
    is_remote,
    is_web,
    local_path,
    without_secrets,
)
from etl_assets.extract.validators import FileState, distinguishing, from_listing
from etl_assets.extract.web import fetch_by_http, poll_by_http
from etl_assets.model.partitions import Files
from etl_assets.model.text import escape_control_characters

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from etl_assets.model.partitions import Partition, Partitioning

_WEB_TIMEOUT: Final = 60.0
_POLL_TIMEOUT: Final = 10.0


@dataclass(frozen=True)
class FileExtractor(Extractor):
    """Fetches one file for each partition.

    Attributes:
        location: One of: a local path or glob (``~`` is the home folder, a relative path begins in the working
            directory); a URL with a scheme that fsspec knows (``s3://``, ``sftp://``, ``memory://``) or ``http(s)://``;
            or ``package:NAME/path`` for a file of an installed Python package. It may contain ``{key}``, the
            partition's key, and ``{start:%Y-%m}`` or ``{end:%Y-%m}``, its window. A glob needs ``Files`` partitions;
            their keys are the paths below the glob's fixed part.
        settle_seconds: A local file that changed more recently than this is checked twice, this far apart. It is
            refused if it changed meanwhile: it is still being written.
    """

    location: str

    def check(self, where: str) -> None:
        """Raise unless the location can be filled in."""
        super().check(where)
        check_location(self.location, where)

    def check_partitions(self, partitions: Partitioning | None, where: str) -> None:
        """Raise unless the placeholders have values, and a location for many files is a glob."""
        check_placeholders(self.location, partitions, where)
        if isinstance(partitions, Files) and not is_glob(self.location):
            raise DeclarationError(where, "location", "is no glob, so that it lists no files", "Write one: feeds/*.csv")

    def fetch(self, partition: Partition) -> AbstractContextManager[Fetched]:
        """Open the partition's file; see `Extractor.fetch`."""
        location = fill_in(self.location, partition)
        if is_web(location):
            return fetch_by_http(location, _WEB_TIMEOUT)
        if is_glob(location):
            location = self._file_of_glob(location, partition)
        elif not is_remote(location):
            location = local_path(location)
        return _fetched_remote(location) if is_remote(location) else _fetched_local(location, self.settle_seconds)

    def poll(self, partition: Partition) -> Mapping[str, str] | None:
        """Return the validators of the partition's file; see `Extractor.poll`.

        Of a local file: size and modification time. Of any other: ETag, modification time, checksum and size, as far
        as they are known; None if only the size is known, since a new version may be as long as the old one.
        """
        location = fill_in(self.location, partition)
        if is_web(location):
            return distinguishing(poll_by_http(location, _POLL_TIMEOUT))
        if is_glob(location):
            return _poll_file(self._file_of_glob(location, partition))
        return _poll_file(location if is_remote(location) else local_path(location), listed=False)

    def list(self) -> Sequence[str]:
        """Return the paths, below the glob's fixed part, of the files that match it now."""
        if not is_glob(self.location):
            return ()
        pattern = absolute_pattern(self.location)
        folder = fixed_folder(pattern)
        return [path.removeprefix(folder) for path in matching_files(pattern)]

    def _file_of_glob(self, location: str, partition: Partition) -> str:
        """Return the file of a glob that belongs to a partition; the only file when there are no partitions."""
        pattern = absolute_pattern(location)
        if partition.key and location == self.location:
            return inside(path_of_key(partition.key, pattern), pattern)
        files = matching_files(pattern)
        if not files:
            raise DeliveryMissingError(
                f"No file matches {without_secrets(location)}. Nothing was written. Check the location."
            )
        if len(files) > 1:
            raise DeliveryError(
                f"{len(files)} files match {without_secrets(location)}. Nothing was written. "
                "Declare partitions=Files() to load each, or a location that only one file matches."
            )
        return inside(files[0], pattern)


class _Watched(io.RawIOBase):
    """The stream of a local file, which raises at its end if the file changed since its start."""

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
            opened = FileState.at(os.fstat(self._file.fileno()))
            named = FileState.at(_status(self._path))
            if not self._first == opened == named or self._file.tell() != opened.size:
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
        shown = without_secrets(path)
        yield Fetched(cast("BinaryIO", _Watched(file, path, first)), Path(shown).name, shown, first.validators)


def _status(path: str) -> os.stat_result:
    try:
        status = Path(path).stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(status.st_mode):
        raise DeliveryError(
            f"{without_secrets(path)} is no regular file. Nothing was written. "
            "Name a file; for the files of a folder, write a glob."
        )
    return status


def _unreadable(path: str, error: OSError) -> DeliveryError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return DeliveryMissingError(
            f"There is no file {without_secrets(path)}. Nothing was written. "
            "Correct the location, or wait until it is published."
        )
    return DeliveryError(
        f"{without_secrets(path)} cannot be read ({error.strerror}). Nothing was written. "
        "Give this user the right to read it."
    )


def _still_written(path: str) -> DeliveryIncompleteError:
    return DeliveryIncompleteError(
        f"{without_secrets(path)} changed between two checks: it is still being written. Nothing was written. "
        "Run again when it is finished; have the publisher write it under another name and rename it at the end."
    )


@contextmanager
def _fetched_remote(url: str) -> Iterator[Fetched]:
    with fsspec_errors(url):
        system, path = fsspec.core.url_to_fs(url)
        info = system.info(path)
        if info.get("type") == "directory":
            raise DeliveryError(
                f"{without_secrets(url)} is a folder. Nothing was written. Name a file, or write a glob."
            )
        stream = system.open(path, "rb")
    with stream:
        body = _Counted(stream, without_secrets(url), info.get("size"))
        name = escape_control_characters(PurePosixPath(path).name)
        yield Fetched(cast("BinaryIO", body), name, without_secrets(url), from_listing(info))


def _poll_file(location: str, *, listed: bool = True) -> Mapping[str, str] | None:
    """Return the validators of a file; with ``listed``, its folder was just listed and is not listed again."""
    if not is_remote(location):
        return FileState.at(_status(location)).validators
    with fsspec_errors(location):
        system, path = fsspec.core.url_to_fs(location)
        if not listed:
            system.invalidate_cache()
        return distinguishing(from_listing(system.info(path)))


class _Counted(io.RawIOBase):
    """The stream of a remote file, which raises if it is not as long as its file system announced."""

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
