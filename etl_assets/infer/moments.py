"""Finds how the dates, timestamps and times of a column are written, and whether the cells decide it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

import polars as pl

from etl_assets.infer.readings import read_values
from etl_assets.schema import Column
from etl_assets.schema.date_formats import DEFAULT_FORMATS, PARTS, directives
from etl_assets.schema.type_inference import KNOWN_FORMATS, is_moment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.schema import TypeName

_DIGITS: Final[Mapping[int, tuple[str, ...]]] = {
    8: ("%Y%m%d", "%d%m%Y", "%m%d%Y"),
    6: ("%y%m%d", "%d%m%y", "%m%d%y"),
}
"""Formats of dates that consist of so many digits."""
_FEWEST_OF_DIGITS: Final = 10
"""With fewer different values, numbers that could be dates stay numbers."""
_MOST_FORMATS: Final = 5
"""A column with more formats is declared as text."""
_SAMPLE: Final = 2_000
_YEARS: Final = (1900, 2100)
"""Digits are taken for dates only if they are all of these years."""


@dataclass(frozen=True)
class Moments:
    """How the moments of a column are written.

    Attributes:
        type: ``date``, ``timestamp`` or ``time``.
        formats: The formats that read all cells together, the most frequent first.
        others: Formats that read all cells as well, with their parts in another order: the cells do not decide.
        future: The last day that two digits of a year put into the future; None if there is none.
    """

    type: TypeName
    formats: tuple[str, ...]
    others: tuple[str, ...] = ()
    future: date | None = None

    @property
    def declared_formats(self) -> tuple[str, ...] | None:
        """The formats to declare; None if the type has them by default."""
        return None if set(self.formats) <= set(DEFAULT_FORMATS[self.type]) else self.formats

    @property
    def has_offset(self) -> bool | None:
        """Whether every format has an offset; None if only some have."""
        with_offset = ["%z" in format_ for format_ in self.formats]
        return all(with_offset) if len(set(with_offset)) == 1 else None


def find_moments(cells: pl.Series) -> Moments | None:
    """Return how cells are written, if they are dates, timestamps or times.

    Args:
        cells: Different values, String, without nulls.
    """
    frame = cells.alias("cell").to_frame()
    if frame.select(is_moment(pl.col("cell")).all()).item():
        for type_ in ("date", "timestamp", "time"):
            if (found := _cover(type_, KNOWN_FORMATS[type_], cells)) is not None:
                return found
    lengths = cells.str.len_bytes().unique().to_list()
    if len(lengths) == 1 and lengths[0] in _DIGITS and len(cells) >= _FEWEST_OF_DIGITS:
        return _of_digits(cells, _DIGITS[lengths[0]])
    return None


def _of_digits(cells: pl.Series, formats: Sequence[str]) -> Moments | None:
    if not cells.str.contains(r"\A[0-9]+\z").all():
        return None
    found = _cover("date", formats, cells)
    if found is None or len(found.formats) > 1:
        return None
    years = _values("date", found.formats[0], cells).dt.year()
    return found if bool(years.is_between(*_YEARS).all()) else None


def _cover(type_: TypeName, known: Sequence[str], cells: pl.Series) -> Moments | None:
    """Return the fewest of the known formats that read all cells; None if they do not."""
    sample = cells.gather_every(max(1, len(cells) // _SAMPLE))
    read = {format_: _values(type_, format_, sample).is_not_null() for format_ in known}
    used = {format_: mask for format_, mask in read.items() if mask.any()}
    chosen: list[str] = []
    left = pl.repeat(value=True, n=len(sample), dtype=pl.Boolean, eager=True)
    while left.any() and len(chosen) < _MOST_FORMATS and used:
        best = max(used, key=lambda format_: (int((used[format_] & left).sum()), -known.index(format_)))
        if not (used[best] & left).any():
            return None
        chosen.append(best)
        left &= ~used[best]
    if left.any() or not chosen or not _reads_all(type_, chosen, cells):
        return None
    return Moments(type_, tuple(chosen), _others(type_, chosen, known, cells), _future(type_, chosen, cells))


def _others(type_: TypeName, chosen: Sequence[str], known: Sequence[str], cells: pl.Series) -> tuple[str, ...]:
    """Return known formats that read all cells that a chosen format reads, one for each other order of the parts."""
    others: dict[tuple[str, ...], str] = {}
    for format_ in chosen:
        own = cells.filter(_values(type_, format_, cells).is_not_null())
        for other in known:
            order = _order(other)
            if order != _order(format_) and order not in others and _reads_all(type_, (other,), own):
                others[order] = other
    return tuple(others.values())


def _order(format_: str) -> tuple[str, ...]:
    """Return the parts of a format in their order, such as month, day and year."""
    return tuple(PARTS[part] for part in directives(format_) if part in PARTS)


def _future(type_: TypeName, formats: Sequence[str], cells: pl.Series) -> date | None:
    today = datetime.now(UTC).date()
    days = [_values(type_, format_, cells).cast(pl.Date).max() for format_ in formats if "%y" in format_]
    return max((day for day in days if isinstance(day, date) and day > today), default=None)


def _values(type_: TypeName, format_: str, cells: pl.Series) -> pl.Series:
    return read_values(Column("x", type_, formats=(format_,)), cells).get_column("value")


def _reads_all(type_: TypeName, formats: Sequence[str], cells: pl.Series) -> bool:
    read = [_values(type_, format_, cells).is_not_null().alias(str(n)) for n, format_ in enumerate(formats)]
    return bool(pl.DataFrame(read).select(pl.any_horizontal(pl.all()).all()).item())
