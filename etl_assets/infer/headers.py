"""Replaces the header of delimited text whose names cannot be read: reserved, twice, or several missing."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from etl_assets.errors import DeclarationError
from etl_assets.model.text import quoted
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.extract.formats.csv import Csv

_NUMBER: Final = re.compile(r"[+-]?[0-9]*[.,]?[0-9]+")
_MOST_SHOWN: Final = 3


def with_own_names(format_: Csv, lines: Sequence[str]) -> Csv:
    """Return a dialect with names for the columns, if those of its header cannot be read; else the dialect itself.

    Args:
        format_: With a header.
        lines: The first lines of the file.
    """
    place = _place_of_header(format_, lines)
    fields = [] if place is None or not any(lines[place + 1 :]) else _fields(lines[place], format_)
    if place is None or not _unreadable(fields):
        return format_
    try:
        if any(map(_NUMBER.fullmatch, fields)):
            return replace(format_, header=tuple(f"column_{number}" for number in range(1, len(fields) + 1)))
        return replace(format_, header=_different(fields), skip_lines=place + 1)
    except DeclarationError:
        return format_


def names_in_doubt(format_: Csv, lines: Sequence[str]) -> str:
    """Return why a dialect of `with_own_names` has names.

    Args:
        format_: The dialect.
        lines: The first lines of the file.
    """
    fields = _fields(lines[format_.skip_lines - 1], format_) if format_.skip_lines else []
    if not (names := _unreadable(fields)):
        return "the first record has values and no names: name the columns"
    if names == [""]:
        problem = "several columns have no name in the header"
    else:
        shown = " and ".join(map(quoted, names[:_MOST_SHOWN]))
        problem = f"the name {shown} {'is reserved' if names == [RECORD_NO] else 'occurs twice in the header'}"
    return f"{problem}, so that header=(…) names the columns: are these names right?"


def _place_of_header(format_: Csv, lines: Sequence[str]) -> int | None:
    for place, line in enumerate(lines[format_.skip_lines :], start=format_.skip_lines):
        if line.strip() and not (format_.comment and line.startswith(format_.comment)):
            return place
    return None


def _fields(line: str, format_: Csv) -> list[str]:
    """Return the fields of a line that begins and ends a record."""
    if len(format_.delimiter) > 1 or format_.quote is None:
        return line.split(format_.delimiter)
    reader = csv.reader([line], delimiter=format_.delimiter, quotechar=format_.quote, escapechar=format_.escape)
    try:
        return next(reader, [])
    except csv.Error:
        return []


def _unreadable(fields: Sequence[str]) -> list[str]:
    """Return the names that occur twice, ``""`` if several are missing, and the one that is reserved."""
    return [name for name, count in Counter(fields).items() if count > 1 or name == RECORD_NO]


def _different(fields: Sequence[str]) -> tuple[str, ...]:
    """Return a different name for each field: with a number where one is taken, empty or reserved."""
    names: list[str] = []
    taken = {*fields, "", RECORD_NO}
    for number, field in enumerate(fields, start=1):
        name = field if field not in {*names, "", RECORD_NO} else f"{field.strip('_') or 'column'}_{number}"
        while name != field and name in taken:
            name += "_"
        names.append(name)
        taken.add(name)
    return tuple(names)
