"""The times that a cron expression names: the last one before a moment, and the next one after it.

Dagster ticks at the same times; a time that the clock skips in spring, or has twice in autumn, may be an hour away.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from etl_assets.model.cron import FIELDS, LAST_DAY, ONE_WEEKDAY, PART, WEEKDAYS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from etl_assets.model.trigger import Cron

_MOST_DAYS: Final = 9 * 366
"""29 February is at most eight years away."""
_WEEK: Final = 7
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class CronTimes:
    """The times of a trigger.

    Attributes:
        trigger: The trigger; its expression is valid.
    """

    trigger: Cron

    def before(self, at: datetime) -> datetime:
        """Return the last time at or before a moment, in UTC."""
        return max(time for time in self._near(at, -_DAY) if time <= at)

    def after(self, at: datetime) -> datetime:
        """Return the first time after a moment, in UTC."""
        return min(time for time in self._near(at, _DAY) if time > at)

    def _near(self, at: datetime, step: timedelta) -> Iterator[datetime]:
        """Yield the times of the nearest days that have any, in one direction: of two, since the first may not count.

        Args:
            at: The moment.
            step: A day, forwards or backwards.
        """
        zone = ZoneInfo(self.trigger.zone)
        minutes, hours = (_numbers(place, self._fields[place]) for place in range(2))
        day, days = at.astimezone(zone).date(), 0
        for _ in range(_MOST_DAYS):
            if self._names(day):
                days += 1
                for hour in hours:
                    for minute in minutes:
                        yield datetime.combine(day, time(hour, minute), zone).astimezone(UTC)
            if days == 2:  # noqa: PLR2004 -- see above
                return
            day += step

    @property
    def _fields(self) -> list[str]:
        return self.trigger.expression.lower().split()

    def _names(self, day: date) -> bool:
        """Return whether a day is one of the expression's."""
        _, _, of_month, month, of_week = self._fields
        if day.month not in _numbers(3, month):
            return False
        by_month, by_week = _is_day(of_month, day), _is_weekday(of_week, day)
        either = not (_is_every(2, of_month) or _is_every(4, of_week))
        return by_month or by_week if either else by_month and by_week


def _is_day(text: str, day: date) -> bool:
    if text == LAST_DAY:
        return day.day == monthrange(day.year, day.month)[1]
    return day.day in _numbers(2, text)


def _is_weekday(text: str, day: date) -> bool:
    if not ONE_WEEKDAY.fullmatch(text):
        return day.isoweekday() % _WEEK in {number % _WEEK for number in _numbers(4, text)}
    if text.startswith(LAST_DAY):
        last = monthrange(day.year, day.month)[1] - day.day < _WEEK
        return last and day.isoweekday() % _WEEK == int(text[1:]) % _WEEK
    name, _, place = text.partition("#")
    number = WEEKDAYS.index(name) if name in WEEKDAYS else int(name) % _WEEK
    return day.isoweekday() % _WEEK == number and (day.day - 1) // _WEEK + 1 == int(place)


def _is_every(place: int, text: str) -> bool:
    """Return whether a field names every day."""
    field = FIELDS[place]
    return "*" in text and len(_numbers(place, text)) == field.last - field.first + 1


def _numbers(place: int, text: str) -> tuple[int, ...]:
    """Return the numbers of a field, ascending; none if it names a day in another way."""
    field = FIELDS[place]
    numbers: set[int] = set()
    for part in text.split(","):
        match = PART.fullmatch(part)
        if match is None:
            return ()
        every = list(range(field.first, field.last + 1))
        if match["first"]:
            first = field.number(match["first"])
            last = field.number(match["last"]) if match["last"] else (field.last if match["step"] else first)
            start = every.index(first)
            every = [*every[start:], *every[:start]]  # a range may go round: fri-mon
            every = every[: every.index(last) + 1]
        numbers.update(every[:: int(match["step"] or 1)])
    return tuple(sorted(numbers))
