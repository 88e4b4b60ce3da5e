"""Rows of SQLite as columns of text. Each cell has a type of its own."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import polars as pl
from polars.exceptions import PolarsError

from etl_assets.extract.formats.canonical_text import float_texts
from etl_assets.extract.formats.row_batch import text_series

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXACT: Final = 2**53
"""Whole numbers below it are the same as Float64."""


def columns_of(rows: Sequence[tuple[Any, ...]], width: int, texts: frozenset[int]) -> list[pl.Series]:
    """Return the cells of rows as text.

    Args:
        rows: Tuples of one more cell, the rowid, which is left out.
        width: Number of columns.
        texts: Positions of the columns without numbers.

    Returns:
        For each column a Series: String, or Binary if some of its texts are not UTF-8.
    """
    try:
        frame = pl.DataFrame(rows, orient="row", infer_schema_length=None)
    except (PolarsError, UnicodeEncodeError, TypeError):
        return [_mixed(rows, place) for place in range(1, width + 1)]
    if not rows:
        return [pl.Series([], dtype=pl.String)] * width
    return [
        _column(frame.to_series(place), rows, place, has_numbers=place - 1 not in texts)
        for place in range(1, width + 1)
    ]


def _column(cells: pl.Series, rows: Sequence[tuple[Any, ...]], place: int, *, has_numbers: bool) -> pl.Series:
    """Return a column as text. Polars made one type of all of its cells, which is exact for some types alone."""
    if cells.dtype in (pl.Int64, pl.Null):
        return cells.cast(pl.String)
    if cells.dtype == pl.Float64 and (cells.abs() < _EXACT).all():
        return float_texts(cells)
    if cells.dtype == pl.String and (not has_numbers or _types(rows, place) <= {str, type(None)}):
        return cells
    return _mixed(rows, place)


def _types(rows: Sequence[tuple[Any, ...]], place: int) -> set[type]:
    return set(map(type, map(itemgetter(place), rows)))


def _mixed(rows: Sequence[tuple[Any, ...]], place: int) -> pl.Series:
    """Return a column as text, cell by cell."""
    cells = [row[place] for row in rows]
    floats = iter(float_texts(pl.Series([cell for cell in cells if isinstance(cell, float)], dtype=pl.Float64)))
    return text_series([next(floats) if isinstance(cell, float) else _text(cell) for cell in cells])


def _text(cell: str | int | bytes | None) -> str | None:
    if isinstance(cell, bytes):
        return cell.hex()
    return None if cell is None else str(cell)
