"""Decide whether the numbers of a delivery are anomalous, compared with the deliveries before it.

Pure functions: they compare the number of records, and the profiles of columns, with their history. Module
`history_statistics` evaluates a history, `column_statistics` has the numbers of a column. This module defines how far
is too far, and which anomalous numbers are one change of level.

Too few records are measured by ratio, too many by difference, so even a feed that varies by half shows when nearly all
records are missing.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

from etl_assets.model.check_result import CheckResult
from etl_assets.model.checks import DISTRIBUTION, VOLUME
from etl_assets.model.comparison import Comparison
from etl_assets.model.level_change import SEVERAL, LevelChange, Levels
from etl_assets.watch.column_statistics import DISTINCT, DISTINCT_SHARE, statistics_of, usual_deviation
from etl_assets.watch.history_statistics import (
    Point,
    Scale,
    compare,
    compare_numbers,
    least_spread,
    middle,
    spread,
)
from etl_assets.watch.swaps import CheckedColumn, CheckedNumber, find_swaps

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

    from etl_assets.model.monitors import Distribution, Monitors, Volume
    from etl_assets.model.profile import ColumnProfile
    from etl_assets.schema import Column, Schema
    from etl_assets.watch.column_statistics import Statistic
    from etl_assets.watch.history_statistics import Usual

RECORDS: Final = "records"
ALL: Final = "*"
"""In a baseline, the name of all columns."""
_CHANCE: Final = 3.0
"""A count may differ by chance by up to this multiple of its square root."""
_STEP_MARGIN: Final = 1.001
"""A move of up to this many steps counts as one step: division before the comparison rounds numbers."""
_MOST_DIGITS: Final = 4
_MOST_ALONE: Final = 3
"""If one delivery changes more columns, they are one change."""
_MOST_NAMED: Final = 10


class Order(NamedTuple):
    """The place of a delivery among those of its source: the higher rank is newer; of equal rank, the higher id."""

    rank: str
    id: int


_NOWHERE: Final = Order("", 0)
Baselines = dict[tuple[str, str], Order]
"""The deliveries that brought an accepted level, by column and statistic; an empty statistic stands for all."""


@dataclass(frozen=True)
class Profiled:
    """The profiles of one delivery.

    Attributes:
        columns: By column name.
        day: The day of the delivery; None if it has none.
        order: The place of the delivery.
    """

    columns: Mapping[str, ColumnProfile]
    day: date | None = None
    order: Order = _NOWHERE


@dataclass(frozen=True)
class Findings:
    """What the profiles of a delivery show.

    Attributes:
        comparisons: Of each number, in the order of the schema.
        changes: The changes of level that it brought or still shows; swapped columns first.
        settled: Ids of the deliveries that brought a level which is the usual one now.
    """

    comparisons: tuple[Comparison, ...]
    changes: tuple[LevelChange, ...] = ()
    settled: frozenset[int] = frozenset()


def check_volume(
    records: Point,
    history: Sequence[Point],
    volume: Volume,
    orders: Sequence[Order] = (),
    baselines: Baselines | None = None,
) -> CheckResult:
    """Compare a delivery's number of records with the declared limits, the delivery before it, and the history.

    Args:
        records: Number of records of the delivery.
        history: Numbers of the deliveries before it, oldest first; only the newest of them count.
        volume: The thresholds.
        orders: The places of those deliveries and, last, of this one; by default their places in the history.
        baselines: The levels that a person accepted.
    """
    orders = orders or [Order("", number) for number in range(len(history) + 1)]
    orders, earlier = orders[-volume.history - 1 :], list[Point]()
    for point in history[-volume.history :]:
        earlier.append(point._replace(anomalous=_breach(point, earlier, volume) is not None))
    baseline = _place_of_baseline((baselines or {}).get(("", RECORDS)), orders)
    usual = compare(records, earlier, _volume_scale(volume), volume.minimum_history, baseline=baseline)
    breach, began = _breach(records, earlier, volume), usual.began
    if breach is not None:
        began = len(earlier)
        while began and earlier[began - 1].anomalous:
            began -= 1
    text = "1 record" if records.value == 1 else f"{records.value:,.0f} records"
    range_ = f"{max(math.ceil(usual.limits[0]), 0):,} to {math.floor(usual.limits[1]):,}" if usual.limits else ""
    compared = f"{text}, expected {range_}" if range_ else text
    description = f"{text}; {breach.text}." if breach else f"{compared} ({usual.compared})."
    changes, since = tuple[LevelChange, ...](), ""
    if began is not None:
        before = usual.centre if usual.values else median([point.value for point in earlier if point.value] or [0.0])
        fewer = 1 - records.value / before if records.value < before else 0.0
        changes = (LevelChange(VOLUME, "", (RECORDS,), orders[began].id, description, fewer=fewer),)
        since = "" if began == len(earlier) or (breach and breach.is_limit) else str(orders[began].id)
    comparison = Comparison("", RECORDS, f"{records.value:,.0f}", range_, began is not None, since)
    settled = frozenset[int]() if usual.settled is None else frozenset({orders[usual.settled].id})
    return CheckResult(
        VOLUME,
        passed=began is None or bool(since),
        description=f"{description} So it is since delivery {since}." if since else description,
        failed_records=int(began is not None and not since),
        records=int(records.value),
        facts=(asdict(comparison),),
        levels=(Levels(VOLUME, orders[-1].id, changes, settled),),
    )


class _Breach(NamedTuple):
    """A number of records that is anomalous whatever is usual.

    Attributes:
        text: What is broken.
        is_limit: Whether it is a declared limit.
    """

    text: str
    is_limit: bool


def _breach(records: Point, earlier: Sequence[Point], volume: Volume) -> _Breach | None:
    """Return what a number of records breaks, even if it is usual; None if it breaks nothing."""
    if volume.at_least is not None and records.value < volume.at_least:
        return _Breach(f"at least {volume.at_least:,} are expected", is_limit=True)
    if volume.at_most is not None and records.value > volume.at_most:
        return _Breach(f"at most {volume.at_most:,} are expected", is_limit=True)
    if records.value:
        return None
    last = next((point.value for point in reversed(earlier[-volume.minimum_history :]) if point.value), None)
    if last is None:
        return None
    text = "the delivery before it had" if earlier[-1].value else "the last one with records had"
    return _Breach(f"{text} {last:,.0f}", is_limit=False)


def check_distribution(
    schema: Schema,
    delivery: Profiled,
    history: Sequence[Profiled],
    monitors: Monitors,
    baselines: Baselines | None = None,
) -> Findings:
    """Compare the profiles of a delivery's columns with those of the deliveries before it.

    For keys, dates and timestamps, which grow with time, only nulls and distinct values are compared. For sensitive
    columns no other numbers are known.

    Args:
        schema: The contract; columns that it no longer has are left out.
        delivery: The profiles to check.
        history: Profiles of the deliveries before it, oldest first.
        monitors: Which columns are watched, and with which thresholds.
        baselines: The levels that a person accepted.
    """
    checked: list[CheckedColumn] = []
    for column in schema.columns:
        thresholds, now = monitors.of(column.name), delivery.columns.get(column.name)
        if thresholds is None or now is None or not now.rows:
            continue
        earlier = [past for past in history if column.name in past.columns][-thresholds.history :]
        checked.append(_check_column(column, schema, (delivery, now), earlier, thresholds, baselines or {}))
    swaps = find_swaps(checked, delivery.order.id)
    swapped = {name for change in swaps for name in (change.column, change.swapped_with)}
    comparisons = tuple(
        _comparison(column, number, delivery)
        for column in checked
        for number in column.numbers
        if number.statistic.alerts
    )
    others = _grouped(
        [change for column in checked if column.name not in swapped for change in _changes(column, delivery)]
    )
    settled = {id_ for column in checked for number in column.numbers if (id_ := number.settled) is not None}
    return Findings(comparisons, (*swaps, *others), frozenset(settled))


def _check_column(
    column: Column,
    schema: Schema,
    delivery: tuple[Profiled, ColumnProfile],
    history: Sequence[Profiled],
    thresholds: Distribution,
    baselines: Baselines,
) -> CheckedColumn:
    """Compare the numbers of one column with those of its history."""
    (now, profile), name = delivery, column.name
    days, orders = [past.day for past in history], [past.order for past in history]
    profiles = [past.columns[name] for past in history]
    unit = usual_deviation(profiles or [profile])
    found: dict[str, CheckedNumber] = {}
    profiles.append(profile)
    for statistic in statistics_of(column, schema):
        *numbers, value = statistic.compute(profiles, unit)
        if value is None:
            continue
        earlier, known, places = [past for past in numbers if past is not None], days, orders
        if len(earlier) < len(numbers):
            known = [on for past, on in zip(numbers, days, strict=True) if past is not None]
            places = [order for past, order in zip(numbers, orders, strict=True) if past is not None]
        rows = profile.rows if statistic.is_of_nulls else max(profile.values, 1)
        scale, never = _scale(thresholds, statistic.noise(rows), statistic.grain / unit)
        baseline = None
        if baselines:
            accepted = [
                at
                for number in ((ALL, ""), (name, ""), (name, statistic.name))
                if (at := baselines.get(number)) is not None
            ]
            baseline = _place_of_baseline(max(accepted, default=None), [*places, now.order])
        usual = compare_numbers(
            Point(value, now.day), earlier, known, scale, thresholds.minimum_history, steady=never, baseline=baseline
        )
        if usual.values:
            found[statistic.name] = _checked(statistic, value, usual, scale, earlier, [*places, now.order])
    if DISTINCT_SHARE.name in found:
        share, count = found.pop(DISTINCT_SHARE.name), found[DISTINCT.name]
        if count.began is not None and share.began is None:
            found[DISTINCT.name] = replace(count, began=None)
    settled = {number.settled for number in found.values() if number.settled is not None}
    checked = (replace(number, began=None) if _moved_with(number, settled) else number for number in found.values())
    return CheckedColumn(name, profile, unit, tuple(checked))


def _checked(
    statistic: Statistic,
    value: float,
    usual: Usual,
    scale: Scale,
    numbers: Sequence[float],
    orders: Sequence[Order],
) -> CheckedNumber:
    began = None if usual.began is None else orders[usual.began].id
    settled = None if usual.settled is None else orders[usual.settled].id
    return CheckedNumber(statistic, value, usual, scale, numbers, tuple(order.id for order in orders), began, settled)


def _comparison(column: CheckedColumn, number: CheckedNumber, delivery: Profiled) -> Comparison:
    centre, limits = number.usual.centre, number.usual.limits or (0.0, 0.0)
    for more in range(_MOST_DIGITS):
        now, low, high = (number.statistic.describe(each, centre, more) for each in (number.value, *limits))
        if number.began is None or now not in {low, high}:
            break
    range_ = low if low == high else f"{low} to {high}"
    anomalous = number.began is not None
    since = "" if not anomalous or number.began == delivery.order.id else str(number.began)
    return Comparison(column.name, number.statistic.name, now + number.statistic.unit, range_, anomalous, since)


def _changes(column: CheckedColumn, delivery: Profiled) -> list[LevelChange]:
    """Return the changes of level that a column shows: one for the numbers of each delivery that brought one."""
    by_delivery: dict[int, list[CheckedNumber]] = {}
    for number in column.numbers:
        if number.began is not None and number.statistic.alerts:
            by_delivery.setdefault(_began_with(number, column, delivery.order.id), []).append(number)
    return [
        LevelChange(
            DISTRIBUTION,
            column.name,
            tuple(number.statistic.name for number in numbers),
            began,
            f"{'; '.join(str(_comparison(column, number, delivery)) for number in numbers)}.",
        )
        for began, numbers in by_delivery.items()
    ]


def _grouped(changes: Sequence[LevelChange]) -> list[LevelChange]:
    """Make one change of those that one delivery brought to many columns at once."""
    by_delivery: dict[int, list[LevelChange]] = {}
    for change in changes:
        by_delivery.setdefault(change.began, []).append(change)
    grouped: list[LevelChange] = []
    for began, of_delivery in by_delivery.items():
        if len(of_delivery) <= _MOST_ALONE:
            grouped += of_delivery
            continue
        names = ", ".join(change.column for change in of_delivery[:_MOST_NAMED])
        more = f" and {len(of_delivery) - _MOST_NAMED} more" if len(of_delivery) > _MOST_NAMED else ""
        text = f"{len(of_delivery)} columns changed at once: {names}{more}. {of_delivery[0].text}"
        grouped.append(LevelChange(DISTRIBUTION, "", (SEVERAL,), began, text))
    return grouped


def _began_with(number: CheckedNumber, column: CheckedColumn, delivery: int) -> int:
    """Return the delivery that brought the level of a number: the one of other numbers of its column, if it fits."""
    began = number.began or delivery
    others = {other.began for other in column.numbers if other.began not in {None, began, delivery}}
    return _moved_with(number, others) or began


def _moved_with(number: CheckedNumber, begun: Collection[int | None]) -> int | None:
    """Return the delivery from which on a number is where it is, of those that brought levels of its column before.

    None if it is none of these, or the number is not anomalous.
    """
    if number.began is None:
        return None
    own = number.ids.index(number.began)
    for since in begun:
        if since in number.ids and (place := number.ids.index(since)) < own and number.is_where_it_was(place):
            return since
    return None


def _place_of_baseline(baseline: Order | None, orders: Sequence[Order]) -> int | None:
    """Return the place of the first delivery at an accepted level; None if it is none of these, or the first."""
    if baseline is None or not orders or orders[0] >= baseline or orders[-1] < baseline:
        return None
    return next(place for place, order in enumerate(orders) if order >= baseline)


def _volume_scale(volume: Volume) -> Scale:
    def limits(usual: Sequence[float]) -> tuple[float, float]:
        centre = middle(usual)
        never = max(volume.tolerance * centre, _CHANCE * math.sqrt(max(centre, 1)))
        logarithms = [math.log1p(max(past, 0.0)) for past in usual]
        least = math.expm1(math.log1p(max(centre, 0.0)) - volume.deviations * spread(logarithms))
        return min(centre - never, least), centre + max(never, volume.deviations * spread(usual))

    def is_far(value: float, usual: Sequence[float]) -> bool:
        centre = middle(usual)
        if abs(value - centre) <= max(volume.tolerance * centre, _CHANCE * math.sqrt(max(centre, 1))):
            return False
        low, high = limits(usual)
        return not low <= value <= high

    return Scale(is_far, limits, by_ratio=True)


def _scale(thresholds: Distribution, noise: float, step: float) -> tuple[Scale, float]:
    """Return how a number of a column is compared, and a distance at which it is never anomalous."""
    deviations = thresholds.deviations
    tolerance = max(thresholds.tolerance, step * _STEP_MARGIN)
    never = max(tolerance, deviations * noise)

    def allowed(usual: Sequence[float]) -> float:
        return max(tolerance, deviations * math.hypot(spread(usual), noise))

    def is_far(value: float, usual: Sequence[float]) -> bool:
        moved = abs(value - middle(usual))
        if moved <= never or moved <= deviations * least_spread(usual):  # whatever the spread is
            return False
        return moved > allowed(usual)

    def limits(usual: Sequence[float]) -> tuple[float, float]:
        centre, most = middle(usual), allowed(usual)
        return centre - most, centre + most

    return Scale(is_far, limits), never
