"""Compute what a number usually is: robust statistics of its history, by season and trend, without anomalous entries.

Pure functions, and the same for every number: records of a delivery, statistics of a column. The caller decides which
distance is anomalous on which scale; see `anomaly`.

`compare` walks the history from its oldest entry. It compares each entry with the entries before it, exactly as it
compares the newest number. A number is anomalous if it is far from all of them, and from the last of them, and from
what their trend and their season let one expect, and if such numbers did not come on several occasions. An anomalous
entry is left out when later entries are compared.

Anomalous entries that follow each other are at a *level* if each is as far from the usual as the others. The entry that
began a level is its change. If as many entries in a row are anomalous as a history needs, they are no exception any
more: they become the usual, and only they count from then on.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from statistics import median, pvariance
from typing import TYPE_CHECKING, Final, NamedTuple

from etl_assets.watch.expected import predictions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date

    IsAnomalous = Callable[[float, Sequence[float]], bool]
    Limits = Callable[[Sequence[float]], tuple[float, float]]

_NORMAL: Final = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
_WEEK: Final = 7
_YEAR: Final = 12
_MONTHS: Final = (28, 31)
"""The fewest and the most days of a month."""
_FEW: Final = 3
"""From so many anomalous entries in a row on, another one is compared with them as with a history."""
_OCCASIONS: Final = 3
"""What came on so many occasions before is no exception."""
NEAR: Final = 0.15
"""A number is at a level if it is off by at most this share of the way to the level."""
_WEEKLY: Final = 0.3
"""Numbers repeat weekly if the weekdays explain more than this share of their variance; by chance it is a tenth."""
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
class Scale:
    """How numbers of one kind are compared.

    Attributes:
        is_far: Whether a number is too far from some others, which are sorted; for one other, whether the two are not
            about equal.
        limits: The least and the largest number that are not too far from some others, which are sorted.
        by_ratio: Whether a change of level multiplies the numbers; otherwise it adds to them.
    """

    is_far: IsAnomalous
    limits: Limits
    by_ratio: bool = False

    def distance(self, value: float, usual: float) -> float:
        """Return how far a number is from the usual one: their ratio or their difference."""
        return (value + 1) / (usual + 1) if self.by_ratio else value - usual

    def moved(self, value: float, distance: float) -> float:
        """Return a number moved by a distance."""
        return (value + 1) * distance - 1 if self.by_ratio else value + distance

    def moved_back(self, value: float, distance: float) -> float:
        """Return a number from which a distance is taken back."""
        return (value + 1) / distance - 1 if self.by_ratio else value - distance


@dataclass(frozen=True)
class Usual:
    """The history that a number was compared with, and the result.

    Attributes:
        values: The history that counts, sorted; empty when it is too short.
        anomalous: Whether the number is too far away from these values.
        compared: In words, which deliveries the values are from, or how many there are and how many are needed.
        limits: The least and the largest number that would not be anomalous; None when the history is too short. If
            there are several such ranges, the one that is next to the number.
        began: Place in the history where the level of an anomalous number began; its own place, which is the length of
            the history, if it is a change. None for a number that is not anomalous.
        settled: Place in the history where the level began that is the usual one; None if it always was.
        levels: Where each level of the last anomalous entries began, and how far it is from the usual.
    """

    values: tuple[float, ...]
    anomalous: bool
    compared: str
    limits: tuple[float, float] | None = None
    began: int | None = None
    settled: int | None = None
    levels: tuple[tuple[int, float], ...] = ()

    @property
    def centre(self) -> float:
        """The median of the history."""
        return middle(self.values)


def middle(ascending: Sequence[float]) -> float:
    """Return the median of sorted values."""
    half = len(ascending) // 2
    return ascending[half] if len(ascending) % 2 else (ascending[half - 1] + ascending[half]) / 2


def spread(ascending: Sequence[float]) -> float:
    """Return the median absolute deviation of sorted values, scaled to equal the standard deviation of normal ones."""
    centre = middle(ascending)
    return _NORMAL * middle(sorted([abs(value - centre) for value in ascending]))


def least_spread(ascending: Sequence[float]) -> float:
    """Return a number that is at most the spread of sorted values, from three of them.

    At most half of the values are nearer to the median than the nearer of the quartiles, so that the median of the
    distances is not smaller.
    """
    quarter = len(ascending) // 4
    centre = middle(ascending)
    return _NORMAL * min(centre - ascending[quarter], ascending[-1 - quarter] - centre)


def compare(now: Point, history: Sequence[Point], scale: Scale, minimum: int, *, baseline: int | None = None) -> Usual:
    """Compare a number with its history.

    If there is one delivery a day, the deliveries of the same weekday are the history, once there are enough of them.
    Before that, all deliveries are the history, once they cover a week; then no number within their range is anomalous.

    Args:
        now: The number.
        history: The earlier numbers, oldest first.
        scale: How numbers are compared.
        minimum: How many deliveries a history needs.
        baseline: Place in the history of the first entry at a level that a person accepted; None if there is none. The
            entries before it count only by how they vary, and only until there are enough at the level.
    """
    past = _Past(scale, minimum, _season([point.day for point in (*history, now)]))
    for place, point in enumerate(history):
        if place == baseline:
            past.accept([each.value for each in history[place : place + minimum]])
        past.add(point)
    if baseline == len(history):
        past.accept([now.value])
    return past.compare(now)


def compare_numbers(
    now: Point,
    numbers: Sequence[float],
    days: Sequence[date | None],
    scale: Scale,
    minimum: int,
    *,
    steady: float = 0.0,
    baseline: int | None = None,
) -> Usual:
    """Compare a number with a history of which no entry is known to be anomalous; the result is that of `compare`.

    Args:
        now: The number.
        numbers: The earlier numbers, oldest first.
        days: Their days.
        scale: As for `compare`.
        minimum: As for `compare`.
        steady: A number that is no further from the median of others is not anomalous among them.
        baseline: As for `compare`.
    """
    if baseline is None:
        past = _Past(scale, minimum, _season([*days, now.day]))
        if past.add_usual(numbers, days, steady):
            return past.compare(now)
    return compare(now, list(map(Point, numbers, days)), scale, minimum, baseline=baseline)


@dataclass(slots=True)
class _Entry:
    """An entry of the history.

    Attributes:
        point: The number.
        place: Its place in the history.
        began: Where its level began, if it was anomalous when it came; otherwise None.
        distance: How far it was from the usual, if it was anomalous.
    """

    point: Point
    place: int
    began: int | None = None
    distance: float = 0.0

    @property
    def weekday(self) -> int:
        return self.point.day.weekday() if self.point.day else 0


class _Past:
    """The entries before a number, and the values of those that count: in their order, sorted, of each weekday."""

    def __init__(self, scale: Scale, minimum: int, season: int) -> None:
        self._scale = scale
        self._minimum = minimum
        self._season = season
        self._daily = season == _WEEK
        self._needed = max(minimum, _WEEK) if self._daily else minimum
        self._added = 0
        self._entries: list[_Entry] = []
        self._numbers: list[float] = []
        self._days: list[date | None] = []
        self._usual: list[float] = []
        self._of_weekday: defaultdict[int, list[float]] = defaultdict(list)
        self._away: list[_Entry] = []
        self._occasions: list[list[Point]] = []
        self._settled: int | None = None
        self._accepted: int | None = None
        self._moved_from = 0.0

    def add_usual(self, numbers: Sequence[float], days: Sequence[date | None], steady: float) -> bool:
        """Add all entries if that is cheap and none is anomalous among those before it; return whether they are added.

        Args:
            numbers: Of the entries, oldest first.
            days: Of the entries.
            steady: A number that is no further from the median of others is not anomalous among them.
        """
        all_alike = not numbers or max(numbers) - min(numbers) <= steady
        self._added = len(numbers)
        if all_alike:
            self._numbers, self._days, self._usual = list(numbers), list(days), sorted(numbers)
            for number, day in zip(numbers, days, strict=True) if self._daily else ():
                insort(self._of_weekday[day.weekday() if day else 0], number)
            return True
        if self._daily:
            return False
        usual, needed, is_far = self._usual, self._needed, self._scale.is_far
        for place, number in enumerate(numbers):
            if place >= needed and abs(number - middle(usual)) > steady and is_far(number, usual):
                self._numbers, self._days = list(numbers[:place]), list(days[:place])
                if not self._is_expected(number, days[place]):
                    return False
            insort(usual, number)
        self._numbers, self._days = list(numbers), list(days)
        return True

    def add(self, point: Point) -> None:
        """Add the next entry, after it was compared with those before it."""
        entry = _Entry(point, self._added)
        self._added += 1
        self._entries.append(entry)
        if not point.anomalous and not self._differs(point):
            self._leave_levels()
            self._count(entry)
            return
        self._place_at_level(entry)
        self._away.append(entry)
        self._accept_as_usual(self._entries)
        if self._daily:
            self._accept_as_usual([other for other in self._entries if other.weekday == entry.weekday])

    def accept(self, values: Sequence[float]) -> None:
        """Move all entries that count to the level of some values, which a person accepted."""
        self._leave_levels()
        if not self._usual or not values:
            return
        distance = self._scale.distance(median(values), middle(self._usual))
        self._entries = [entry for entry in self._entries if entry.began is None]
        for entry in self._entries:
            entry.point = entry.point._replace(value=self._scale.moved(entry.point.value, distance))
        self._settled = self._accepted = self._added
        self._moved_from = self._scale.moved_back(median(values), distance)
        self._count_all()

    def compare(self, now: Point) -> Usual:
        """Compare a number with all entries."""
        others = sum(entry.began is not None for entry in self._entries)
        left_out = f", {others} anomalous {'one' if others == 1 else 'ones'} left out" if others else ""
        if now.day and (same_day := self._same_day(now)):
            values, compared = same_day, f"{len(same_day)} {_DAYS[now.day.weekday()]}s before it{left_out}"
        else:
            values, compared = self._usual, f"{_deliveries(len(self._usual))} before it{left_out}"
            if len(values) < self._needed:
                compared = f"{_deliveries(len(values))} before it, {self._needed} are needed{left_out}"
                return Usual((), False, compared)  # noqa: FBT003
        if not self._differs(now):
            return Usual(tuple(values), False, compared, self._limits(now), settled=self._settled)  # noqa: FBT003
        entry = _Entry(now, self._added)
        self._place_at_level(entry)
        levels = tuple((began, median(distances)) for began, distances in self._levels().items())
        return Usual(tuple(values), True, compared, self._limits(now), entry.began, levels=levels)  # noqa: FBT003

    def _differs(self, point: Point) -> bool:
        """Return whether a number is anomalous among the entries so far."""
        usual: Sequence[float] = self._usual
        is_far = self._scale.is_far
        if same_day := self._same_day(point):
            if not is_far(point.value, same_day):
                return False
            if not is_far(point.value, usual) and not self._repeats_weekly():
                return False
            usual = same_day
        elif len(usual) < self._needed or not is_far(point.value, usual):
            return False
        if usual is self._usual and self._daily:
            nearest = min(max(point.value, usual[0]), usual[-1])
            if not is_far(point.value, [nearest]):
                return False
        if self._accepted is not None and _is_near(point.value, middle(usual), self._moved_from):
            return False
        return not self._is_expected(point.value, point.day) and not self._recurs(point, usual)

    def _repeats_weekly(self) -> bool:
        """Return whether the weekdays explain a good part of how the entries vary."""
        total = len(self._usual) * pvariance(self._usual)
        within = sum(len(day) * pvariance(day) for day in self._of_weekday.values() if day)
        return total - within > _WEEKLY * total

    def _recurs(self, point: Point, usual: Sequence[float]) -> bool:
        """Return whether such numbers came before, on several occasions with usual ones between.

        They are on the same side, and as far from the usual as one of them was, or about as far as they use to be.
        """
        value, side = point.value, 1 if point.value > middle(usual) else -1
        season = point.day.weekday() if point.day and usual is not self._usual else None
        peaks = []
        for occasion in self._occasions:
            values = [
                other.value
                for other in occasion
                if side * (other.value - middle(usual)) > 0
                and (season is None or (other.day and other.day.weekday() == season))
            ]
            peaks += [max(values, key=lambda other: side * other)] if values else []
        low, high = self._scale.limits(usual)
        peaks += [other for other in usual if not low <= other <= high and side * (other - middle(usual)) > 0]
        if len(peaks) < _OCCASIONS:
            return sum(side * (other - value) >= 0 for other in (*usual, *peaks)) >= _OCCASIONS
        return max(side * other for other in peaks) >= side * value or not self._scale.is_far(value, sorted(peaks))

    def _is_expected(self, value: float, day: date | None) -> bool:
        """Return whether a number is near to what the last entries, their trend or the season let one expect."""
        return any(not self._scale.is_far(value, expected) for expected in self._expected(day))

    def _expected(self, day: date | None) -> Iterator[list[float]]:
        if len(self._numbers) >= self._needed:
            weekday = day.weekday() if self._daily and day else None
            away = self._entries if self._season == _YEAR else ()
            others = {
                entry.point.day: entry.point.value for entry in away if entry.began is not None and entry.point.day
            }
            yield from predictions(self._numbers, self._days, day, weekday=weekday, season=self._season, others=others)

    def _limits(self, now: Point) -> tuple[float, float]:
        """Return the limits that decided: those within which a number is, or the ones that are next to it."""
        values = self._same_day(now) or self._usual
        best = self._scale.limits(values)
        if self._daily and values is self._usual:
            best = min(best[0], self._scale.limits([values[0]])[0]), max(best[1], self._scale.limits([values[-1]])[1])
        missed = _missed(now.value, best)
        if missed:
            for expected in self._expected(now.day):
                limits = self._scale.limits(expected)
                if (other := _missed(now.value, limits)) < missed:
                    best, missed = limits, other
        return best

    def _place_at_level(self, entry: _Entry) -> None:
        """Enter where the level of an anomalous entry began: at an earlier one as far from the usual, or here."""
        usual = self._same_day(entry.point) or self._usual
        entry.began = entry.place
        if not usual:
            return
        value, scale = entry.point.value, self._scale
        entry.distance = scale.distance(value, middle(usual))
        for began, distances in reversed(self._levels().items()):
            distance = median(distances)
            if _is_near(value, scale.moved(middle(usual), distance), middle(usual)) or not scale.is_far(
                scale.moved_back(value, distance), usual
            ):
                entry.began = began
                return
        if len(self._away) >= _FEW and not scale.is_far(value, sorted(other.point.value for other in self._away)):
            entry.began = self._away[-1].began

    def _leave_levels(self) -> None:
        """Let the last anomalous entries be an occasion of the past."""
        if self._away:
            self._occasions.append([entry.point for entry in self._away])
            self._away.clear()

    def _levels(self) -> dict[int, list[float]]:
        """Return how far the last anomalous entries are from the usual, by where their level began."""
        levels: dict[int, list[float]] = {}
        for entry in self._away:
            levels.setdefault(entry.began or 0, []).append(entry.distance)
        return levels

    def _same_day(self, point: Point) -> Sequence[float]:
        """Return the values of the same weekday; none if there are too few of them, or there is not one each day."""
        if not self._daily or point.day is None:
            return ()
        values = self._of_weekday[point.day.weekday()]
        return values if len(values) >= self._minimum else ()

    def _count(self, entry: _Entry) -> None:
        self._numbers.append(entry.point.value)
        self._days.append(entry.point.day)
        insort(self._usual, entry.point.value)
        if self._daily:
            insort(self._of_weekday[entry.weekday], entry.point.value)
        if self._accepted is not None:
            self._forget_before_accepted()

    def _forget_before_accepted(self) -> None:
        """Forget the entries before the accepted level once there are enough at it."""
        accepted = self._accepted or 0
        if sum(entry.place >= accepted and entry.began is None for entry in self._entries) < self._minimum:
            return
        self._entries = [entry for entry in self._entries if entry.place >= accepted]
        self._accepted = None
        self._count_all()

    def _count_all(self) -> None:
        usual = [entry for entry in self._entries if entry.began is None]
        self._numbers = [entry.point.value for entry in usual]
        self._days = [entry.point.day for entry in usual]
        self._usual = sorted(self._numbers)
        self._of_weekday.clear()
        for entry in usual if self._daily else ():
            insort(self._of_weekday[entry.weekday], entry.point.value)

    def _accept_as_usual(self, season: Sequence[_Entry]) -> None:
        """If the newest entries of a season were all anomalous, make them the usual and forget those before them."""
        newest = season[-self._minimum :]
        if len(newest) < self._minimum or any(entry.began is None for entry in newest):
            return
        self._settled = newest[-1].began
        forgotten = {id(entry) for entry in season[: -self._minimum]}
        for entry in newest:
            entry.began = None
        self._entries = [entry for entry in self._entries if id(entry) not in forgotten]
        self._away = [entry for entry in self._away if entry.began is not None]
        self._count_all()


def _season(days: Sequence[date | None]) -> int:
    """Return after how many deliveries the season repeats: 7 of one a day, 12 of one a month, 0 of any others."""
    if None in days:
        return 0
    gaps = [(later - earlier).days for earlier, later in pairwise(days) if earlier and later]
    if len(gaps) != len(days) - 1 or len(gaps) <= 1:
        return 0
    gap = median(gaps)
    return _WEEK if gap == 1 else _YEAR if _MONTHS[0] <= gap <= _MONTHS[1] else 0


def _is_near(value: float, level: float, usual: float) -> bool:
    """Whether a number is at a level, by how far that is from the usual: large numbers vary more."""
    return abs(value - level) <= NEAR * abs(level - usual)


def _missed(value: float, limits: tuple[float, float]) -> float:
    """Return by how much a number is beyond limits; 0.0 if it is within them."""
    return max(limits[0] - value, value - limits[1], 0.0)


def _deliveries(number: int) -> str:
    return "1 delivery" if number == 1 else f"{number} deliveries"
