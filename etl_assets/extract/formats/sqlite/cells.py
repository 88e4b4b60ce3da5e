"""Columns of SQLite as text. Each cell has a type of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from etl_assets.extract.formats.canonical_text import float_texts
from etl_assets.extract.formats.row_batch import text_series

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXACT: Final = 2**53
"""Whole numbers below it are the same as Float64."""


def texts_of(columns: Sequence[Sequence[Any]]) -> list[pl.Series]:
    """Return the cells of columns as text: String, or Binary if some of the texts of a column are not UTF-8."""
    return list(map(_texts, columns))


def _texts(cells: Sequence[Any]) -> pl.Series:
    of_type = type(next((cell for cell in cells if cell is not None), ""))
    if of_type is str and (texts := _of_one_type(cells, pl.String)) is not None:
        return texts
    if of_type is int and (numbers := _of_one_type(cells, pl.Int64)) is not None:
        return numbers.cast(pl.String)
    floats = _of_one_type(cells, pl.Float64) if of_type in (int, float) else None
    if floats is not None and (floats.abs() < _EXACT).all():
        return float_texts(floats)
    return _mixed(cells)


def _of_one_type(cells: Sequence[Any], type_: type[pl.DataType]) -> pl.Series | None:
    """Return cells as values of a type, which whole numbers can be for Float64; None if one is of another type."""
    try:
        return pl.Series(cells, dtype=type_)
    except (TypeError, UnicodeEncodeError):
        return None


def _mixed(cells: Sequence[Any]) -> pl.Series:
    """Return a column as text, cell by cell."""
    floats = iter(float_texts(pl.Series([cell for cell in cells if isinstance(cell, float)], dtype=pl.Float64)))
    return text_series([next(floats) if isinstance(cell, float) else _text(cell) for cell in cells])


def _text(cell: str | int | bytes | None) -> str | None:
    if isinstance(cell, bytes):
        return cell.hex()
    return None if cell is None else str(cell)
