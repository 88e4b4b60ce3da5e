"""When the numbers of a delivery count as anomalous: thresholds of the checks ``volume`` and ``distribution``.

Values only; how a delivery is held against its history is ``validate.anomaly``'s business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from etl_assets.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Volume:
    """When the number of records of a delivery is anomalous.

    Attributes:
        deviations: Robust standard deviations from the median of the history; beyond them it is anomalous.
        tolerance: Within that share of the median it never is, however steady the history; nor within three times the
            median's square root, which chance explains.
        history: How many deliveries before it are looked at, at most.
        minimum_history: With fewer deliveries before it nothing is said, but of limits and of a delivery that is empty
            after one that was not.
        at_least: Fewer records are anomalous, whatever the history; None for no limit.
        at_most: More records are anomalous, whatever the history; None for no limit.
    """

    deviations: float = 6.0
    tolerance: float = 0.25
    history: int = 60
    minimum_history: int = 5
    at_least: int | None = None
    at_most: int | None = None

    def check(self, where: str) -> None:
        """Raise unless the thresholds make sense."""
        _check_history(self.deviations, self.history, self.minimum_history, where, "monitors.volume")
        if self.tolerance < 0:
            raise DeclarationError(where, "monitors.volume", "has a tolerance below 0", "Write a share: 0.25")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise DeclarationError(where, "monitors.volume", "has at_least above at_most", "Exchange them")


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """When the values of a column are anomalous: its nulls, its distinct values, its mean, deviation, quantiles, range.

    Attributes:
        deviations: Robust standard deviations from the median of the history; beyond them a statistic is anomalous.
        tolerance: A statistic that moved by less never is: a mean or a quantile by that share of the column's standard
            deviation, a count or a deviation by that share of itself, a share by that much on the scale of Cohen's h,
            on which 0.2 is from 0% to 1%, from 10% to 17%, or from 50% to 60%.
        history: How many deliveries before it are looked at, at most.
        minimum_history: With fewer deliveries before it nothing is said.
    """

    deviations: float = 8.0
    tolerance: float = 0.2
    history: int = 60
    minimum_history: int = 8

    def check(self, where: str) -> None:
        """Raise unless the thresholds make sense."""
        _check_history(self.deviations, self.history, self.minimum_history, where, "monitors.distribution")
        if self.tolerance < 0:
            raise DeclarationError(where, "monitors.distribution", "has a tolerance below 0", "Write a share: 0.2")


@dataclass(frozen=True, kw_only=True)
class Monitors:
    """What is watched of a source, and how closely.

    Attributes:
        volume: Of the number of records; None for not at all.
        distribution: Of every column that is not named in ``columns``; None for not at all.
        columns: Column name to thresholds of its own; None for a column that is not watched.
    """

    volume: Volume | None = field(default_factory=Volume)
    distribution: Distribution | None = field(default_factory=Distribution)
    columns: Mapping[str, Distribution | None] = field(default_factory=dict)

    def of(self, column: str) -> Distribution | None:
        """The thresholds of a column; None when it is not watched."""
        return self.columns.get(column, self.distribution)

    def check(self, names: tuple[str, ...], where: str) -> None:
        """Raise unless the thresholds make sense and belong to declared columns.

        Args:
            names: Of the table's columns.
            where: What to call the owner in the error.
        """
        for name, distribution in self.columns.items():
            if name not in names:
                raise DeclarationError(where, "monitors", f"names {name!r}, no column", "Name declared columns")
            if distribution is not None:
                distribution.check(where)
        for monitor in (self.volume, self.distribution):
            if monitor is not None:
                monitor.check(where)


def _check_history(deviations: float, history: int, minimum: int, where: str, field_: str) -> None:
    if deviations <= 0:
        raise DeclarationError(where, field_, f"allows {deviations} deviations", "Write a number above 0")
    if not 1 <= minimum <= history:
        raise DeclarationError(where, field_, "has a history that cannot be", "Keep 1 <= minimum_history <= history")
