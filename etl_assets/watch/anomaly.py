"""Whether the numbers of a delivery are anomalous beside those of the deliveries before it.

Pure: the number of records, and the profiles of columns, against their history. How a history is read is `usual`'s
business; here stand the scales on which a number is near or far, and the words for it.

Records are few by ratio and many by difference: a feed that varies by half still shows that nearly all is missing.
Shares are compared by Cohen's h, means and quantiles in standard deviations of the column (Cohen's d), counts and
deviations by the logarithm of their ratio: on each scale 0.2 is a small effect, whatever the column holds.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Final

from etl_assets.model.check_result import CheckResult
from etl_assets.model.checks import VOLUME
from etl_assets.model.comparison import Comparison
from etl_assets.watch.history_statistics import Point, compare, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

    from etl_assets.model.monitors import Distribution, Monitors, Volume
    from etl_assets.model.profile import ColumnProfile
    from etl_assets.schema import Column, Schema
    from etl_assets.watch.history_statistics import Usual

RECORDS: Final = "records"
_CHANCE: Final = 3.0
"""A count may be off by so many of its square roots by chance alone."""
_ESTIMATE: Final = 0.031
"""Relative error of a number of distinct values."""


@dataclass(frozen=True)
class Profiled:
    """The profiles of one delivery.

    Attributes:
        columns: By column name.
        day: The day that the delivery is of; None where it is of none.
    """

    columns: Mapping[str, ColumnProfile]
    day: date | None = None


def check_volume(records: Point, history: Sequence[Point], volume: Volume) -> CheckResult:
    """Hold the number of a delivery's records against the declared limits, the delivery before it, and the history.

    Args:
        records: Of the delivery.
        history: Of those before it, oldest first; the newest of them count.
        volume: The thresholds.
    """
    earlier: list[Point] = []
    for point in history[-volume.history :]:
        earlier.append(replace(point, anomalous=_breach(point, earlier, volume) is not None))
    usual = compare(records, earlier, _volume_is_anomalous(volume), volume.minimum_history)
    told = f"{records.value:,.0f} records"
    range_ = f"{min(usual.values):,.0f} to {max(usual.values):,.0f}" if usual.values else ""
    beside = f"{told}, usually {range_}" if range_ else told
    breach = _breach(records, earlier, volume)
    anomalous = usual.anomalous or breach is not None
    comparison = Comparison("", RECORDS, f"{records.value:,.0f}", range_, anomalous)
    return CheckResult(
        VOLUME,
        passed=not anomalous,
        description=f"{told}; {breach}." if breach else f"{beside} ({usual.compared}).",
        failed_records=int(anomalous),
        records=int(records.value),
        facts=(asdict(comparison),),
    )


def _breach(records: Point, earlier: Sequence[Point], volume: Volume) -> str | None:
    """What a number of records breaks, however usual it is; None if nothing."""
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
    """Hold the profiles of a delivery's columns against those before it.

    Of keys and of dates and timestamps, which go on with time, only nulls and distinct values are compared. Of
    sensitive columns nothing else is known.

    Args:
        schema: The contract; columns that it no longer has are left out.
        delivery: To be judged.
        history: Those before it, oldest first.
        monitors: Which columns are watched, and how closely.

    Returns:
        What was compared, in the order of the schema.
    """
    facts: list[Comparison] = []
    for column in schema.columns:
        thresholds, now = monitors.of(column.name), delivery.columns.get(column.name)
        if thresholds is None or now is None or not now.rows:
            continue
        earlier = [(past.day, past.columns[column.name]) for past in history if column.name in past.columns]
        facts += _compare_column(
            _statistics(column, schema), (delivery.day, now), earlier[-thresholds.history :], thresholds
        )
    return tuple(facts)


@dataclass(frozen=True)
class _Statistic:
    """A number of a column on the scale that it is compared on.

    Attributes:
        name: For people.
        of: Makes the number of a profile and the column's usual deviation; None where there is none.
        noise: How far the number of so many rows is off by chance, as a standard deviation.
        told: Makes words of a number and what it usually is, which give no value of the column away.
        unit: What follows them.
        grain: The smallest step by which it can move, in the column's own unit: moving by one step says nothing.
    """

    name: str
    of: Callable[[ColumnProfile, float], float | None]
    noise: Callable[[int], float]
    told: Callable[[float, float], str]
    unit: str = ""
    grain: float = 0.0


def _compare_column(
    statistics: Sequence[_Statistic],
    delivery: tuple[date | None, ColumnProfile],
    history: Sequence[tuple[date | None, ColumnProfile]],
    thresholds: Distribution,
) -> list[Comparison]:
    day, profile = delivery
    unit = _usual_deviation([past for _, past in history] or [profile])
    found: dict[str, Comparison] = {}
    for statistic in statistics:
        value = statistic.of(profile, unit)
        if value is None:
            continue
        points = [Point(was, on) for on, past in history if (was := statistic.of(past, unit)) is not None]
        far = _is_far(thresholds, statistic.noise(profile.rows), statistic.grain / unit)
        usual = compare(Point(value, day), points, far, thresholds.minimum_history)
        if usual.values:
            found[statistic.name] = _fact(profile.column, statistic, value, usual)
    if _DISTINCT_SHARE.name in found:
        share, count = found.pop(_DISTINCT_SHARE.name), found[_DISTINCT.name]
        if count.anomalous and not share.anomalous:
            found[_DISTINCT.name] = Comparison(count.column, count.statistic, count.now, count.usual)
    return list(found.values())


def _fact(column: str, statistic: _Statistic, value: float, usual: Usual) -> Comparison:
    centre = usual.centre
    low, high = statistic.told(min(usual.values), centre), statistic.told(max(usual.values), centre)
    range_ = low if low == high else f"{low} to {high}"
    return Comparison(column, statistic.name, statistic.told(value, centre) + statistic.unit, range_, usual.anomalous)


def _volume_is_anomalous(volume: Volume) -> Callable[[float, Sequence[float]], bool]:
    def anomalous(value: float, usual: Sequence[float]) -> bool:
        centre = median(usual)
        if abs(value - centre) <= max(volume.tolerance * centre, _CHANCE * math.sqrt(max(centre, 1))):
            return False
        if value > centre:
            return value - centre > volume.deviations * spread(usual)
        fewer = math.log1p(centre) - math.log1p(value)
        return fewer > volume.deviations * spread([math.log1p(one) for one in usual])

    return anomalous


def _is_far(thresholds: Distribution, noise: float, step: float) -> Callable[[float, Sequence[float]], bool]:
    near = max(thresholds.tolerance, step * _A_STEP)

    def far(value: float, usual: Sequence[float]) -> bool:
        moved = abs(value - median(usual))
        return moved > max(near, thresholds.deviations * math.hypot(spread(usual), noise))

    return far


def _usual_deviation(profiles: Sequence[ColumnProfile]) -> float:
    """The unit in which a column's means and quantiles move."""
    deviations = [profile.deviation for profile in profiles if profile.deviation is not None]
    usual = median(deviations) if deviations else 0.0
    if usual:
        return usual
    means = [abs(profile.mean) for profile in profiles if profile.mean is not None]
    return (median(means) if means else 0.0) or 1.0


