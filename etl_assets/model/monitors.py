"""The thresholds of the checks ``volume`` and ``distribution``: when the numbers of a delivery are anomalous.

This module only declares values; ``watch.anomaly`` compares a delivery with its history.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from etl_assets.errors import DeclarationError
from etl_assets.model.declaration import Declaration


@dataclass(frozen=True, kw_only=True)
class Volume(Declaration):
    """When the number of records of a delivery is anomalous.

    Attributes:
        deviations: A number is anomalous if it is further, in robust standard deviations, from the median of the
            history, and from what its last numbers, its trend and its season let one expect.
        tolerance: A number within this share of the median is never anomalous, however steady the history. The same
            holds within three times the median's square root, a difference that chance explains.
        history: Largest number of earlier deliveries to compare with.
        minimum_history: With fewer earlier deliveries only the limits are checked, and whether the delivery is empty
            although the one before was not.
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
        if (self.at_least or 0) < 0 or (self.at_most or 0) < 0:
            raise DeclarationError(where, "monitors.volume", "has a limit below 0", "Write 0 or more records")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise DeclarationError(where, "monitors.volume", "has at_least above at_most", "Exchange them")


@dataclass(frozen=True, kw_only=True)
class Distribution(Declaration):
    """When the values of a column are anomalous: its nulls, its distinct values, its mean, deviation, quantiles, range.

    Attributes:
        deviations: A statistic is anomalous if it is further, in robust standard deviations, from the median of the
            history, and from what its last values, its trend and its season let one expect.
        tolerance: A statistic that changed by less is never anomalous. The unit is: for a mean or a quantile, the
            column's standard deviation; for a count or a deviation, the number itself; for a share, Cohen's h, on which
            0.2 is the step from 0% to 1%, from 10% to 17%, or from 50% to 60%.
        history: Largest number of earlier deliveries to compare with.
        minimum_history: With fewer earlier deliveries nothing is checked.
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
class Monitors(Declaration):
    """The monitors of a source and their thresholds.

    Attributes:
        volume: Thresholds for the number of records; None to not monitor it.
        distribution: Thresholds for every column that ``columns`` does not name; None to not monitor them.
        columns: Column name to its own thresholds; None for a column that is not monitored.
    """

    volume: Volume | None = field(default_factory=Volume)
    distribution: Distribution | None = field(default_factory=Distribution)
    columns: Mapping[str, Distribution | None] = field(default_factory=dict)

    def of(self, column: str) -> Distribution | None:
        """Return the thresholds of a column; None when it is not monitored."""
        return self.columns.get(column, self.distribution)

    def check(self, names: tuple[str, ...], where: str) -> None:
        """Raise unless the thresholds make sense and belong to declared columns.

        Args:
            names: Names of the table's columns.
            where: How the error names the owner.
        """
        for name, distribution in self.columns.items():
            if name not in names:
                raise DeclarationError(where, "monitors", f"names unknown column {name!r}", "Use declared columns")
            if distribution is not None:
                distribution.check(where)
        for monitor in (self.volume, self.distribution):
            if monitor is not None:
                monitor.check(where)


def _check_history(deviations: float, history: int, minimum: int, where: str, field_: str) -> None:
    if deviations <= 0:
        raise DeclarationError(where, field_, f"allows {deviations} deviations", "Write a number above 0")
    if not 1 <= minimum <= history:
        raise DeclarationError(where, field_, "has an impossible history", "Keep 1 <= minimum_history <= history")
