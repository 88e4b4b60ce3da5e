"""Compute what a number usually is: robust statistics of its history, by weekday, without anomalous entries.

Pure functions, and the same for every number: records of a delivery, statistics of a column. The caller decides which
distance is anomalous on which scale; see `anomaly`.

`compare` walks the history from its oldest entry. It compares each entry with the entries before it, exactly as it
compares the newest number. An anomalous entry is left out when later entries are compared. But if as many entries in a
row are anomalous as a history needs, they are no exception any more: they become the usual, and only they count from
then on. So a fault that comes twice is found twice, and a lasting change is reported a few times and then accepted.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    IsAnomalous = Callable[[float, Sequence[float]], bool]

_NORMAL: Final = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
_WEEK: Final = 7
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Point(NamedTuple):
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
        values: The history that counts, sorted; empty when it is too short.
        anomalous: Whether the number is too far away from these values.
        compared: In words, which deliveries the values are from, or how many there are and how many are needed.
    """

    values: tuple[float, ...]
    anomalous: bool
    compared: str

    @property
    def centre(self) -> float:
        """The median of the history."""
        return middle(self.values)


def middle(ascending: Sequence[float]) -> float:
    """Return the median of sorted values."""
    half = len(ascending) // 2
    return ascending[half] if len(ascending) % 2 else (ascending[half - 1] + ascending[half]) / 2


def spread(values: Sequence[float]) -> float:
    """Return the median absolute deviation, scaled to equal the standard deviation of normally distributed values."""
    centre = median(values)
    return _NORMAL * middle(sorted([abs(value - centre) for value in values]))


def least_spread(ascending: Sequence[float]) -> float:
    """Return a number that is at most the spread of sorted values, from three of them.

    At most half of the values are nearer to the median than the nearer of the quartiles, so that the median of the
    distances is not smaller.
    """
    quarter = len(ascending) // 4
    centre = middle(ascending)
    return _NORMAL * min(centre - ascending[quarter], ascending[-1 - quarter] - centre)


def compare(now: Point, history: Sequence[Point], is_anomalous: IsAnomalous, minimum: int) -> Usual:
    """Compare a number with its history.

    If there is one delivery a day, the deliveries of the same weekday are the history, once there are enough of them.
    Before that, all deliveries are the history, once they cover a week; then no number within their range is anomalous.

    Args:
        now: The number.
        history: The earlier numbers, oldest first.
        is_anomalous: Whether a number is too far from some others, which are sorted; for one other, whether the two are
            not about equal.
        minimum: How many deliveries a history needs.
    """
    past = _Past(is_anomalous, minimum, daily=_is_daily([point.day for point in (*history, now)]))
    for point in history:
        past.add(point)
    return past.compare(now)


def compare_numbers(
    now: Point,
    numbers: Sequence[float],
    days: Sequence[date | None],
    is_anomalous: IsAnomalous,
    minimum: int,
    *,
    steady: float = 0.0,
) -> Usual:
    """Compare a number with a history of which no entry is known to be anomalous; the result is that of `compare`.

    Args:
        now: The number.
        numbers: The earlier numbers, oldest first.
        days: Their days.
        is_anomalous: As for `compare`.
        minimum: As for `compare`.
        steady: A number that is no further from the median of others is not anomalous among them.
    """
    past = _Past(is_anomalous, minimum, daily=_is_daily([*days, now.day]))
    if past.add_usual(numbers, days, steady):
        return past.compare(now)
    return compare(now, list(map(Point, numbers, days)), is_anomalous, minimum)


@dataclass(slots=True)
class _Entry:
    """An entry of the history, and whether it was anomalous when it came."""

    point: Point
    anomalous: bool = False

    @property
    def weekday(self) -> int:
        return self.point.day.weekday() if self.point.day else 0


