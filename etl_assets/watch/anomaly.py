"""Decide whether the numbers of a delivery are anomalous, compared with the deliveries before it.

Pure functions: they compare the number of records, and the profiles of columns, with their history. Module
`history_statistics` evaluates a history; this module defines the scales of distances, and the texts that describe them.

Too few records are measured by ratio, too many by difference, so even a feed that varies by half shows when nearly all
records are missing. Shares are compared by Cohen's h, means and quantiles in standard deviations of the column (Cohen's
d), counts and deviations by the logarithm of their ratio. On each scale 0.2 is a small effect, whatever the column.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from statistics import median
from typing import TYPE_CHECKING, Final

from etl_assets.model.check_result import CheckResult
from etl_assets.model.checks import VOLUME
from etl_assets.model.comparison import Comparison
from etl_assets.watch.history_statistics import Point, compare, compare_numbers, least_spread, middle, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

    from etl_assets.model.monitors import Distribution, Monitors, Volume
    from etl_assets.model.profile import ColumnProfile
    from etl_assets.schema import Column, Schema
    from etl_assets.watch.history_statistics import IsAnomalous, Usual

RECORDS: Final = "records"
_CHANCE: Final = 3.0
"""A count may differ by chance by up to this multiple of its square root."""
_ESTIMATE: Final = 0.031
"""Relative error of a number of distinct values."""


@dataclass(frozen=True)
class Profiled:
    """The profiles of one delivery.

    Attributes:
        columns: By column name.
        day: The day of the delivery; None if it has none.
    """

    columns: Mapping[str, ColumnProfile]
    day: date | None = None


def check_volume(records: Point, history: Sequence[Point], volume: Volume) -> CheckResult:
    """Compare a delivery's number of records with the declared limits, the delivery before it, and the history.

    Args:
        records: Number of records of the delivery.
        history: Numbers of the deliveries before it, oldest first; only the newest of them count.
        volume: The thresholds.
    """
    earlier: list[Point] = []
    for point in history[-volume.history :]:
        earlier.append(point._replace(anomalous=_breach(point, earlier, volume) is not None))
    usual = compare(records, earlier, _volume_is_anomalous(volume), volume.minimum_history)
    text = f"{records.value:,.0f} records"
    range_ = f"{min(usual.values):,.0f} to {max(usual.values):,.0f}" if usual.values else ""
    compared = f"{text}, usually {range_}" if range_ else text
    breach = _breach(records, earlier, volume)
    anomalous = usual.anomalous or breach is not None
    comparison = Comparison("", RECORDS, f"{records.value:,.0f}", range_, anomalous)
    return CheckResult(
        VOLUME,
        passed=not anomalous,
        description=f"{text}; {breach}." if breach else f"{compared} ({usual.compared}).",
        failed_records=int(anomalous),
        records=int(records.value),
        facts=(asdict(comparison),),
    )


def _breach(records: Point, earlier: Sequence[Point], volume: Volume) -> str | None:
    """Describe the limit that a number of records breaks, even if it is usual; None if it breaks none."""
    if volume.at_least is not None and records.value < volume.at_least:
        return f"at least {volume.at_least:,} are expected"
    if volume.at_most is not None and records.value > volume.at_most:
        return f"at most {volume.at_most:,} are expected"
    if not records.value and earlier and earlier[-1].value:
        return f"the delivery before it had {earlier[-1].value:,.0f}"
    return None


def check_distribution(
    schema: Schema, delivery: Profiled, history: Sequence[Profiled], monitors: Monitors
) -> tuple[Comparison, ...]:
    """Compare the profiles of a delivery's columns with those of the deliveries before it.

    For keys, dates and timestamps, which grow with time, only nulls and distinct values are compared. For sensitive
    columns no other numbers are known.

    Args:
        schema: The contract; columns that it no longer has are left out.
        delivery: The profiles to check.
        history: Profiles of the deliveries before it, oldest first.
        monitors: Which columns are watched, and with which thresholds.

    Returns:
        The comparisons, in the order of the schema.
    """
    comparisons: list[Comparison] = []
    for column in schema.columns:
        thresholds, now = monitors.of(column.name), delivery.columns.get(column.name)
        if thresholds is None or now is None or not now.rows:
            continue
        earlier = [(past.day, past.columns[column.name]) for past in history if column.name in past.columns]
        comparisons += _compare_column(
            _statistics(column, schema), (delivery.day, now), earlier[-thresholds.history :], thresholds
        )
    return tuple(comparisons)


@dataclass(frozen=True)
class _Statistic:
    """A number of a column, and the scale on which it is compared.

    Attributes:
        name: Name to show to people.
        compute: Computes the numbers from profiles and the column's usual deviation; None where there is none.
        noise: Standard deviation by which the number varies by chance, for a number of rows.
        describe: Formats a number, given its usual value, as a text that reveals no value of the column.
        unit: Text after the formatted number.
        grain: The smallest step by which the number can move, in the column's own unit. One step is no anomaly.
    """

    name: str
    compute: Callable[[Sequence[ColumnProfile], float], list[float | None]]
    noise: Callable[[int], float]
    describe: Callable[[float, float], str]
    unit: str = ""
    grain: float = 0.0


def _compare_column(
    statistics: Sequence[_Statistic],
    delivery: tuple[date | None, ColumnProfile],
    history: Sequence[tuple[date | None, ColumnProfile]],
    thresholds: Distribution,
) -> list[Comparison]:
    day, profile = delivery
    days, profiles = [on for on, _ in history], [past for _, past in history]
    unit = _usual_deviation(profiles or [profile])
    profiles.append(profile)
    found: dict[str, Comparison] = {}
    for statistic in statistics:
        *numbers, value = statistic.compute(profiles, unit)
        if value is None:
            continue
        earlier = [past for past in numbers if past is not None]
        known = days
        if len(earlier) < len(numbers):
            known = [on for past, on in zip(numbers, days, strict=True) if past is not None]
        far, never = _is_far(thresholds, statistic.noise(profile.rows), statistic.grain / unit)
        usual = compare_numbers(Point(value, day), earlier, known, far, thresholds.minimum_history, steady=never)
        if usual.values:
            found[statistic.name] = _comparison(profile.column, statistic, value, usual)
    if _DISTINCT_SHARE.name in found:
        share, count = found.pop(_DISTINCT_SHARE.name), found[_DISTINCT.name]
        if count.anomalous and not share.anomalous:
            found[_DISTINCT.name] = Comparison(count.column, count.statistic, count.now, count.usual)
    return list(found.values())


def _comparison(column: str, statistic: _Statistic, value: float, usual: Usual) -> Comparison:
    centre = usual.centre
    low, high, now = (statistic.describe(number, centre) for number in (usual.values[0], usual.values[-1], value))
    range_ = low if low == high else f"{low} to {high}"
    return Comparison(column, statistic.name, now + statistic.unit, range_, usual.anomalous)


def _volume_is_anomalous(volume: Volume) -> Callable[[float, Sequence[float]], bool]:
    def anomalous(value: float, usual: Sequence[float]) -> bool:
        centre = middle(usual)
        if abs(value - centre) <= max(volume.tolerance * centre, _CHANCE * math.sqrt(max(centre, 1))):
            return False
        if value > centre:
            return value - centre > volume.deviations * spread(usual)
        fewer = math.log1p(centre) - math.log1p(value)
        return fewer > volume.deviations * spread([math.log1p(past) for past in usual])

    return anomalous


def _is_far(thresholds: Distribution, noise: float, step: float) -> tuple[IsAnomalous, float]:
    """Return a function that decides whether a number is far from others, and a distance at which it never is."""
    deviations = thresholds.deviations
    tolerance = max(thresholds.tolerance, step * _STEP_MARGIN)
    never = max(tolerance, deviations * noise)

    def far(value: float, usual: Sequence[float]) -> bool:
        moved = abs(value - middle(usual))
        if moved <= never or moved <= deviations * least_spread(usual):  # whatever the spread is
            return False
        return moved > max(tolerance, deviations * math.hypot(spread(usual), noise))

    return far, never


def _usual_deviation(profiles: Sequence[ColumnProfile]) -> float:
    """Return the unit in which a column's means and quantiles are compared."""
    deviations = [profile.deviation for profile in profiles if profile.deviation is not None]
    usual = median(deviations) if deviations else 0.0
    if usual:
        return usual
    means = [abs(profile.mean) for profile in profiles if profile.mean is not None]
    return (median(means) if means else 0.0) or 1.0


