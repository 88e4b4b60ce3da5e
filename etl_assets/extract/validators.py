"""What publishers say of their bytes without giving them: names, what tells states apart, and how old a state is.

Here lives what can be said of validators once they are had. Asking for them is `file`'s and `web`'s business.
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
"""What fsspec's file systems call them, in the order in which they are asked for."""
_NANOSECONDS: Final = 1_000_000_000


class FileState(NamedTuple):
    """What tells one state of a local file from another while it is read."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def at(cls, status: os.stat_result) -> FileState:
        """What a file's status says."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)

    @property
    def validators(self) -> dict[str, str]:
        """What is told of it."""
        return {SIZE: str(self.size), MODIFIED: str(self.mtime_ns)}


def of_listing(about: Mapping[str, Any]) -> dict[str, str]:
    """Validators out of what an fsspec file system says of a file."""
    found = (
        (name, next((about[key] for key in keys if about.get(key) is not None), None)) for name, keys in _LISTED.items()
    )
    return {name: str(value) for name, value in found if value is not None}


def distinguishing(validators: Mapping[str, str]) -> Mapping[str, str] | None:
    """The validators, if they tell one state from another; a size alone does not."""
    return validators if _DISTINGUISHING & validators.keys() else None


def agree(look: Mapping[str, str], known: Mapping[str, str]) -> bool:
    """Whether two sets of validators speak of one state: what both have is equal, and some of it distinguishes."""
    both = look.keys() & known.keys()
    return bool(_DISTINGUISHING & both) and all(look[name] == known[name] for name in both)


def changed_at(validators: Mapping[str, str]) -> datetime | None:
    """When the state came about, in UTC; None where the publisher does not say, or not in a known way."""
    text = validators.get(MODIFIED, "")
    if text.isdigit():
        return datetime.fromtimestamp(int(text) / _NANOSECONDS, UTC)
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(text)
        except ValueError:
            continue
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return None
