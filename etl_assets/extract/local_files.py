"""Files of this machine: lists, polls, fetches and moves them, and refuses those that are still being written."""

from __future__ import annotations

import io
import os
import stat
import time
from contextlib import contextmanager
from glob import glob
from os.path import realpath
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from etl_assets.errors import DeliveryError, DeliveryIncompleteError, DeliveryMissingError
from etl_assets.extract.base import Fetched
from etl_assets.extract.globs import only_file, path_of_key
from etl_assets.extract.location import fixed_folder, is_glob, local_path, without_secrets
from etl_assets.extract.validators import FileState, same_state

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager


def list_local(location: str) -> Sequence[str]:
    """Return the paths, below the glob's fixed part, of the files that match it now."""
    pattern = local_path(location)
    folder = fixed_folder(pattern)
    return [path.removeprefix(folder) for path in _matches(pattern)]


def poll_local(location: str, key: str) -> Mapping[str, str]:
    """Return the validators of a file: size and modification time.

    Args:
        location: The file, or a glob.
        key: The file of the glob; empty for the only one.
    """
    return poll_path(_file(location, key))


def poll_path(path: str) -> Mapping[str, str]:
    """Return the validators of the file of a path: size and modification time."""
    return FileState.at(_status(path)).validators


def fetch_local(location: str, key: str, settle_seconds: float, folder: str = "") -> AbstractContextManager[Fetched]:
    """Open a file.

    Args:
        location: The file, or a glob.
        key: The file of the glob; empty for the only one.
        settle_seconds: A file that changed more recently than this is checked twice, this far apart.
        folder: Where to find it instead.
    """
    path = _file(location, key)
    if folder:
        path = str(Path(local_path(folder)) / key)
    return fetch_path(path, settle_seconds)


@contextmanager
def fetch_path(path: str, settle_seconds: float) -> Iterator[Fetched]:
    """Open the file of a path; see `fetch_local`."""
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


def move_local(location: str, key: str, folder: str, known: Mapping[str, str]) -> bool:
    """Move a file of a glob into a folder if it is still in a known state; return whether it was moved.

    Raises:
        DeliveryMissingError: If there is no such file.
        DeliveryError: If it cannot be moved.
    """
    path = _file(location, key)
    if not same_state(FileState.at(_status(path)).validators, known):
        return False
    target = Path(local_path(folder)) / key
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        Path(path).replace(target)
    except OSError as error:
        raise DeliveryError(
            f"{without_secrets(path)} cannot be moved to {without_secrets(str(target))} ({error.strerror}). Its rows "
            "are written, and the file is where it was. Give this user the right to write both folders, which must be "
            "on one disk; then run it again."
        ) from error
    return True


def _file(location: str, key: str) -> str:
    """Return the path of the file that a location or a key of a glob names."""
    pattern = local_path(location)
    if not is_glob(location):
        return pattern
    return _inside(path_of_key(key, pattern) if key else only_file(_matches(pattern), location), pattern)


def _matches(pattern: str) -> Sequence[str]:
    """Return the files, without folders, that match a glob, sorted by name."""
    return sorted(path for path in glob(pattern, recursive=True) if _is_file(path))  # noqa: PTH207 -- absolute patterns


def _is_file(path: str) -> bool:
    """Whether there is a file, or something that cannot be examined, so that its run reports why."""
    try:
        return stat.S_ISREG(Path(path).stat().st_mode)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _inside(path: str, pattern: str) -> str:
    """Return the path of a file that a glob matches.

    Raises:
        DeliveryError: If a link leads out of the folder of the glob: who may write there could have any file read.
    """
    real, folder = (Path(realpath(name)) for name in (path, fixed_folder(pattern)))
    if not real.is_relative_to(folder):
        raise DeliveryError(
            f"{without_secrets(path)} is a link out of the folder of {without_secrets(pattern)}. Nothing was written. "
            "Have the file itself put into the folder, or declare the location that the link leads to."
        )
    return path


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
