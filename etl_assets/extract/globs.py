"""Globs: the files that match one, locally or on a file system of fsspec, and the file that a key names.

Nothing here opens a file; `file` does.
"""

from __future__ import annotations

import stat
from contextlib import contextmanager
from glob import glob
from os.path import realpath
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec

from etl_assets.errors import DeliveryError, DeliveryMissingError, DeliveryUnreachableError
from etl_assets.extract.location import fixed_folder, is_remote, local_path, matches_glob, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def absolute_pattern(location: str) -> str:
    """Return a glob in the same notation as the paths that match it."""
    if not is_remote(location):
        return local_path(location)
    with fsspec_errors(location):
        system, path = fsspec.core.url_to_fs(location)
        return str(system.unstrip_protocol(path))


def path_of_key(key: str, pattern: str) -> str:
    """Return the path of the file that a key names; it need not exist.

    Args:
        key: Path below the fixed part of the glob.
        pattern: From `absolute_pattern`.

    Raises:
        DeliveryMissingError: If the glob does not match the path.
        DeliveryError: If no path can name the file.
    """
    path = fixed_folder(pattern) + key
    if not {"", ".", ".."}.isdisjoint(key.split("/")) or not matches_glob(path, pattern):
        raise DeliveryMissingError(
            f"{key!r} is no file of {without_secrets(pattern)}. Nothing was written. Name one that it matches."
        )
    if is_remote(path) and "::" in key:
        raise DeliveryError(
            f"{key!r} contains '::', with which fsspec separates locations. Nothing was written. Rename the file."
        )
    return path


def inside(path: str, pattern: str) -> str:
    """Return the path of a file that a glob matches.

    Raises:
        DeliveryError: If a link leads out of the folder of the glob: who may write there could have any file read.
    """
    if is_remote(path):
        return path
    real, folder = (Path(realpath(name)) for name in (path, fixed_folder(pattern)))
    if not real.is_relative_to(folder):
        raise DeliveryError(
            f"{without_secrets(path)} is a link out of the folder of {without_secrets(pattern)}. Nothing was written. "
            "Have the file itself put into the folder, or declare the location that the link leads to."
        )
    return path


def _is_file(path: str) -> bool:
    """Whether there is a file, or something that cannot be examined, so that its run reports why."""
    try:
        return stat.S_ISREG(Path(path).stat().st_mode)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def matching_files(pattern: str) -> Sequence[str]:
    """Return the files, without folders, that match a glob, sorted by name."""
    if not is_remote(pattern):
        return sorted(path for path in glob(pattern, recursive=True) if _is_file(path))  # noqa: PTH207 -- absolute patterns
    with fsspec_errors(pattern):
        system, path = fsspec.core.url_to_fs(pattern)
        system.invalidate_cache()  # otherwise a long-lived process would never see a new file
        matches = system.glob(path, detail=True)
        return sorted(system.unstrip_protocol(name) for name, info in matches.items() if info.get("type") == "file")


@contextmanager
def fsspec_errors(url: str) -> Iterator[None]:
    """Replace an error of fsspec by one of ours; its own text is left out, since it may contain secrets."""
    try:
        yield
    except FileNotFoundError:
        raise DeliveryMissingError(
            f"There is nothing at {without_secrets(url)}. Nothing was written. Correct the location, or wait for it."
        ) from None
    except (OSError, ImportError, ValueError) as error:
        kind = DeliveryUnreachableError if isinstance(error, ConnectionError | TimeoutError) else DeliveryError
        raise kind(
            f"{without_secrets(url)} cannot be opened ({type(error).__name__}). Nothing was written. "
            "Check the address, the rights, and whether fsspec's package for the scheme is installed."
        ) from None
