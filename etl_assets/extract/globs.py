"""Globs: the file that a key names, or the only file that matches. Nothing here opens or lists anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.errors import DeliveryError, DeliveryMissingError
from etl_assets.extract.location import fixed_folder, matches_glob, without_secrets

if TYPE_CHECKING:
    from collections.abc import Sequence


def path_of_key(key: str, pattern: str) -> str:
    """Return the path of the file that a key names; it need not exist.

    Args:
        key: Path below the fixed part of the glob.
        pattern: The glob, as a path.

    Raises:
        DeliveryMissingError: If the glob does not match the path.
    """
    path = fixed_folder(pattern) + key
    if not {"", ".", ".."}.isdisjoint(key.split("/")) or not matches_glob(path, pattern):
        raise DeliveryMissingError(
            f"{key!r} is no file of {without_secrets(pattern)}. Nothing was written. Name one that it matches."
        )
    return path


def only_file(paths: Sequence[str], location: str) -> str:
    """Return the only path of those that match a glob.

    Raises:
        DeliveryMissingError: If there is none.
        DeliveryError: If there are several.
    """
    if not paths:
        bracket = " If a name has a bracket, write [[] for it, since it is a glob." if "[" in location else ""
        raise DeliveryMissingError(
            f"No file matches {without_secrets(location)}. Nothing was written. Check the location.{bracket}"
        )
    if len(paths) > 1:
        raise DeliveryError(
            f"{len(paths)} files match {without_secrets(location)}. Nothing was written. "
            "Declare partitions=Files() to load each, or a location that only one file matches."
        )
    return paths[0]
