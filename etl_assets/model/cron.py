"""The syntax of cron expressions: five fields of numbers, names, ranges, steps and lists.

It is the part of Dagster's syntax that has one meaning. ``graph.triggers`` makes schedules of the expressions.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

PART: Final = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[1-9]\d*))?", re.ASCII)
ONE_WEEKDAY: Final = re.compile(r"(?:[0-7]|sun|mon|tue|wed|thu|fri|sat)#[1-5]|l[0-7]")
"""A certain weekday of each month: ``mon#1`` is the first Monday, ``L5`` the last Friday."""
LAST_DAY: Final = "l"
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""The most days that each month has."""


class Field(NamedTuple):
    """One of the five fields: its name, the numbers that it may have, and names for them."""

    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()

    def number(self, text: str) -> int:
        """Return the number of a text; one below the first if it has none."""
        if text in self.names:
            return self.first + self.names.index(text)
        return int(text) if text.isdecimal() and self.first <= int(text) <= self.last else self.first - 1

    def numbers(self, text: str) -> set[int]:
        """Return the numbers that a field lists, without regard to steps; none if it is not valid."""
        numbers: set[int] = set()
        for part in text.split(","):
            match = PART.fullmatch(part)
            if match is None or int(match["step"] or 1) > self.last:
                return set()
            first = self.number(match["first"]) if match["first"] else self.first
            last = self.number(match["last"]) if match["last"] else (first if match["first"] else self.last)
            if min(first, last) < self.first:
                return set()
            every = range(self.first, self.last + 1)
            numbers.update(n for n in every if (first <= n <= last if first <= last else n >= first or n <= last))
        return numbers


FIELDS: Final = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of the month", 1, 31),
    Field("month", 1, 12, _MONTHS),
    Field("day of the week", 0, 7, WEEKDAYS),
)


def problem_of(expression: str) -> str | None:
    """Return what is wrong with a cron expression, as a clause; None if nothing is."""
    texts = expression.lower().split()
    if len(texts) != len(FIELDS):
        return f"has {len(texts)} fields, not five"
    listed = [field.numbers(text) for field, text in zip(FIELDS, texts, strict=True)]
    if texts[2] == LAST_DAY:
        listed[2] = {1}
    if texts[2] == "*" and ONE_WEEKDAY.fullmatch(texts[4]):
        listed[4] = {0}
    for field, text, numbers in zip(FIELDS, texts, listed, strict=True):
        if not numbers:
            return f"has {text!r} as the {field.name}"
    if all(day > _DAYS[month - 1] for day in listed[2] for month in listed[3]):
        return "names a day that its months do not have"
    return None