def _statistics(column: Column, schema: Schema) -> tuple[_Statistic, ...]:
    """Return the statistics that are compared for a column."""
    if column.name in schema.key or column.type.name in {"date", "timestamp"}:
        return _COUNTS
    if column.type.name == "text":
        return (*_COUNTS, _mean("mean length"), _deviation("deviation of the length"))
    if column.type.name == "boolean":
        return (*_COUNTS, _TRUE_SHARE)
    grain = {"integer": 1.0, "decimal": 10.0 ** -(column.type.scale or 0)}.get(column.type.name, 0.0)
    quantiles = (replace(quantile, grain=grain) for quantile in _QUANTILES)
    return (*_COUNTS, _mean("mean"), _deviation("deviation"), *quantiles)


def _mean(name: str) -> _Statistic:
    def compute(profiles: Sequence[ColumnProfile], unit: float) -> list[float | None]:
        return [None if profile.mean is None else profile.mean / unit for profile in profiles]

    return _Statistic(name, compute, _sampling, _movement, " deviations")


def _deviation(name: str) -> _Statistic:
    def compute(profiles: Sequence[ColumnProfile], unit: float) -> list[float | None]:
        return [
            None
            if profile.deviation is None
            else math.log(min(max(profile.deviation / unit, 1 / _LARGEST_RATIO), _LARGEST_RATIO))
            for profile in profiles
        ]

    return _Statistic(name, compute, _sampling, _ratio, " times the usual")


