"""What the monitors found of a delivery, for the checks ``volume`` and ``distribution``. Values only.

Numbers that tell of a column are shares, counts, ratios and movements: none is a value that the column holds.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """One number of a delivery beside what it usually is.

    Attributes:
        column: Name of the column; the empty text where the whole delivery is meant.
        statistic: Which number, e.g. ``null share``.
        now: What it is, in words.
        usual: From where to where it was in the history, in words; the empty text where there is too little of it.
        strange: Whether it is further away than is allowed.
    """

    column: str
    statistic: str
    now: str
    usual: str = ""
    strange: bool = False

    def __str__(self) -> str:
        of = f" of {self.column}" if self.column else ""
        return f"{self.statistic}{of} {self.now}" + (f", usually {self.usual}" if self.usual else "")


@dataclass(frozen=True)
class Monitored:
    """What one check found of one delivery.

    Attributes:
        name: Of the check: ``volume`` or ``distribution``.
        passed: Whether nothing is strange, or too little is known to say so.
        description: In words; no record contents.
        failed: How many columns are strange; of ``volume``, 1 or 0.
        records: Of the delivery.
        facts: What was compared.
    """

    name: str
    passed: bool
    description: str
    failed: int
    records: int
    facts: tuple[Fact, ...] = ()
