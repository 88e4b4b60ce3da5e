"""Expect a number from the last ones: as they are, by their trend, by their season. Pure functions.

Each expectation is a list of numbers, as if each of the last deliveries had foretold the next one. So it can be
compared with a number as a history can: the list has a middle, and it varies as the deliveries do.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import combinations
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date

LAST: Final = 8
"""So many of the last deliveries are looked at."""
_FEWEST: Final = 4
"""With fewer numbers nothing is expected."""
_FEWEST_OF_TREND: Final = 6
"""Fewer numbers have no trend."""
_WEEK: Final = timedelta(days=7)
_DAILY: Final = 7


def predictions(
    numbers: Sequence[float],
    days: Sequence[date | None],
    day: date | None,
    *,
    weekday: int | None = None,
    season: int = 0,
    others: Mapping[date, float] | None = None,
) -> Iterator[list[float]]:
    """Yield what a number may be, as sorted lists: like the last ones, by their trend, by the season.

    Args:
        numbers: The numbers before it that count, oldest first.
        days: Their days.
        day: Its day.
        weekday: If there is one delivery a day, the weekday of that day: then only numbers of this weekday are last.
        season: After how many deliveries the season repeats: 7, 12, or 0 for none.
        others: Anomalous numbers before it that may be of the season.
    """
    if weekday is None:
        last = list(numbers[-LAST:])
    else:
        last = [number for number, on in zip(numbers, days, strict=True) if on and on.weekday() == weekday][-LAST:]
    if len(last) >= _FEWEST:
        yield sorted(last)
    if len(last) >= _FEWEST_OF_TREND:
        yield sorted(by_trend(last))
    if season and day is not None:
        last_days = [on for on in days[-LAST:] if on]
        known = {on: number for on, number in zip(days, numbers, strict=True) if on}
        known.update(others or {})
        expected = _by_season(known, last_days, day, season)
        if len(expected) >= _FEWEST:
            yield sorted(expected)


def by_trend(last: Sequence[float]) -> list[float]:
    """Move each number to the next place along the trend: the median of the slopes between all pairs (Theil-Sen)."""
    places = range(len(last))
    slope = median([(last[two] - last[one]) / (two - one) for one, two in combinations(places, 2)])
    return [number + slope * (len(last) - place) for place, number in enumerate(last)]


def _by_season(known: Mapping[date, float], last: Sequence[date], day: date, season: int) -> list[float]:
    """Add to each of the last numbers what was added between the same days a week or a year before."""
    before = _earlier(day, season)
    if before not in known:
        return []
    return [known[on] + known[before] - known[then] for on in last if (then := _earlier(on, season)) in known]


def _earlier(day: date, season: int) -> date:
    """Return the day a season before a day."""
    if season == _DAILY:
        return day - _WEEK
    try:
        return day.replace(year=day.year - 1)
    except ValueError:  # 29 February
        return day.replace(year=day.year - 1, day=28)
