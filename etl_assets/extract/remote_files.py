"""Files on file systems of fsspec: lists, polls, fetches and moves them.

Each function connects, and leaves no connection. How it connects is declared by an `Access`.
"""

from __future__ import annotations

import io
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from etl_assets.errors import (
    DeliveryError,
    DeliveryIncompleteError,
    DeliveryMissingError,
    DeliveryUnreachableError,
    EtlAssetsError,
)
from etl_assets.extract.access.errors import place_errors
from etl_assets.extract.base import Fetched
from etl_assets.extract.globs import only_file, path_of_key
from etl_assets.extract.location import fixed_folder, is_glob, without_secrets
from etl_assets.extract.validators import SIZE, distinguishing, from_listing, same_state
from etl_assets.model.text import escape_control_characters

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.extract.access.base import FileSystemAccess

_LISTED_SECONDS: Final = 60.0
_listings: dict[tuple[str, FileSystemAccess], tuple[float, Mapping[str, Any]]] = {}
"""When each glob was listed last, and what was known of its files, so that a sensor need not connect for each file."""


@dataclass(frozen=True)
class _Place:
    """A connected file system.

    Attributes:
        access: How it was connected.
        system: The file system of fsspec.
        location: The location or glob, as declared and filled in.
        path: The same as a path of the file system.
    """

    access: FileSystemAccess
    system: Any
    location: str
    path: str

    def file(self, key: str) -> str:
        """Return the path of the file that a key names, or without a key of the only one."""
        if not is_glob(self.location):
            return self.path
        if key:
            return path_of_key(key, self.path)
        return only_file(sorted(self.matches()), self.location)

    def matches(self) -> Mapping[str, Any]:
        """Return the files that match the glob, and what the file system knows of each."""
        with place_errors(self.location):
            found = self.system.glob(self.path, detail=True)
        return {path: about for path, about in found.items() if about.get("type") == "file"}

    def about(self, path: str) -> Mapping[str, Any]:
        """Return what the file system knows of a file now."""
        with place_errors(self.shown(path)):
            self.system.invalidate_cache()
            about: Mapping[str, Any] = self.system.info(path)
        if about.get("type") == "directory":
            raise DeliveryError(f"{self.shown(path)} is a folder. Nothing was written. Name a file, or write a glob.")
        return about

    def shown(self, path: str) -> str:
        """Return a path as it is shown to people: with its scheme and host, and without secrets."""
        own = self.path.lstrip("/")
        root = (
            self.location.removesuffix(own) if self.location.endswith(own) else self.location.partition("//")[0] + "//"
        )
        return without_secrets(f"{root}{path.lstrip('/')}")


@contextmanager
def _connected(location: str, access: FileSystemAccess) -> Iterator[_Place]:
    with place_errors(location):
        system = access.connect(location)
        place = _Place(access, system, location, access.path(system, location))
    try:
        yield place
    finally:
        access.close(system)


def list_remote(location: str, access: FileSystemAccess) -> Sequence[str]:
    """Return the paths, below the glob's fixed part, of the files that match it now."""
    with _connected(location, access) as place:
        matches = place.matches()
    folder = fixed_folder(place.path)
    files = {path.removeprefix(folder): about for path, about in matches.items()}
    if access.lists_validators:
        _listings[location, access] = (time.monotonic(), files)
    return sorted(files)


def poll_remote(location: str, access: FileSystemAccess, key: str) -> Mapping[str, str] | None:
    """Return the validators of a file; None if none distinguishes its states. A listing of a minute ago will do."""
    listed, files = _listings.get((location, access), (0.0, {}))
    if key in files and time.monotonic() - listed < _LISTED_SECONDS:
        return distinguishing(from_listing(files[key]))
    with _connected(location, access) as place:
        return distinguishing(from_listing(place.about(place.file(key))))