class _Past:
    """The entries before a number, and the values of those that count, sorted: all, and those of each weekday."""

    def __init__(self, is_anomalous: IsAnomalous, minimum: int, *, daily: bool) -> None:
        self._is_anomalous = is_anomalous
        self._minimum = minimum
        self._daily = daily
        self._needed = max(minimum, _WEEK) if daily else minimum
        self._entries: list[_Entry] = []
        self._usual: list[float] = []
        self._of_weekday: defaultdict[int, list[float]] = defaultdict(list)

    def add_usual(self, numbers: Sequence[float], days: Sequence[date | None], steady: float) -> bool:
        """Add all entries if that is cheap and none is anomalous among those before it; return whether they are added.

        Args:
            numbers: Of the entries, oldest first.
            days: Of the entries.
            steady: A number that is no further from the median of others is not anomalous among them.
        """
        all_alike = not numbers or max(numbers) - min(numbers) <= steady
        if self._daily:
            if all_alike:
                self._entries = [_Entry(Point(*each)) for each in zip(numbers, days, strict=True)]
                self._count_all()
            return all_alike
        if all_alike:
            self._usual = sorted(numbers)
            return True
        usual, needed = self._usual, self._needed
        for place, number in enumerate(numbers):
            if place >= needed and abs(number - middle(usual)) > steady and self._is_anomalous(number, usual):
                return False
            insort(usual, number)
        return True

    def add(self, point: Point) -> None:
        """Add the next entry, after it was compared with those before it."""
        entry = _Entry(point, point.anomalous or self._differs(point))
        self._entries.append(entry)
        if not entry.anomalous:
            self._count(entry)
            return
        self._accept_as_usual(self._entries)
        if self._daily:
            self._accept_as_usual([other for other in self._entries if other.weekday == entry.weekday])

    def compare(self, now: Point) -> Usual:
        """Compare a number with all entries."""
        others = len(self._entries) - len(self._usual) if self._entries else 0
        left_out = f", {others} anomalous {'one' if others == 1 else 'ones'} left out" if others else ""
        if now.day and (same_day := self._same_day(now)):
            compared = f"{len(same_day)} {_DAYS[now.day.weekday()]}s before it{left_out}"
            return Usual(tuple(same_day), self._differs(now), compared)
        values = tuple(self._usual)
        if len(values) < self._needed:
            compared = f"{_deliveries(len(values))} before it, {self._needed} are needed{left_out}"
            return Usual((), False, compared)  # noqa: FBT003
        return Usual(values, self._differs(now), f"{_deliveries(len(values))} before it{left_out}")

    def _differs(self, point: Point) -> bool:
        """Return whether a number is anomalous among the entries so far."""
        if same_day := self._same_day(point):
            return self._is_anomalous(point.value, same_day)
        usual = self._usual
        if len(usual) < self._needed or not self._is_anomalous(point.value, usual):
            return False
        return not self._daily or self._is_anomalous(point.value, [min(max(point.value, usual[0]), usual[-1])])

    def _same_day(self, point: Point) -> Sequence[float]:
        """Return the values of the same weekday; none if there are too few of them, or there is not one each day."""
        if not self._daily or point.day is None:
            return ()
        values = self._of_weekday[point.day.weekday()]
        return values if len(values) >= self._minimum else ()

    def _count(self, entry: _Entry) -> None:
        insort(self._usual, entry.point.value)
        if self._daily:
            insort(self._of_weekday[entry.weekday], entry.point.value)

    def _count_all(self) -> None:
        usual = [entry for entry in self._entries if not entry.anomalous]
        self._usual = sorted(entry.point.value for entry in usual)
        self._of_weekday.clear()
        for entry in usual if self._daily else ():
            insort(self._of_weekday[entry.weekday], entry.point.value)

    def _accept_as_usual(self, season: Sequence[_Entry]) -> None:
        """If the newest entries of a season were all anomalous, make them the usual and forget those before them."""
        newest = season[-self._minimum :]
        if len(newest) < self._minimum or not all(entry.anomalous for entry in newest):
            return
        forgotten = {id(entry) for entry in season[: -self._minimum]}
        for entry in newest:
            entry.anomalous = False
        self._entries = [entry for entry in self._entries if id(entry) not in forgotten]
        self._count_all()


def _is_daily(days: Sequence[date | None]) -> bool:
    """Whether there usually is one delivery a day."""
    if None in days:
        return False
    gaps = [(later - earlier).days for earlier, later in pairwise(days) if earlier and later]
    return len(gaps) == len(days) - 1 > 1 and median(gaps) == 1


def _deliveries(number: int) -> str:
    return "1 delivery" if number == 1 else f"{number} deliveries"
