"""Keys of partitions: which texts can be one, and the names of files, of which some cannot.

The limits are those of Dagster, which forbids some characters in keys, and of the indexes of the databases.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_KEY: Final = 1_000
"""The largest length of a key and of a rank, in bytes of UTF-8: both are in one index entry, which has 2,704 bytes."""
_UNUSABLE: Final = ("...", "\0", "\a", "\b", "\t", "\n", "\v", "\f", "\r")


@dataclass(frozen=True)
class FileNames:
    """The names of the files that a publisher has now.

    Attributes:
        keys: Those that are keys of partitions, oldest first.
        set_aside: Those that cannot be keys, and why, as a clause: ``is not UTF-8``.
    """

    keys: tuple[str, ...] = ()
    set_aside: Mapping[str, str] = field(default_factory=dict)


def problem_of_key(key: str) -> str:
    """Return why a text cannot be the key of a partition, as a clause; the empty text if it can."""
    if not key:
        return "is empty"
    if problem := problem_of_length(key):
        return problem
    if key != key.strip():
        return "begins or ends with a blank"
    unusable = next((part for part in _UNUSABLE if part in key), None)
    return "" if unusable is None else f"contains {unusable!r}"


def problem_of_length(text: str) -> str:
    """Return why the databases cannot keep a text in an index, as a clause; the empty text if they can."""
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        return "is not UTF-8"
    return f"is longer than {LONGEST_KEY:,} bytes" if length > LONGEST_KEY else ""
