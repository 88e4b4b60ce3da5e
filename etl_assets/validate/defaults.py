"""Checks that declared defaults keep the rules of their columns, by evaluating the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from etl_assets.errors import DeclarationError
from etl_assets.validate.casts import cast, prepare
from etl_assets.validate.intermediate_columns import IntermediateColumns

if TYPE_CHECKING:
    from etl_assets.schema import Column, Schema


def check_defaults(schema: Schema, where: str) -> None:
    """Raise a `DeclarationError` if a default breaks a rule of its column, whichever decimal character is used.

    Args:
        schema: The contract; `Schema.check` has passed it.
        where: How the error names the owner, e.g. ``source 'flights'``.
    """
    for column in (*schema.columns, *schema.inputs):
        if column.default is not None and all(_breaks_a_rule(column, decimal) for decimal in (".", ",")):
            raise DeclarationError(
                f"column {column.name!r} of {where}",
                "default",
                f"{column.default!r} breaks the column's own rules",
                "Write it as the publisher would",
            )


def _breaks_a_rule(column: Column, decimal: str) -> bool:
    intermediate = IntermediateColumns()
    cell = intermediate.add(prepare(column, pl.col("cell")), "prepared")
    intermediate.add(cast(column.type, cell, intermediate, decimal), "value")
    frame = intermediate.added_to(pl.LazyFrame({"cell": [column.default]})).collect()
    violations = [rule.violated(column.type, pl.col("prepared"), pl.col("value")) for rule in column.rules]
    masks = [mask for mask in violations if mask is not None]
    return bool(masks) and bool(frame.select(pl.any_horizontal(masks).fill_null(value=False)).item())
