"""Locations of files: placeholders, globs, files of installed packages, and the form without secrets.

Nothing here opens a file; `file` and `web` do.
"""

from __future__ import annotations

import importlib.util
import re
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Final

from etl_assets.errors import DeclarationError, DeliveryMissingError
from etl_assets.model.partitions import Files, Periods
from etl_assets.model.text import escape_control_characters
from etl_assets.project import path_in_project

if TYPE_CHECKING:
    from etl_assets.model.partitions import Partition, Partitioning

PACKAGE: Final = "package:"
_INSIDE_PACKAGE: Final = re.compile(r"package:[^\W\d]\w*/.+")
_PLACEHOLDERS: Final = ("key", "start", "end")
_WILD: Final = re.compile(r"[*?\[]")
_SCHEME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+::?//|[a-zA-Z][a-zA-Z0-9+.-]+::")
_USER: Final = re.compile(r"(?<=//)[^/@]*@")


def is_remote(location: str) -> bool:
    """Return whether a location is a URL, other than ``file://``."""
    return bool(_SCHEME.match(location)) and not location.startswith("file://")


def is_web(location: str) -> bool:
    """Return whether a location is fetched by HTTP."""
    return location.startswith(("http://", "https://"))


def is_glob(location: str) -> bool:
    """Return whether a location is a pattern for files; the question mark of a URL only begins its query."""
    if is_remote(location):
        return not is_web(location) and bool(_WILD.search(location.partition("?")[0]))
    return bool(_WILD.search(location))


def without_secrets(location: str) -> str:
    """Return a location as it is shown to people: characters that could control a terminal are escaped.

    The parts that may be secret are left out: user, password, query and fragment.
    """
    if is_remote(location):
        location = re.sub(r"[?#].*", "?…", _USER.sub("", location), flags=re.DOTALL)
    return escape_control_characters(location)


def check_location(location: str, where: str) -> None:
    """Raise a `DeclarationError` unless a location can be one, and every placeholder is known."""
    if not location.strip() or "\0" in location:
        raise DeclarationError(where, "location", "is empty or has a NUL", "Write a path, a URL or package:NAME/path")
    if location.startswith(PACKAGE) and not _INSIDE_PACKAGE.fullmatch(location):
        raise DeclarationError(where, "location", "names no file of a package", "Write package:NAME/path")
    moment = datetime(2000, 1, 1, tzinfo=UTC)
    try:
        if unknown := sorted(_placeholders(location) - set(_PLACEHOLDERS)):
            raise ValueError(f"{{{unknown[0]}}} is no placeholder")  # noqa: TRY301 -- one remedy for every cause
        location.format(key="key", start=moment, end=moment)
    except (ValueError, LookupError) as error:
        remedy = "Use {key}, {start:%Y-%m-%d} or {end:%Y-%m-%d}; write a brace itself twice"
        raise DeclarationError(where, "location", f"cannot be filled in ({error})", remedy) from error


def check_move_to(folder: str, location: str, where: str) -> None:
    """Raise a `DeclarationError` unless files can be moved from a glob to a folder, and are not listed there again."""
    if not folder:
        return
    problem, pattern = "", location.removeprefix("file://")
    inside, fixed = f"{folder.removeprefix('file://').rstrip('/')}/", fixed_folder(pattern)
    if is_glob(folder) or is_web(folder) or folder.startswith(PACKAGE) or "{" in folder:
        problem = "is no folder"
    elif is_remote(folder) != is_remote(location) or _host(folder) != _host(location):
        problem = "is another place than the location"
    elif inside == fixed or ("**" in pattern and inside.startswith(fixed)):
        problem = "is a folder whose files the location matches"
    if problem:
        raise DeclarationError(where, "move_to", problem, "Write another folder of the same place, such as feeds/done/")


