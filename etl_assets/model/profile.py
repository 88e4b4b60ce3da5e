"""What a column of a delivery held, in numbers and a few values. Values only; made by ``validate.profile``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

RANKS: Final = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
"""Ranks of the quantiles that are kept; the first and the last are the exact extremes."""


@dataclass(frozen=True)
class ColumnProfile:
    """What one column of one delivery held, over all rows made of it.

    Of a sensitive column only the counts are known. The numbers of a text are those of its length in bytes, of a
    boolean those of 0 and 1, of a date days since 1970-01-01, of a timestamp seconds since then (of an instant, in
    UTC), of a time seconds since midnight.

    Attributes:
        column: Name of the column.
        rows: Number of rows.
        nulls: How many of them have no value.
        distinct: Number of different values: exact below 1,024, from there an estimate with a standard error of 3.1%.
            None where parts of the delivery were profiled by versions that cannot be added up.
        minimum: Smallest value as text, of a text its first 200 characters; None where there is none.
        maximum: Largest value, likewise.
        mean: Arithmetic mean; None where there is no value or it means nothing for the type.
        deviation: Standard deviation of all rows, likewise.
        quantiles: Rank, 0.0 to 1.0, to value, for numbers, dates and times; within 2% of the rank, the extremes exact.
        top: The most frequent values as text with the number of rows that have them, most frequent first: at most ten,
            each in at least one row of a hundred. Estimates, where a batch had 8,192 rows or more.
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
        """How many rows have a value."""
        return self.rows - self.nulls

    @property
    def null_share(self) -> float:
        """Share of the rows without a value; 0.0 where there is no row."""
        return self.nulls / self.rows if self.rows else 0.0
