"""Small Polars expressions that rules and casts share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl
from polars import selectors

if TYPE_CHECKING:
    from collections.abc import Sequence

_FEW: Final = 8


def named(name: str) -> pl.Expr:
    """Return the column of a published name; ``pl.col`` takes ``*``, and names like ``^…$``, for patterns."""
    return selectors.by_name(name).as_expr()


def among(cell: pl.Expr, values: Sequence[object]) -> pl.Expr:
    """Return whether a cell is one of some values; null for null. A few values are compared one by one: faster."""
    if not 0 < len(values) <= _FEW:
        return cell.is_in(list(values))
    is_member = cell == pl.lit(values[0])
    for value in values[1:]:
        is_member = is_member | (cell == pl.lit(value))
    return is_member