def _host(location: str) -> str:
    """Return the scheme of a URL, and its host where that is no bucket."""
    scheme, _, rest = location.partition("://") if is_remote(location) else ("", "", "")
    return f"{scheme}://{rest.partition('/')[0]}" if scheme in {"sftp", "ftp"} else scheme


def check_placeholders(location: str, partitions: Partitioning | None, where: str) -> None:
    """Raise a `DeclarationError` unless the partitions of a source have a value for each placeholder."""
    placeholders = sorted(_placeholders(location))
    if placeholders and partitions is None:
        problem = f"has {{{placeholders[0]}}}, and the source has no partitions"
        raise DeclarationError(where, "location", problem, "Declare partitions, or leave the placeholder out")
    if placeholders and isinstance(partitions, Files):
        problem = f"has {{{placeholders[0]}}}, but the partitions are the files that it matches"
        raise DeclarationError(where, "location", problem, "Write a glob without placeholders")
    if {"start", "end"} & set(placeholders) and not isinstance(partitions, Periods):
        problem = f"has {{{placeholders[-1]}}}, which only partitions of time have"
        raise DeclarationError(where, "location", problem, "Use {key}, or declare Daily, Weekly or Monthly partitions")


def _placeholders(location: str) -> set[str]:
    """Return the names of the placeholders, and whatever else is in braces.

    Raises:
        ValueError: If a brace has no counterpart.
    """
    parts = list(Formatter().parse(location))
    nested = {name for _, _, form, _ in parts if form for _, name, _, _ in Formatter().parse(form) if name is not None}
    return {name for _, name, _, _ in parts if name is not None} | {f"{{{name}}}" for name in nested}


def fill_in(location: str, partition: Partition) -> str:
    """Return a location with the placeholders replaced by the partition's key and window.

    Raises:
        DeclarationError: If a placeholder needs a key or window that the partition does not have.
    """
    values = {"key": partition.key, "start": partition.start, "end": partition.end}
    if missing := sorted(name for name in _placeholders(location) if not values[name]):
        raise DeclarationError(
            "extractor FileExtractor",
            "location",
            f"needs {{{missing[0]}}}, which {partition} does not have",
            "Declare partitions that have it, or leave the placeholder out",
        )
    return location.format(**values)


def local_path(location: str) -> str:
    """Return the path of a local file or glob, with ``~``, ``package:`` and the folder of the project resolved.

    Raises:
        DeliveryMissingError: If the package is not installed.
    """
    if not location.startswith(PACKAGE):
        return path_in_project(str(Path(location.removeprefix("file://")).expanduser()))
    name, _, inside = location.removeprefix(PACKAGE).partition("/")
    spec = importlib.util.find_spec(name) if name and "." not in name else None
    folders = spec.submodule_search_locations if spec is not None else None
    if not folders or not inside or ".." in Path(inside).parts:
        raise DeliveryMissingError(
            f"{location} names no file of an installed package. Nothing was written. "
            f"Install the package that contains {name!r}, or correct the location (package:NAME/path/inside)."
        )
    return str(Path(folders[0]) / inside)


def fixed_folder(pattern: str) -> str:
    """Return the part of a glob before the first path segment with a wildcard, with its last slash."""
    wild = _WILD.search(pattern)
    return pattern[: pattern.rfind("/", 0, wild.start() if wild else len(pattern)) + 1]


def matches_glob(path: str, pattern: str) -> bool:
    """Return whether a path matches a glob, segment by segment; ``**`` stands for any number of segments, also none."""
    segments = path.split("/")
    matched = {0}
    for part in pattern.split("/"):
        if part == "**":
            matched = set(range(min(matched, default=len(segments) + 1), len(segments) + 1))
        else:
            matched = {n + 1 for n in matched if n < len(segments) and fnmatchcase(segments[n], part)}
    return len(segments) in matched


def path_after_host(location: str) -> str:
    """Return all that follows the host of a URL, as it is written; at least a slash."""
    return f"/{location.partition('://')[2].partition('/')[2]}"
