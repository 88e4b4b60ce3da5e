"""Small Polars expressions that rules and casts share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

_FEW: Final = 8


def among(cell: pl.Expr, values: Sequence[object]) -> pl.Expr:
    """Whether a value is one of a few; null where there is none. Comparing one by one is faster while they are few."""
    if not 0 < len(values) <= _FEW:
        return cell.is_in(list(values))
    found = cell == pl.lit(values[0])
    for value in values[1:]:
        found = found | (cell == pl.lit(value))
    return found
