"""What a number format shows: a date, a time, a percentage, a code with leading zeros, or a number."""

from __future__ import annotations

import re
from typing import Final

NUMBER: Final = "number"
PERCENT: Final = "percent"
DATE: Final = "date"
DATE_TIME: Final = "datetime"
TIME: Final = "time"
DURATION: Final = "duration"
ZEROS: Final = "zeros"
"""Followed by the number of digits: ``zeros5`` for the format ``00000``."""
BUILT_IN: Final[dict[int, str]] = {
    **dict.fromkeys((9, 10), PERCENT),
    **dict.fromkeys((14, 15, 16, 17, *range(27, 32), 34, 35, 36, *range(50, 59)), DATE),
    **dict.fromkeys((18, 19, 20, 21, 32, 33, 45, 47), TIME),
    22: DATE_TIME,
    46: DURATION,
}
"""The kinds of the formats that a workbook does not spell out, by number. All others show numbers."""
_LITERALS: Final = re.compile(r'"[^"]*"?|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]|general|am/pm|a/p', re.IGNORECASE)
_MINUTES: Final = re.compile(r"(?<=h)[^a-z]*m+|m+(?=[^a-z]*s)")


def kind_of(code: str) -> str:
    """Return the kind of value that a number format shows, by the section for positive numbers."""
    section = _LITERALS.sub("", code).partition(";")[0].lower()
    if re.search(r"\[[hms]+\]", section):
        return DURATION
    if re.search(r"[0#?.]e[+-]", section):
        return NUMBER
    if "%" in section:
        return PERCENT
    if re.fullmatch("0{2,}", section):
        return f"{ZEROS}{len(section)}"
    has_time = "h" in section or "s" in section
    rest = _MINUTES.sub("", section) if has_time else section
    has_date = any(letter in rest for letter in "ydmgeb")
    if has_date:
        return DATE_TIME if has_time else DATE
    return TIME if has_time else NUMBER