def _quantile(name: str, rank: float, noise: Callable[[int], float]) -> _Statistic:
    def compute(profiles: Sequence[ColumnProfile], unit: float) -> list[float | None]:
        return [None if (quantile := profile.quantiles.get(rank)) is None else quantile / unit for profile in profiles]

    return _Statistic(name, compute, noise, _movement, " deviations")


@lru_cache(maxsize=1_024)
def _angle(share: float) -> float:
    """Return a share on the scale of Cohen's h."""
    return 2 * math.asin(math.sqrt(share))


def _null_angles(profiles: Sequence[ColumnProfile], _unit: float) -> list[float | None]:
    return [_angle(profile.null_share) if profile.nulls else 0.0 for profile in profiles]


def _percent(angle: float, _usual: float) -> str:
    return f"{math.sin(angle / 2) ** 2:.1%}"


def _movement(value: float, usual: float) -> str:
    return f"{round(value - usual, 1) + 0.0:+,.1f}"


def _ratio(value: float, usual: float) -> str:
    return f"{math.exp(value - usual):,.2f}"


def _sampling(rows: int) -> float:
    """Return the random error of a mean of some rows, in standard deviations; by Cohen's h, of a share too."""
    return 1 / math.sqrt(rows)


def _sampling_of_quantile(rows: int) -> float:
    return 2 / math.sqrt(rows)


_STEP_MARGIN: Final = 1.001
"""A move of up to this many steps counts as one step: division before the comparison rounds numbers."""
_LARGEST_RATIO: Final = 1e3
_NULL_SHARE: Final = _Statistic("null share", _null_angles, _sampling, _percent)
_TRUE_SHARE: Final = _Statistic(
    "share of true",
    lambda profiles, _: [
        None if profile.mean is None else _angle(min(max(profile.mean, 0.0), 1.0)) for profile in profiles
    ],
    _sampling,
    _percent,
)
_DISTINCT: Final = _Statistic(
    "distinct values",
    lambda profiles, _: [None if profile.distinct is None else math.log1p(profile.distinct) for profile in profiles],
    lambda _: _ESTIMATE,
    lambda value, _: f"{math.expm1(value):,.0f}",
)
_DISTINCT_SHARE: Final = _Statistic(
    "distinct share",
    lambda profiles, _: [
        math.log(profile.distinct / values) if profile.distinct and (values := profile.values) else None
        for profile in profiles
    ],
    lambda _: _ESTIMATE,
    _ratio,
)
_COUNTS: Final = (_NULL_SHARE, _DISTINCT, _DISTINCT_SHARE)
_QUANTILES: Final = (
    _quantile("median", 0.5, _sampling_of_quantile),
    _quantile("5% quantile", 0.05, _sampling_of_quantile),
    _quantile("95% quantile", 0.95, _sampling_of_quantile),
    _quantile("smallest value", 0.0, lambda _: 0.5),
    _quantile("largest value", 1.0, lambda _: 0.5),
)
