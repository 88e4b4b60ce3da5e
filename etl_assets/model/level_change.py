"""Changes of level: a number of the deliveries is no longer where it was. ``watch`` finds, ``alerts`` reports them.

The state of a delivery is what its numbers are, not what happened: a second delivery at a new level shows the change
that the first one brought.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SEVERAL: Final = "several columns"
"""What an alert is called if one delivery changed more columns than an alert each is good for."""


@dataclass(frozen=True)
class LevelChange:
    """A change of level that a delivery brought, or that it still shows.

    Attributes:
        check: Name of the check that compares the numbers.
        column: Name of the column; of two that look swapped, the first; the empty text for the records of a delivery
            and for several columns.
        statistics: Names of the numbers at the new level.
        began: Id of the delivery that brought it.
        text: The numbers and what was expected; no contents of records.
        swapped_with: The column whose values these look like, and the other way round; the empty text if there is none.
        fewer: By which share there are fewer records than usual; 0.0 if there are not.
    """

    check: str
    column: str
    statistics: tuple[str, ...]
    began: int
    text: str
    swapped_with: str = ""
    fewer: float = 0.0

    @property
    def is_of_several(self) -> bool:
        """Whether it is of several columns."""
        return not self.column and SEVERAL in self.statistics

    @property
    def subjects(self) -> tuple[str, ...]:
        """What an alert about it may be called; a new one has the first of these names."""
        if self.swapped_with:
            return (f"{self.column} and {self.swapped_with} look swapped",)
        if not self.column:
            return self.statistics
        return (*(f"{statistic} of {self.column}" for statistic in self.statistics), SEVERAL)


@dataclass(frozen=True)
class Levels:
    """The changes of level that a check found in one delivery: all that hold for it.

    Attributes:
        check: Name of the check.
        delivery: Id of the delivery.
        changes: The changes.
        settled: Ids of the deliveries that brought a level which is the usual one now.
        is_late: Whether another partition has a newer delivery, so that this one says nothing about the present state.
        may_open: Whether what it shows may open alerts; not if it is late and was loaded before.
    """

    check: str
    delivery: int
    changes: tuple[LevelChange, ...] = ()
    settled: frozenset[int] = frozenset()
    is_late: bool = False
    may_open: bool = True