def _statistics(column: Column, schema: Schema) -> tuple[_Statistic, ...]:
    """What is compared of a column."""
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
    def of(profile: ColumnProfile, unit: float) -> float | None:
        return None if profile.mean is None else profile.mean / unit

    return _Statistic(name, of, _sampling, _movement, " deviations")


def _deviation(name: str) -> _Statistic:
    def of(profile: ColumnProfile, unit: float) -> float | None:
        if profile.deviation is None:
            return None
        return math.log(min(max(profile.deviation / unit, 1 / _LARGEST_RATIO), _LARGEST_RATIO))

    return _Statistic(name, of, _sampling, _ratio, " times the usual")


def _quantile(name: str, rank: float, noise: Callable[[int], float]) -> _Statistic:
    def of(profile: ColumnProfile, unit: float) -> float | None:
        return profile.quantiles[rank] / unit if rank in profile.quantiles else None

    return _Statistic(name, of, noise, _movement, " deviations")


def _angle(share: float) -> float:
    """A share on the scale of Cohen's h."""
    return 2 * math.asin(math.sqrt(share))


def _percent(angle: float, _usual: float) -> str:
    return f"{math.sin(angle / 2) ** 2:.1%}"


def _movement(value: float, usual: float) -> str:
    return f"{round(value - usual, 1) + 0.0:+,.1f}"


def _ratio(value: float, usual: float) -> str:
    return f"{math.exp(value - usual):,.2f}"


def _sampling(rows: int) -> float:
    """How far the mean of so many rows is off by chance, in their standard deviation; a share too, by Cohen's h."""
    return 1 / math.sqrt(rows)


def _sampling_of_quantile(rows: int) -> float:
    return 2 / math.sqrt(rows)


_A_STEP: Final = 1.001
"""So much of a step, at most, is one: numbers are divided before they are compared."""
_LARGEST_RATIO: Final = 1e3
_NULL_SHARE: Final = _Statistic("null share", lambda profile, _: _angle(profile.null_share), _sampling, _percent)
_TRUE_SHARE: Final = _Statistic(
    "share of true",
    lambda profile, _: None if profile.mean is None else _angle(min(max(profile.mean, 0.0), 1.0)),
    _sampling,
    _percent,
)
_DISTINCT: Final = _Statistic(
    "distinct values",
    lambda profile, _: None if profile.distinct is None else math.log1p(profile.distinct),
    lambda _: _ESTIMATE,
    lambda value, _: f"{math.expm1(value):,.0f}",
)
_DISTINCT_SHARE: Final = _Statistic(
    "distinct share",
    lambda profile, _: math.log(profile.distinct / profile.values) if profile.distinct and profile.values else None,
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
