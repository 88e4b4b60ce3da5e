"""Whether a column, as it might be declared, reads the cells of a sample. Validation's own casts decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from etl_assets.schema import canonical_type
from etl_assets.validate.casts import cast, prepare
from etl_assets.validate.intermediate_columns import IntermediateColumns

if TYPE_CHECKING:
    from etl_assets.schema import Column


def read_values(column: Column, cells: pl.Series, decimal: str = ".", *, canonical: bool = False) -> pl.DataFrame:
    """Read cells as a declared column would.

    Args:
        column: The declaration.
        cells: String.
        decimal: The character before the fraction of a number.
        canonical: See `RawBatch`.

    Returns:
        ``cell`` as published, ``prepared`` without blanks and null words as far as these are declared, and ``value`` of
        the declared type: null where a prepared cell is not written as declared.
    """
    intermediate = IntermediateColumns()
    prepared = intermediate.add(prepare(column, pl.col("cell")), "prepared")
    type_ = canonical_type(column.type) if canonical else column.type
    intermediate.add(cast(type_, prepared, intermediate, decimal), "value")
    frame = intermediate.added_to(cells.alias("cell").to_frame().lazy())
    return frame.select("cell", "prepared", "value").collect(engine="in-memory")


def unreadable(column: Column, cells: pl.Series, decimal: str = ".", *, canonical: bool = False) -> pl.Series:
    """Return the cells that would break the rule ``type`` of a column."""
    values = read_values(column, cells, decimal, canonical=canonical)
    return values.filter(pl.col("prepared").is_not_null() & pl.col("value").is_null()).get_column("cell")


def reads_all(column: Column, cells: pl.Series, decimal: str = ".", *, canonical: bool = False) -> bool:
    """Return whether no cell would break the rule ``type`` of a column."""
    return unreadable(column, cells, decimal, canonical=canonical).is_empty()
