"""Formats of dates, timestamps and times: their directives, and the check that a format is sound."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from etl_assets.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Iterator

DIRECTIVES: Final[dict[str, str]] = {
    "%Y": r"[0-9]{4}",
    "%y": r"[0-9]{2}",
    "%m": r"(?:0[1-9]|1[0-2])",
    "%-m": r"(?:0?[1-9]|1[0-2])",
    "%d": r"(?:0[1-9]|[12][0-9]|3[01])",
    "%-d": r"(?:0?[1-9]|[12][0-9]|3[01])",
    "%H": r"(?:[01][0-9]|2[0-3])",
    "%-H": r"(?:[01]?[0-9]|2[0-3])",
    "%I": r"(?:0[1-9]|1[0-2])",
    "%-I": r"(?:0?[1-9]|1[0-2])",
    "%p": r"(?:AM|PM|am|pm)",
    "%M": r"[0-5][0-9]",
    "%S": r"[0-5][0-9]",
    "%f": r"[0-9]{1,6}",
    "%z": r"(?:Z|[+-][0-9]{2}:?[0-9]{2})",
    "%b": r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)",
    "%B": r"(?:January|February|March|April|May|June|July|August|September|October|November|December)",
    "%%": "%",
}
"""The directives of a format, each with the regular expression that it matches: ``%m`` two digits, ``%-m`` one or two,
``%S`` never 60, ``%H`` never 24, ``%f`` one to six digits, after a point that is written in the format."""

PARTS: Final = {
    "%Y": "year",
    "%y": "short_year",
    "%m": "month",
    "%-m": "month",
    "%b": "month_name",
    "%B": "month_name",
    "%d": "day",
    "%-d": "day",
    "%H": "hour",
    "%-H": "hour",
    "%I": "half_hour",
    "%-I": "half_hour",
    "%p": "half",
    "%M": "minute",
    "%S": "second",
    "%f": "fraction",
    "%z": "offset",
}
"""The part of a date or time that each directive other than ``%%`` stands for."""
DEFAULT_FORMATS: Final[dict[str, tuple[str, ...]]] = {
    "date": ("%Y-%m-%d",),
    "timestamp": ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"),
    "time": ("%H:%M:%S",),
}
_MEANINGS: Final = {"short_year": "year", "month_name": "month", "half_hour": "hour"}
_REMEDY: Final = "Name every part of it exactly once"


def directives(format_: str) -> Iterator[str]:
    """Split a format into directives and literal characters.

    Args:
        format_: A declared format, e.g. ``%-m/%-d/%y %H:%M``.

    Yields:
        Each complete directive (``%-m``), and each other character by itself.
    """
    for match in re.finditer(r"%-?.|.", format_, re.DOTALL):
        yield match.group()


def check_format(format_: str, type_: str, where: str) -> None:
    """Raise a `DeclarationError` unless a format has every part of a date, timestamp or time exactly once."""
    parts = set(directives(format_))
    if unknown := sorted(part for part in parts if part[0] == "%" and part not in DIRECTIVES):
        raise DeclarationError(
            where, "formats", f"contains {unknown[0]}, which is unknown", f"Use {' '.join(DIRECTIVES)}"
        )
    day = bool(parts & {"%Y", "%y"}) and bool(parts & {"%m", "%-m", "%b", "%B"}) and bool(parts & {"%d", "%-d"})
    hour = bool(parts & {"%H", "%-H"}) or (bool(parts & {"%I", "%-I"}) and "%p" in parts)
    clock = bool(parts & {"%H", "%-H", "%I", "%-I", "%M", "%S", "%f", "%p", "%z"})
    sound = {"date": day and not clock, "time": hour and not day, "timestamp": day and (hour or not clock)}
    if not sound[type_]:
        raise DeclarationError(where, "formats", f"{format_!r} does not describe a {type_}", _REMEDY)
    if (problem := _ambiguity(format_)) is not None:
        raise DeclarationError(where, "formats", f"{format_!r} {problem}", _REMEDY)
    if type_ == "time" and "%z" in parts:
        raise DeclarationError(where, "formats", f"{format_!r} has an offset, a time has none", "Remove %z")


def _ambiguity(format_: str) -> str | None:
    """Return which part a format names twice or without effect, as a text; None when it is sound."""
    named: set[str] = set()
    for part in directives(format_):
        if part in PARTS:
            meaning = _MEANINGS.get(PARTS[part], PARTS[part])
            if meaning in named:
                return f"names the {meaning} twice"
            named.add(meaning)
    parts = set(directives(format_))
    if "%p" in parts and not parts & {"%I", "%-I"}:
        return "has %p, which has a meaning only with %I"
    return None
