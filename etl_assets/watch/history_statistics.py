"""Compute what a number usually is: robust statistics of its history, by weekday, without anomalous entries.

Pure functions, and the same for every number: records of a delivery, statistics of a column. The caller decides which
distance is anomalous on which scale; see `anomaly`.

`compare` walks the history from its oldest entry. It compares each entry with the entries before it, exactly as it
compares the newest number. An anomalous entry is left out when later entries are compared. But if as many entries in a
row are anomalous as a history needs, they are no exception any more: they become the usual, and only they count from
then on. So a fault that comes twice is found twice, and a lasting change is reported a few times and then accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    IsAnomalous = Callable[[float, Sequence[float]], bool]

_NORMAL: Final = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
_WEEK: Final = 7
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class Point:
    """A number of one delivery.

    Attributes:
        value: The number.
        day: The day of the delivery; None if it has none.
        anomalous: Whether it is known to be anomalous without a comparison.
    """

    value: float
    day: date | None = None
    anomalous: bool = False


@dataclass(frozen=True)
class Usual:
    """The history that a number was compared with, and the result.

    Attributes:
        values: The history that counts; empty when it is too short.
        anomalous: Whether the number is too far away from these values.
        compared: In words, which deliveries the values are from, or how many there are and how many are needed.
    """

    values: tuple[float, ...]
    anomalous: bool
    compared: str

    @property
    def centre(self) -> float:
        """The median of the history."""
        return median(self.values)


def spread(values: Sequence[float]) -> float:
    """Return the median absolute deviation, scaled to equal the standard deviation of normally distributed values."""
    centre = median(values)
    return _NORMAL * median(abs(value - centre) for value in values)


def compare(now: Point, history: Sequence[Point], is_anomalous: IsAnomalous, minimum: int) -> Usual:
    """Compare a number with its history.

    If there is one delivery a day, the deliveries of the same weekday are the history, once there are enough of them.
    Before that, all deliveries are the history, once they cover a week; then no number within their range is anomalous.

    Args:
        now: The number.
        history: The earlier numbers, oldest first.
        is_anomalous: Whether a number is too far from some others; for one other, whether the two are not about equal.
        minimum: How many deliveries a history needs.
    """
    daily = _is_daily([point.day for point in (*history, now)])
    entries: list[_Entry] = []
    for point in history:
        anomalous = point.anomalous or _compare(point, entries, is_anomalous, minimum, daily=daily).anomalous
        entry = _Entry(point, anomalous)
        entries.append(entry)
        if entry.anomalous:
            _accept_as_usual(entries, entries, minimum)
            if daily:
                _accept_as_usual(entries, [other for other in entries if other.weekday == entry.weekday], minimum)
    return _compare(now, entries, is_anomalous, minimum, daily=daily)


@dataclass
class _Entry:
    """An entry of the history, and whether it was anomalous when it came."""

    point: Point
    anomalous: bool = False

    @property
    def weekday(self) -> int:
        return self.point.day.weekday() if self.point.day else 0


def _compare(now: Point, entries: Sequence[_Entry], is_anomalous: IsAnomalous, minimum: int, *, daily: bool) -> Usual:
    counting = [entry for entry in entries if not entry.anomalous]
    others = len(entries) - len(counting)
    left_out = f", {others} anomalous {'one' if others == 1 else 'ones'} left out" if others else ""
    values = tuple(entry.point.value for entry in counting)
    needed = max(minimum, _WEEK) if daily else minimum
    if daily and now.day:
        same_day = tuple(entry.point.value for entry in counting if entry.weekday == now.day.weekday())
        if len(same_day) >= minimum:
            compared = f"{len(same_day)} {_DAYS[now.day.weekday()]}s before it{left_out}"
            return Usual(same_day, is_anomalous(now.value, same_day), compared)
    if len(values) < needed:
        return Usual((), False, f"{_deliveries(len(values))} before it, {needed} are needed{left_out}")  # noqa: FBT003
    anomalous = is_anomalous(now.value, values)
    if anomalous and daily:
        nearest = min(max(now.value, min(values)), max(values))
        anomalous = is_anomalous(now.value, [nearest])
    return Usual(values, anomalous, f"{_deliveries(len(values))} before it{left_out}")


def _accept_as_usual(entries: list[_Entry], season: Sequence[_Entry], minimum: int) -> None:
    """If the newest entries of a season were all anomalous, make them the usual and forget those before them."""
    newest = season[-minimum:]
    if len(newest) < minimum or not all(entry.anomalous for entry in newest):
        return
    forgotten = {id(entry) for entry in season[:-minimum]}
    for entry in newest:
        entry.anomalous = False
    entries[:] = [entry for entry in entries if id(entry) not in forgotten]


def _is_daily(days: Sequence[date | None]) -> bool:
    """Whether there usually is one delivery a day."""
    gaps = [(later - earlier).days for earlier, later in pairwise(days) if earlier and later]
    return len(gaps) == len(days) - 1 > 1 and median(gaps) == 1


def _deliveries(number: int) -> str:
    return "1 delivery" if number == 1 else f"{number} deliveries"
