"""Recognize how cells are written, whatever their declaration: families of types, formats of moments, null words.

The module has Polars expressions over String cells, and a guess of a column's type that uses them. They describe
changes to people; no record is ever validated by them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from etl_assets.schema.date_formats import DEFAULT_FORMATS, DIRECTIVES, directives

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_assets.schema import TypeName

NULL_WORDS: Final = (
    *("na", "n/a", "n.a.", "n.a", "#n/a", "#na", "n/d", "nan", "null", "(null)", "<null>", "none", "nil"),
    *("-", "--", "---", "\u2013", "\u2014", ".", "..", "...", "?", "??", "???", "\\n"),
)
"""Words that publishers write for a missing value, in lower case."""
_LONGEST_NULL_WORD: Final = max(len(word.encode()) for word in NULL_WORDS)
_BOOLEANS: Final = ("true", "false", "yes", "no", "t", "f", "y", "n")
_MOMENT: Final = (
    r"\A(?:[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}(?:[T ].*)?"
    r"|[0-9]{1,2}[- .]{1,2}[A-Za-z]{3,9}[- .,]{1,2}[0-9]{2,4}(?: .*)?"
    r"|[A-Z][a-z]{2,8} [0-9]{1,2}, [0-9]{4}(?: .*)?"
    r"|[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)\z"
)
_DATES: Final = (
    *("%Y-%m-%d", "%d.%m.%Y", "%-d.%-m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%-m/%-d/%Y", "%-d/%-m/%Y", "%-m/%-d/%y"),
    *(
        "%-d/%-m/%y",
        "%Y/%m/%d",
        "%Y/%-m/%-d",
        "%Y-%-m-%-d",
        "%d-%m-%Y",
        "%Y%m%d",
        "%-d %b %Y",
        "%-d-%b-%Y",
        "%-d %B %Y",
        "%B %-d, %Y",
        "%d.%m.%y",
    ),
)
_TIMES: Final = ("%H:%M:%S", "%H:%M", "%-H:%M:%S", "%-H:%M", "%H:%M:%S.%f", "%-I:%M %p", "%-I:%M:%S %p")
_ISO_TIMES: Final = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%H:%M%z", "%H:%M:%S%z", "%H:%M:%S.%f%z")
KNOWN_FORMATS: Final[Mapping[str, tuple[str, ...]]] = {
    "date": _DATES,
    "timestamp": (
        *(f"%Y-%m-%d{between}{time}" for between in "T " for time in _ISO_TIMES),
        *(f"{date} {time}" for date in _DATES[1:] for time in _TIMES),
        *_DATES,
    ),
    "time": _TIMES,
}
"""Common formats of dates, timestamps and times, the likeliest first."""
_ENOUGH: Final = 0.95


@dataclass(frozen=True)
class Guess:
    """A guess of a column's type and formats.

    Attributes:
        type: The narrowest type that all cells fit; text when no other type does.
        formats: How the cells are written, for a date, timestamp or time that has no default format; otherwise None.
    """

    type: TypeName
    formats: tuple[str, ...] | None = None


def is_integer(cell: pl.Expr) -> pl.Expr:
    """Whether a cell is a whole number of 64 bits."""
    return cell.cast(pl.Int64, strict=False).is_not_null()


def is_number(cell: pl.Expr, decimal: str = ".") -> pl.Expr:
    """Whether a cell is a number, whole or not."""
    if decimal != ".":
        cell = pl.when(~cell.str.contains(".", literal=True)).then(cell.str.replace(decimal, ".", literal=True))
    return cell.cast(pl.Float64, strict=False).is_finite().fill_null(value=False)


def is_boolean(cell: pl.Expr) -> pl.Expr:
    """Whether a cell is a word for true or false. Digits are numbers."""
    return (cell.str.len_bytes() <= max(map(len, _BOOLEANS))) & cell.str.to_lowercase().is_in(_BOOLEANS)


def is_moment(cell: pl.Expr) -> pl.Expr:
    """Whether a cell looks like a date, a timestamp or a time of day."""
    return cell.str.contains(_MOMENT)


def is_null_word(cell: pl.Expr) -> pl.Expr:
    """Whether a cell is a word that publishers write for a missing value."""
    return (cell.str.len_bytes() <= _LONGEST_NULL_WORD) & cell.str.to_lowercase().is_in(NULL_WORDS)


def in_format(cell: pl.Expr, format_: str) -> pl.Expr:
    """Whether a cell has the shape of a date format."""
    shape = "".join(DIRECTIVES.get(part) or re.escape(part) for part in directives(format_))
    return cell.str.contains(rf"\A{shape}\z")


def pattern(cell: pl.Expr) -> pl.Expr:
    """Replace every digit by 9 and every word by a: ``9999-99-99``, ``99 a 9999``. A lone digit becomes 99 too."""
    plain = cell.str.replace_all("[0-9]", "9").str.replace_all(r"\pL+", "a")
    return plain.str.replace_all(r"\b9\b", "99")


def guess(cells: pl.Series, decimal: str = ".") -> Guess:
    """Guess from its cells the type that a person would declare for a column.

    Args:
        cells: Of type String; null words are skipped. A number with a leading zero is a code, hence text.
        decimal: The character before the fraction of a number.
    """
    cell = pl.col("cell")
    present = cells.alias("cell").to_frame().filter(cell.is_not_null() & ~is_null_word(cell))
    if present.is_empty():
        return Guess("text")
    fits = present.select(
        code=cell.str.contains(r"\A0[0-9]").any(),
        integer=is_integer(cell).all(),
        float=is_number(cell, decimal).all(),
        boolean=is_boolean(cell).all(),
        moment=is_moment(cell).all(),
    ).row(0, named=True)
    if fits["code"] and not fits["moment"]:
        return Guess("text")
    if fits["moment"] and (found := _guess_moment(present.get_column("cell"))) is not None:
        return found
    return Guess(next((type_ for type_ in ("integer", "float", "boolean") if fits[type_]), "text"))


def best_format(type_: TypeName, matches: Mapping[str, int], cells: int) -> str | None:
    """Return the format that nearly all cells have, the likeliest of several; None when there is none.

    Args:
        type_: The column's type.
        matches: Number of cells in each known format.
        cells: Number of all cells.
    """
    known = KNOWN_FORMATS.get(type_, ())
    found = max(known, key=lambda format_: matches.get(format_, 0), default=None)
    return found if found is not None and 0 < matches.get(found, 0) >= _ENOUGH * cells else None


def format_matches(cells: pl.Series, type_: TypeName) -> dict[str, int]:
    """Count the cells in each known format of a type; formats without a cell are left out."""
    known = KNOWN_FORMATS.get(type_, ())
    cell = pl.col("cell")
    counted = cells.alias("cell").to_frame().select(in_format(cell, format_).sum().alias(format_) for format_ in known)
    return {format_: matches for format_, matches in counted.row(0, named=True).items() if matches}


def _guess_moment(cells: pl.Series) -> Guess | None:
    kinds: tuple[TypeName, ...] = ("date", "timestamp", "time")
    for type_ in kinds:
        found = best_format(type_, format_matches(cells, type_), len(cells))
        if found is not None:
            default = DEFAULT_FORMATS[type_]
            return Guess(type_, None if found in default else (found,))
    return None
