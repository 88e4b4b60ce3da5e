"""What became of records and rows, in numbers, and which of them add up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import LiteralString


@dataclass(frozen=True)
class Sum:
    """A count that others add up to.

    Attributes:
        total: Its name.
        parts: Their names.
    """

    total: LiteralString
    parts: tuple[LiteralString, ...]

    def __str__(self) -> str:
        return f"{self.total} = {' + '.join(self.parts)}"


RECORDS: Final = Sum("read", ("rejected", "filtered", "accepted"))
ROWS: Final = Sum("produced", ("inserted", "updated", "unchanged", "duplicate"))


@dataclass(frozen=True)
class Counts:
    """What became of records and rows.

    ``RECORDS`` and ``ROWS`` say which of them add up. *unchanged* means that the table already had this or something
    newer, *duplicate* that another record of the batch had the same key and came later. ``deleted`` stands by itself.
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

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(mine + theirs for mine, theirs in zip(self.values, other.values, strict=True)))

    @property
    def values(self) -> Sequence[int]:
        """All counts, in the order of declaration."""
        return tuple(vars(self).values())
