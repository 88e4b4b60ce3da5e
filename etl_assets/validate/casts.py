"""Casts published cells to values of the declared type, with Polars expressions.

A cell that is not written as declared becomes null. A cell whose value is null breaks the rule ``type``. Nothing is
guessed or rounded. `dates_and_times` casts dates and times, `json_text` checks JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from etl_assets.schema.expressions import among
from etl_assets.validate.dates_and_times import cast_moment
from etl_assets.validate.json_text import is_document

if TYPE_CHECKING:
    from etl_assets.schema import Column, DataType
    from etl_assets.validate.intermediate_columns import IntermediateColumns

_UUID: Final = r"\A[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\z"


def prepare(column: Column, cell: pl.Expr) -> pl.Expr:
    """Return the cell stripped, without null words, and with its default, as far as the column declares these."""
    if column.strip:
        cell = cell.str.strip_chars()
    empty = ("", *column.null) if column.strip else column.null
    if empty:
        cell = pl.when(~among(cell, empty)).then(cell)
    return cell if column.default is None else cell.fill_null(pl.lit(column.default))


def cast(type_: DataType, cell: pl.Expr, intermediate: IntermediateColumns, decimal: str = ".") -> pl.Expr:
    """Return the value of a prepared cell; null if it is not written as declared.

    Args:
        type_: Type of the value.
        cell: A String expression.
        intermediate: Collects the intermediate columns.
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
            value = cast_moment(type_, cell, intermediate)
        case "json":
            value = pl.when(cell.map_batches(_are_documents, return_dtype=pl.Boolean, is_elementwise=True)).then(cell)
        case "uuid":
            value = pl.when(cell.str.contains(_UUID)).then(cell.str.to_lowercase())
    return value


def _boolean(type_: DataType, cell: pl.Expr) -> pl.Expr:
    true, false = pl.lit(value=True), pl.lit(value=False)
    return pl.when(among(cell, type_.true)).then(true).when(among(cell, type_.false)).then(false)


def _with_point(cell: pl.Expr, intermediate: IntermediateColumns, decimal: str) -> pl.Expr:
    """Return the cell with a point before the fraction; null if it already has a point instead of ``decimal``."""
    if decimal == ".":
        return cell
    without_point = pl.when(~cell.str.contains(".", literal=True)).then(cell)
    return intermediate.add(without_point.str.replace(decimal, ".", literal=True))


def _float(cell: pl.Expr, intermediate: IntermediateColumns, decimal: str) -> pl.Expr:
    value = intermediate.add(_with_point(cell, intermediate, decimal).cast(pl.Float64, strict=False))
    return pl.when(value.is_finite()).then(value)


def _decimal(type_: DataType, cell: pl.Expr, intermediate: IntermediateColumns, decimal: str) -> pl.Expr:
    scale = type_.scale or 0
    fraction = f"(?:[0-9]{{1,{scale}}}0*|0+)" if scale else "0+"
    cell = _with_point(cell, intermediate, decimal)
    pattern = rf"\A[+-]?(?:[0-9]+(?:\.(?:{fraction})?)?|\.{fraction})\z"
    return pl.when(cell.str.contains(pattern)).then(cell).cast(type_.polars, strict=False)


def _are_documents(cells: pl.Series) -> pl.Series:
    answers = [None if text is None else is_document(text) for text in cells]
    return pl.Series(cells.name, answers, dtype=pl.Boolean)
