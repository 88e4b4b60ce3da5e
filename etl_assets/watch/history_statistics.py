"""What a number usually is: robust statistics of a history, by season, without what was anomalous itself.

Pure, and the same for every number: records of a delivery, statistics of a column. What counts as far away on which
scale is said by whoever asks; see `anomaly`.

The history is walked from its oldest entry. Each entry is held against those before it as the newest one is; one that
was anomalous is left out of what later ones are held against. As many in a row as make a history are no exception any
more but the new usual: from then on those alone count. So a fault that comes twice is found twice, and a change that
stays is told a few times and then known.
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
        day: The day that the delivery is of; None where it is of none.
        anomalous: Whether it is known to be anomalous, whatever it is held against.
    """

    value: float
    day: date | None = None
    anomalous: bool = False


@dataclass(frozen=True)
class Usual:
    """What a number was held against.

    Attributes:
        values: The history that counts; empty when there is too little of it.
        anomalous: Whether the number is too far away from it.
        compared: In words, what the values are of, or how many there are and how many it takes.
    """

    values: tuple[float, ...]
    anomalous: bool
    compared: str

    @property
    def centre(self) -> float:
        """The median of the history."""
        return median(self.values)


def spread(values: Sequence[float]) -> float:
    """The median absolute deviation, scaled so that it is the standard deviation where values are normal."""
    centre = median(values)
    return _NORMAL * median(abs(value - centre) for value in values)


def compare(now: Point, history: Sequence[Point], is_anomalous: IsAnomalous, minimum: int) -> Usual:
    """Hold a number against its history.

    Where there is one delivery a day, those of the same weekday are the history, as soon as there are enough of them.
    Before that all are, once they cover a week, and nothing is anomalous that lies within their range.

    Args:
        now: The number.
        history: What it was before, oldest first.
        is_anomalous: Whether a number is too far away from some others; of one other, whether it is not about the same.
        minimum: How many make a history.
    """
    daily = _is_daily([point.day for point in (*history, now)])
    seen: list[_Seen] = []
    for point in history:
        apart = point.anomalous or _held_against(point, seen, is_anomalous, minimum, daily=daily).anomalous
        entry = _Seen(point, apart)
        seen.append(entry)
        if entry.anomalous:
            _take_for_usual(seen, seen, minimum)
            if daily:
                _take_for_usual(seen, [other for other in seen if other.weekday == entry.weekday], minimum)
    return _held_against(now, seen, is_anomalous, minimum, daily=daily)


@dataclass
class _Seen:
    """An entry of the history, and whether it was anomalous when it came."""

    point: Point
    anomalous: bool = False

    @property
    def weekday(self) -> int:
        return self.point.day.weekday() if self.point.day else 0


def _held_against(now: Point, seen: Sequence[_Seen], is_anomalous: IsAnomalous, minimum: int, *, daily: bool) -> Usual:
    counting = [entry for entry in seen if not entry.anomalous]
    others = len(seen) - len(counting)
    left_out = f", {others} anomalous {'one' if others == 1 else 'ones'} left out" if others else ""
    values = tuple(entry.point.value for entry in counting)
    needed = max(minimum, _WEEK) if daily else minimum
    if daily and now.day:
        same = tuple(entry.point.value for entry in counting if entry.weekday == now.day.weekday())
        if len(same) >= minimum:
            compared = f"{len(same)} {_DAYS[now.day.weekday()]}s before it{left_out}"
            return Usual(same, is_anomalous(now.value, same), compared)
    if len(values) < needed:
        return Usual((), False, f"{_deliveries(len(values))} before it, {needed} are needed{left_out}")  # noqa: FBT003
    anomalous = is_anomalous(now.value, values)
    if anomalous and daily:
        nearest = min(max(now.value, min(values)), max(values))
        anomalous = is_anomalous(now.value, [nearest])
    return Usual(values, anomalous, f"{_deliveries(len(values))} before it{left_out}")


def _take_for_usual(seen: list[_Seen], alike: Sequence[_Seen], minimum: int) -> None:
    """Let the newest of some entries be the usual when all of them were anomalous; those before them count no more."""
    newest = alike[-minimum:]
    if len(newest) < minimum or not all(entry.anomalous for entry in newest):
        return
    forgotten = {id(entry) for entry in alike[:-minimum]}
    for entry in newest:
        entry.anomalous = False
    seen[:] = [entry for entry in seen if id(entry) not in forgotten]


def _is_daily(days: Sequence[date | None]) -> bool:
    """Whether there usually is one a day."""
    gaps = [(later - earlier).days for earlier, later in pairwise(days) if earlier and later]
    return len(gaps) == len(days) - 1 > 1 and median(gaps) == 1


def _deliveries(number: int) -> str:
    return "1 delivery" if number == 1 else f"{number} deliveries"
