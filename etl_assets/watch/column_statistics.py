"""The numbers of a column that are compared, and the scales on which they are compared. Pure functions.

Shares are compared by Cohen's h, means and quantiles in standard deviations of the column (Cohen's d), counts and
deviations by the logarithm of their ratio. On each scale 0.2 is a small effect, whatever the column.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from etl_assets.model.profile import ColumnProfile
    from etl_assets.schema import Column, Schema

_ESTIMATE: Final = 0.031
"""Relative error of a number of distinct values."""


@dataclass(frozen=True)
class Statistic:
    """A number of a column, and the scale on which it is compared.

    Attributes:
        name: Name to show to people.
        compute: Computes the numbers from profiles and the column's usual deviation; None where there is none.
        noise: Standard deviation by which the number varies by chance, for a number of values.
        describe: Formats a number, given its usual value and how many more digits than usual are needed, as a text that
            reveals no value of the column.
        unit: Text after the formatted number.
        grain: The smallest step by which the number can move, in the column's own unit. One step is no anomaly.
        is_of_nulls: Whether it is a number of all rows, not only of those with a value.
        alerts: Whether a change of it is an anomaly; otherwise it only shows which of two columns a profile is of.
    """

    name: str
    compute: Callable[[Sequence[ColumnProfile], float], list[float | None]]
    noise: Callable[[int], float]
    describe: Callable[[float, float, int], str]
    unit: str = ""
    grain: float = 0.0
    is_of_nulls: bool = False
    alerts: bool = True


def usual_deviation(profiles: Sequence[ColumnProfile]) -> float:
    """Return the unit in which a column's means and quantiles are compared."""
    deviations = [profile.deviation for profile in profiles if profile.deviation is not None]
    usual = median(deviations) if deviations else 0.0
    if usual:
        return usual
    means = [abs(profile.mean) for profile in profiles if profile.mean is not None]
    return (median(means) if means else 0.0) or 1.0


def statistics_of(column: Column, schema: Schema) -> tuple[Statistic, ...]:
    """Return the statistics that are compared for a column."""
    if column.name in schema.key or column.type.name in {"date", "timestamp"}:
        return _COUNTS
    if column.type.name == "text":
        return (*_COUNTS, _mean("mean length"), _LENGTH_DEVIATION)
    if column.type.name == "boolean":
        return (*_COUNTS, _TRUE_SHARE)
    grain = {"integer": 1.0, "decimal": 10.0 ** -(column.type.scale or 0)}.get(column.type.name, 0.0)
    quantiles = (replace(quantile, grain=grain) for quantile in _QUANTILES)
    return (*_COUNTS, _mean("mean"), _deviation("deviation"), *quantiles)


def _mean(name: str) -> Statistic:
    def compute(profiles: Sequence[ColumnProfile], unit: float) -> list[float | None]:
        return [None if profile.mean is None else profile.mean / unit for profile in profiles]

    return Statistic(name, compute, _sampling, _movement, " deviations")


def _deviation(name: str) -> Statistic:
    def compute(profiles: Sequence[ColumnProfile], unit: float) -> list[float | None]:
        return [
            None
            if profile.deviation is None
            else math.log(min(max(profile.deviation / unit, 1 / _LARGEST_RATIO), _LARGEST_RATIO))
            for profile in profiles
        ]

    return Statistic(name, compute, _sampling, _ratio, " times the usual")


def _quantile(name: str, rank: float, noise: Callable[[int], float]) -> Statistic:
    def compute(profiles: Sequence[ColumnProfile], unit: float) -> list[float | None]:
        return [None if (quantile := profile.quantiles.get(rank)) is None else quantile / unit for profile in profiles]

    return Statistic(name, compute, noise, _movement, " deviations")


@lru_cache(maxsize=1_024)
def _angle(share: float) -> float:
    """Return a share on the scale of Cohen's h."""
    return 2 * math.asin(math.sqrt(share))


def _null_angles(profiles: Sequence[ColumnProfile], _unit: float) -> list[float | None]:
    return [_angle(profile.null_share) if profile.nulls else 0.0 for profile in profiles]


def _percent(angle: float, _usual: float, more: int) -> str:
    return f"{math.sin(min(max(angle, 0.0), math.pi) / 2) ** 2:.{1 + more}%}"


def _movement(value: float, usual: float, more: int) -> str:
    return f"{round(value - usual, 1 + more) + 0.0:+,.{1 + more}f}"


def _ratio(value: float, usual: float, more: int) -> str:
    return f"{math.exp(value - usual):,.{2 + more}f}"


def _count(value: float, _usual: float, more: int) -> str:
    return f"{max(math.expm1(value), 0.0):,.{more}f}"


def _sampling(rows: int) -> float:
    """Return the random error of a mean of some rows, in standard deviations; by Cohen's h, of a share too."""
    return 1 / math.sqrt(rows)


def _sampling_of_quantile(rows: int) -> float:
    return 2 / math.sqrt(rows)


_LARGEST_RATIO: Final = 1e3
_NULL_SHARE: Final = Statistic("null share", _null_angles, _sampling, _percent, is_of_nulls=True)
_TRUE_SHARE: Final = Statistic(
    "share of true",
    lambda profiles, _: [
        None if profile.mean is None else _angle(min(max(profile.mean, 0.0), 1.0)) for profile in profiles
    ],
    _sampling,
    _percent,
)
DISTINCT: Final = Statistic(
    "distinct values",
    lambda profiles, _: [None if profile.distinct is None else math.log1p(profile.distinct) for profile in profiles],
    lambda _: _ESTIMATE,
    _count,
)
DISTINCT_SHARE: Final = Statistic(
    "distinct share",
    lambda profiles, _: [
        math.log(profile.distinct / values) if profile.distinct and (values := profile.values) else None
        for profile in profiles
    ],
    lambda _: _ESTIMATE,
    _ratio,
)
_LENGTH_DEVIATION: Final = replace(_deviation("deviation of the length"), alerts=False)
_COUNTS: Final = (_NULL_SHARE, DISTINCT, DISTINCT_SHARE)
_QUANTILES: Final = (
    _quantile("median", 0.5, _sampling_of_quantile),
    _quantile("5% quantile", 0.05, _sampling_of_quantile),
    _quantile("95% quantile", 0.95, _sampling_of_quantile),
    _quantile("smallest value", 0.0, lambda _: 0.5),
    _quantile("largest value", 1.0, lambda _: 0.5),
)