@contextmanager
def fetch_remote(location: str, access: FileSystemAccess, key: str, folder: str = "") -> Iterator[Fetched]:
    """Open a file.

    Args:
        location: The file, or a glob.
        access: How it is reached.
        key: The file of the glob; empty for the only one.
        folder: Where to find it instead, as a location.
    """
    with _connected(location, access) as place:
        path = place.file(key)
        if folder:
            path = _moved(place, folder, key)
        about = place.about(path)
        with place_errors(place.shown(path)):
            stream = access.open(place.system, path)
        try:
            body = cast("BinaryIO", _Counted(stream, place, path, about))
            name = escape_control_characters(PurePosixPath(path).name)
            yield Fetched(body, name, place.shown(path), from_listing(about))
        finally:
            with suppress(Exception):  # a connection that broke cannot be closed, and all bytes were counted
                stream.close()


def move_remote(location: str, access: FileSystemAccess, key: str, folder: str, known: Mapping[str, str]) -> bool:
    """Move a file of a glob into a folder if it is still in a known state; return whether it was moved.

    Raises:
        DeliveryMissingError: If there is no such file.
        DeliveryError: If it cannot be moved.
    """
    try:
        with _connected(location, access) as place:
            path = place.file(key)
            if not same_state(from_listing(place.about(path)), known):
                return False
            access.move(place.system, path, _moved(place, folder, key))
    except DeliveryMissingError:
        raise
    except Exception as error:  # noqa: BLE001 -- libraries share no base class; every error is raised again
        raise DeliveryError(
            f"{escape_control_characters(key)} of {without_secrets(location)} cannot be moved to "
            f"{without_secrets(folder)} ({type(error).__name__}). Its rows are written, and the file was not lost. "
            "Check that the place answers, and that its login may write both folders; then run it again."
        ) from None
    _listings.pop((location, access), None)
    return True


def _moved(place: _Place, folder: str, key: str) -> str:
    return f"{place.access.path(place.system, folder).rstrip('/')}/{key}"


class _Counted(io.RawIOBase):
    """The stream of a remote file.

    It raises if it is not as long as announced, changed meanwhile, is too large, or takes too long.
    """

    def __init__(self, stream: Any, place: _Place, path: str, about: Mapping[str, Any]) -> None:
        super().__init__()
        self._stream = stream
        self._place = place
        self._path = path
        self._first = from_listing(about)
        self._received = 0
        self._end = time.monotonic() + place.access.deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        try:
            chunk: bytes = self._stream.read(len(buffer))
        except EtlAssetsError:
            raise
        except Exception as error:  # noqa: BLE001 -- libraries share no base class; every error is raised again
            raise self._cut_short(type(error).__name__) from None
        self._received += len(chunk)
        self._check_limits()
        if not chunk and len(buffer) > 0:
            self._check_whole()
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def _check_limits(self) -> None:
        access, shown = self._place.access, self._place.shown(self._path)
        if self._received > access.max_bytes:
            raise DeliveryError(
                f"{shown} has more than {access.max_bytes} bytes. Nothing was written. If it may be that large, "
                "declare max_bytes=… of its access."
            )
        if time.monotonic() > self._end:
            raise DeliveryUnreachableError(
                f"{shown} was not there after {access.deadline:g} seconds. Nothing was written. Run again; if it "
                "always takes longer, declare more seconds with deadline=… of its access."
            )

    def _check_whole(self) -> None:
        size = self._first.get(SIZE)
        if size is not None and str(self._received) != size:
            raise self._cut_short(f"{self._received} of {size} bytes")
        if from_listing(self._place.about(self._path)) != self._first:
            raise DeliveryIncompleteError(
                f"{self._place.shown(self._path)} changed while it was fetched. Nothing was written. Run again; have "
                "the publisher write it under another name and rename it at the end."
            )

    def _cut_short(self, detail: str) -> DeliveryIncompleteError:
        return DeliveryIncompleteError(
            f"{self._place.shown(self._path)} was cut short while it was fetched ({detail}). Nothing was written. "
            "Run again."
        )
