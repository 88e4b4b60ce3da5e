"""Counts of what became of records and rows, and which counts add up to which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import LiteralString


@dataclass(frozen=True)
class Sum:
    """A count that is the sum of other counts.

    Attributes:
        total: Name of the count.
        parts: Names of the counts that add up to it.
    """

    total: LiteralString
    parts: tuple[LiteralString, ...]

    def __str__(self) -> str:
        return f"{self.total} = {' + '.join(self.parts)}"


RECORDS: Final = Sum("read", ("rejected", "filtered", "accepted"))
ROWS: Final = Sum("produced", ("inserted", "updated", "unchanged", "duplicate", "expired"))


@dataclass(frozen=True)
class Counts:
    """Numbers of records and rows, by what became of them.

    ``RECORDS`` and ``ROWS`` define which counts add up. *unchanged*: the table already had this row or a newer one.
    *duplicate*: a later record of the batch had the same key. *expired*: the row is older than what the table keeps.
    ``deleted`` is part of no sum, and neither is
    ``skipped``: lines that are no records.
    """

    read: int = 0
    rejected: int = 0
    filtered: int = 0
    accepted: int = 0
    produced: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicate: int = 0
    deleted: int = 0
    skipped: int = 0
    expired: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(mine + theirs for mine, theirs in zip(self.values, other.values, strict=True)))

    def __sub__(self, other: Counts) -> Counts:
        return Counts(*(mine - theirs for mine, theirs in zip(self.values, other.values, strict=True)))

    @property
    def values(self) -> Sequence[int]:
        """All counts, in the order of declaration."""
        return tuple(vars(self).values())
