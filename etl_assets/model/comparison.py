"""Comparisons of a delivery's numbers with their usual ones, for the checks ``volume`` and ``distribution``.

Numbers about a column are shares, counts, ratios and movements: none is a value that the column contains.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Comparison:
    """One number of a delivery, compared with its history.

    Attributes:
        column: Name of the column; the empty text for a number of the whole delivery.
        statistic: Name of the number, e.g. ``null share``.
        now: The number in this delivery, as text.
        usual: The range of the number in the history, as text; the empty text where there is too little history.
        anomalous: Whether the number is further from the usual ones than is allowed.
    """

    column: str
    statistic: str
    now: str
    usual: str = ""
    anomalous: bool = False

    def __str__(self) -> str:
        of = f" of {self.column}" if self.column else ""
        return f"{self.statistic}{of} {self.now}" + (f", usually {self.usual}" if self.usual else "")
