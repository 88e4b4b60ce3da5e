"""Comparisons of a delivery's numbers with the expected ones, for the checks ``volume`` and ``distribution``.

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
        expected: The range in which the number would not be anomalous, as text; the empty text where there is too
            little history.
        anomalous: Whether the number is outside of that range.
        since: If it is anomalous, the delivery that brought its level, as text; the empty text if it is this one.
    """

    column: str
    statistic: str
    now: str
    expected: str = ""
    anomalous: bool = False
    since: str = ""

    def __str__(self) -> str:
        of = f" of {self.column}" if self.column else ""
        return f"{self.statistic}{of} {self.now}" + (f", expected {self.expected}" if self.expected else "")
