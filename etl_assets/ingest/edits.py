"""Makes the values of many corrections from what was published: texts, replacements, and dates written otherwise.

An edit is a function of the published record alone. So the same edits, made again, have effect once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Final

from etl_assets.model.text import nearest_text
from etl_assets.schema.date_formats import DIRECTIVES, PARTS, directives

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from etl_assets.schema import Schema

_PLACE: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_SAME: Final = {"short_year": "year", "month_name": "month"}
_PYTHON: Final = {"%-m": "%m", "%-d": "%d", "%-H": "%H", "%-I": "%I"}


@dataclass(frozen=True)
class SetText:
    """Enters a text, in which ``{COLUMN}`` is the published value of a column."""

    column: str
    text: str

    def new_value(self, former: str | None, published: Callable[[str], str | None]) -> str | None:  # noqa: ARG002
        """Return the new value; see `edited`."""

        def value(match: re.Match[str]) -> str:
            if match[0] in {"{{", "}}"}:
                return match[0][0]
            if match[1] is None:
                raise ValueError(f"a single {match[0]!r} is neither a column nor a brace: write {match[0] * 2}")
            return published(match[1]) or ""

        return _PLACE.sub(value, self.text)


@dataclass(frozen=True)
class SetNull:
    """Enters that a column has no value."""

    column: str

    def new_value(self, former: str | None, published: Callable[[str], str | None]) -> None:
        """Return None; see `edited`."""


@dataclass(frozen=True)
class Strip:
    """Removes some characters at both ends of a value."""

    column: str
    characters: str

    def new_value(self, former: str | None, published: Callable[[str], str | None]) -> str | None:  # noqa: ARG002
        """Return the new value; see `edited`."""
        return None if former is None else former.strip(self.characters)


@dataclass(frozen=True)
class Replace:
    """Replaces every occurrence of a text in a value."""

    column: str
    old: str
    new: str

    def new_value(self, former: str | None, published: Callable[[str], str | None]) -> str | None:  # noqa: ARG002
        """Return the new value; see `edited`."""
        return None if former is None else former.replace(self.old, self.new)


@dataclass(frozen=True)
class Redate:
    """Writes a date or time in another format.

    Attributes:
        column: The column.
        format: As it is published, with the directives of a declaration: ``%d.%m.%Y``.
        new_format: As it should be.
    """

    column: str
    format: str
    new_format: str

    def new_value(self, former: str | None, published: Callable[[str], str | None]) -> str | None:  # noqa: ARG002
        """Return the new value; see `edited`.

        Raises:
            ValueError: If the value is not written in the format, or is no date.
        """
        if former is None:
            return None
        pattern, python = _readers(self.format)
        if pattern.fullmatch(former) is None:
            raise ValueError(f"{self.column} is not written as {self.format}")
        try:
            moment = datetime.strptime(former, python)  # noqa: DTZ007 -- its parts are written again, whatever zone
        except ValueError:
            raise ValueError(f"{self.column} is no date or time") from None
        parts = directives(self.new_format)
        return "".join(f"{moment.year:04d}" if part == "%Y" else moment.strftime(part) for part in parts)


Edit = SetText | SetNull | Strip | Replace | Redate


def check(edits: Iterable[Edit], schema: Schema) -> None:
    """Raise ValueError unless edits are of published columns, and their texts and formats can be read."""
    names = {name for column in schema.published for name in (column.name, *column.published_names)}
    for edit in edits:
        if edit.column not in names:
            hint = nearest_text(edit.column, names)
            raise ValueError(f"{edit.column!r} is neither a column nor a name that is published{hint}")
        if isinstance(edit, SetText):
            edit.new_value(None, lambda name: _known(name, names))
        if isinstance(edit, Redate):
            _check_formats(edit)


def _check_formats(edit: Redate) -> None:
    for format_ in (edit.format, edit.new_format):
        if unknown := [part for part in directives(format_) if part[0] == "%" and part not in DIRECTIVES]:
            raise ValueError(f"{unknown[0]!r} is no directive of a date; there are {' '.join(DIRECTIVES)}")
    lacking = _parts(edit.new_format) - _parts(edit.format)
    if lacking:
        raise ValueError(f"{edit.new_format!r} has the {min(lacking)}, which {edit.format!r} has not")


def _parts(format_: str) -> set[str]:
    """Return the parts of a date or time that a format has; of two ways to write a part, it is the same."""
    found = {PARTS[part] for part in directives(format_) if part in PARTS}
    if "half_hour" in found and "half" in found:
        found |= {"hour"}
    if "hour" in found:
        found |= {"half_hour", "half"}
    return {_SAME.get(part, part) for part in found}


def _known(name: str, names: set[str]) -> str:
    if name not in names:
        raise ValueError(f"{{{name}}} is neither a column nor a name that is published; write {{{{ for a brace")
    return ""


def edited(edits: Iterable[Edit], fields: Mapping[str, str | None], schema: Schema) -> dict[str, str | None]:
    """Return the values that edits give to the columns of a record, made from what was published of it.

    Args:
        edits: Several of one column are made one after the other, each from what the one before made.
        fields: What was published.
        schema: Has the names under which columns are published.

    Raises:
        ValueError: If a value cannot be made. The text has no value of the record.
    """
    aliases = {name: column.published_names for column in schema.published for name in column.published_names}
    aliases |= {column.name: column.published_names for column in schema.published}

    def published(name: str) -> str | None:
        present = [name, *aliases.get(name, ())]
        return next((fields[alias] for alias in present if alias in fields), None)

    values: dict[str, str | None] = {}
    for edit in edits:
        former = values[edit.column] if edit.column in values else published(edit.column)
        values[edit.column] = edit.new_value(former, published)
    return values


@cache
def _readers(format_: str) -> tuple[re.Pattern[str], str]:
    """Return the pattern of what is written in a format, and the format as Python reads it."""
    parts = list(directives(format_))
    pattern = re.compile("".join(DIRECTIVES.get(part, re.escape(part)) for part in parts))
    return pattern, "".join(_PYTHON.get(part, part) for part in parts)
