"""From a published cell to a value of the declared type, as Polars expressions.

A cell that is not written as declared gives null, and the rule ``type`` is broken where a cell is there and its value
is not. Nothing is guessed or rounded. Dates and times stand in `dates_and_times`, JSON in `json_text`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from etl_assets.schema.expressions import among
from etl_assets.validate.dates_and_times import moment
from etl_assets.validate.json_text import is_document

if TYPE_CHECKING:
    from etl_assets.schema import Column, DataType
    from etl_assets.validate.intermediate_columns import IntermediateColumns

_UUID: Final = r"\A[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\z"


def prepared(column: Column, cell: pl.Expr) -> pl.Expr:
    """The cell stripped, without the column's null words, with its default, as far as each is declared."""
    if column.strip:
        cell = cell.str.strip_chars()
    empty = ("", *column.null) if column.strip else column.null
    if empty:
        cell = pl.when(~among(cell, empty)).then(cell)
    return cell if column.default is None else cell.fill_null(pl.lit(column.default))


def cast(type_: DataType, cell: pl.Expr, intermediate: IntermediateColumns, decimal: str = ".") -> pl.Expr:
    """The value of a prepared cell, null where it is not written as declared.

    Args:
        type_: What it is to be a value of.
        cell: A String expression.
        intermediate: Takes what is computed on the way.
        decimal: The character before the fraction of a number.
    """
    value = cell
    match type_.name:
        case "integer":
            value = cell.cast(pl.Int64, strict=False)
        case "float":
            value = _float(cell, intermediate, decimal)
        case "decimal":
            value = _decimal(type_, cell, intermediate, decimal)
        case "boolean":
            value = _boolean(type_, cell)
        case "date" | "timestamp" | "time":
            value = moment(type_, cell, intermediate)
        case "json":
            value = pl.when(cell.map_batches(_documents, return_dtype=pl.Boolean, is_elementwise=True)).then(cell)
        case "uuid":
            value = pl.when(cell.str.contains(_UUID)).then(cell.str.to_lowercase())
    return value


def _boolean(type_: DataType, cell: pl.Expr) -> pl.Expr:
    true, false = pl.lit(value=True), pl.lit(value=False)
    return pl.when(among(cell, type_.true)).then(true).when(among(cell, type_.false)).then(false)


def _pointed(cell: pl.Expr, intermediate: IntermediateColumns, decimal: str) -> pl.Expr:
    if decimal == ".":
        return cell
    unpointed = pl.when(~cell.str.contains(".", literal=True)).then(cell)
    return intermediate.add(unpointed.str.replace(decimal, ".", literal=True))


def _float(cell: pl.Expr, intermediate: IntermediateColumns, decimal: str) -> pl.Expr:
    value = intermediate.add(_pointed(cell, intermediate, decimal).cast(pl.Float64, strict=False))
    return pl.when(value.is_finite()).then(value)


def _decimal(type_: DataType, cell: pl.Expr, intermediate: IntermediateColumns, decimal: str) -> pl.Expr:
    scale = type_.scale or 0
    fraction = f"(?:[0-9]{{1,{scale}}}0*|0+)" if scale else "0+"
    cell = _pointed(cell, intermediate, decimal)
    written = rf"\A[+-]?(?:[0-9]+(?:\.(?:{fraction})?)?|\.{fraction})\z"
    return pl.when(cell.str.contains(written)).then(cell).cast(type_.polars, strict=False)


def _documents(cells: pl.Series) -> pl.Series:
    judged = [None if text is None else is_document(text) for text in cells]
    return pl.Series(cells.name, judged, dtype=pl.Boolean)
