"""The profile of a column of a delivery: statistics and a few values. ``watch.profiles`` computes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

RANKS: Final = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
"""Ranks of the quantiles that are kept; the first and the last are the exact extremes."""


@dataclass(frozen=True)
class ColumnProfile:
    """Statistics of one column over all rows of one delivery.

    A sensitive column has only the counts. Mean, deviation and quantiles are computed from numbers that depend on the
    type. Text: its length in bytes. Boolean: 0 and 1. Date: days since 1970-01-01. Timestamp: seconds since then (of
    an instant, in UTC). Time: seconds since midnight.

    Attributes:
        column: Name of the column.
        rows: Number of rows.
        nulls: Number of rows without a value.
        distinct: Number of different values: exact below 1,024, else an estimate with a standard error of 3.1%. None
            if parts of the delivery were profiled by versions that cannot be merged.
        minimum: Smallest value as text, of a text its first 200 characters; None if there is none.
        maximum: Largest value, in the same way.
        mean: Arithmetic mean; None if there is no value, or if the type has no mean.
        deviation: Standard deviation of all rows; None as for the mean.
        quantiles: Rank, 0.0 to 1.0, to value, for numbers, dates and times; within 2% of the rank, the extremes exact.
        top: The most frequent values as text with their numbers of rows, most frequent first: at most ten, each in at
            least one row of a hundred. The numbers are estimates if a batch had 8,192 rows or more.
    """

    column: str
    rows: int
    nulls: int
    distinct: float | None = None
    minimum: str | None = None
    maximum: str | None = None
    mean: float | None = None
    deviation: float | None = None
    quantiles: Mapping[float, float] = field(default_factory=dict)
    top: tuple[tuple[str, int], ...] = ()

    @property
    def values(self) -> int:
        """Number of rows with a value."""
        return self.rows - self.nulls

    @property
    def null_share(self) -> float:
        """Share of the rows without a value; 0.0 if there is no row."""
        return self.nulls / self.rows if self.rows else 0.0
