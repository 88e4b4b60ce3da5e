"""A number of a delivery beside what it usually is, for the checks ``volume`` and ``distribution``.

Numbers that tell of a column are shares, counts, ratios and movements: none is a value that the column holds.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Comparison:
    """One number of a delivery beside what it usually is.

    Attributes:
        column: Name of the column; the empty text where the whole delivery is meant.
        statistic: Which number, e.g. ``null share``.
        now: What it is, in words.
        usual: From where to where it was in the history, in words; the empty text where there is too little of it.
        anomalous: Whether it is further away than is allowed.
    """

    column: str
    statistic: str
    now: str
    usual: str = ""
    anomalous: bool = False

    def __str__(self) -> str:
        of = f" of {self.column}" if self.column else ""
        return f"{self.statistic}{of} {self.now}" + (f", usually {self.usual}" if self.usual else "")
