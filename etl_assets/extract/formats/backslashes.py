"""Finds the columns that have escapes, so that the others are not searched again when escapes are resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence


def with_backslash(columns: Sequence[pl.Series]) -> list[bool]:
    """Return for each column of text whether one of its values has a backslash; all are searched at the same time."""
    if not columns:
        return []
    frame = pl.DataFrame([column.alias(str(place)) for place, column in enumerate(columns)])
    return list(frame.select(pl.all().str.contains("\\", literal=True).any()).row(0))
