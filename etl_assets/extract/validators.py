"""Validators: their names, how two states are compared by them, and how old a state is.

`file` and `web` ask publishers for validators.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

ETAG: Final = "etag"
MODIFIED: Final = "modified"
CHECKSUM: Final = "checksum"
SIZE: Final = "size"
_DISTINGUISHING: Final = frozenset({ETAG, MODIFIED, CHECKSUM})
_LISTED: Final[Mapping[str, tuple[str, ...]]] = {
    ETAG: ("ETag", "etag"),
    MODIFIED: (
        *("LastModified", "last_modified", "Last-Modified", "updated", "mtime", "modify", "modified"),
        *("last_write_time", "created"),
    ),
    CHECKSUM: ("md5Hash", "content_md5", "checksum", "sha", "md5"),
    SIZE: ("size",),
}
"""The names that fsspec's file systems use for each validator; the first one present is taken."""
_NANOSECONDS: Final = 1_000_000_000
_FTP_DIGITS: Final = 14
"""The number of digits of a time in the protocol FTP: year to second, in UTC. Nanoseconds have more."""


class FileState(NamedTuple):
    """The state of a local file, to notice a change while it is read."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def at(cls, status: os.stat_result) -> FileState:
        """Return the state in a file's status."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)

    @property
    def validators(self) -> dict[str, str]:
        """The validators of the file: size and modification time."""
        return {SIZE: str(self.size), MODIFIED: str(self.mtime_ns)}


def from_listing(about: Mapping[str, Any]) -> dict[str, str]:
    """Return the validators in the description of a file by an fsspec file system."""
    values = (
        (name, next((about[key] for key in keys if about.get(key) is not None), None)) for name, keys in _LISTED.items()
    )
    return {name: str(value) for name, value in values if value is not None}


def distinguishing(validators: Mapping[str, str]) -> Mapping[str, str] | None:
    """Return the validators if they distinguish one state from another, else None; a size alone does not."""
    return validators if _DISTINGUISHING & validators.keys() else None


def same_state(polled: Mapping[str, str], known: Mapping[str, str]) -> bool:
    """Return whether two sets of validators are of one state: all common ones are equal, and one distinguishes."""
    both = polled.keys() & known.keys()
    return bool(_DISTINGUISHING & both) and all(polled[name] == known[name] for name in both)


def modification_time(validators: Mapping[str, str]) -> datetime | None:
    """Return when the bytes last changed, in UTC; None if the publisher does not say, or in no known notation."""
    text = validators.get(MODIFIED, "")
    if len(text) == _FTP_DIGITS and text.isdecimal():
        text = f"{text[:8]}T{text[8:]}"
    if text.isdecimal():
        return datetime.fromtimestamp(int(text) / _NANOSECONDS, UTC)
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(text)
        except ValueError:
            continue
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return None
