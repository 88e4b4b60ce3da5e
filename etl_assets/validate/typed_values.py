"""Converts values that have a type in a file or a frame to the declared type, with Polars expressions.

A value that the declared type cannot represent exactly becomes null. `read_typed` gives what `casts` give for the texts
of the same values, and leaves to them the types for which the way through text is the shorter one.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

import polars as pl

from etl_assets.validate.dates_and_times import in_range, to_instants

if TYPE_CHECKING:
    from etl_assets.schema import Column, DataType
    from etl_assets.validate.intermediate_columns import IntermediateColumns

_MICROSECOND: Final = 1_000
_EXACT: Final = 2**53
"""Whole numbers below it are the same as Float64."""


def read_typed(column: Column, cell: pl.Expr, source: pl.DataType, intermediate: IntermediateColumns) -> pl.Expr | None:
    """Return the values of a column with a type in the file; None if they are read from their texts.

    A default is a text, and so are null words. Blanks are not: no text of a value has them at its ends.

    Args:
        column: The declaration, whose type may hold values of the type ``source``.
        cell: The published values.
        source: Their type.
        intermediate: Collects the intermediate columns.
    """
    if column.default is not None or column.null:
        return None
    value: pl.Expr | None = None
    match column.type.name:
        case "integer" | "float" | "decimal" if source.is_numeric():
            value = _number(column.type, cell, source, intermediate)
        case "boolean" if source == pl.Boolean:
            value = cell
        case "date":
            value = as_date(cell, source, intermediate)
        case "timestamp":
            value = as_timestamp(column.type, cell, source, intermediate)
        case "time":
            value = as_time(cell, source)
    return value


def as_date(cell: pl.Expr, source: pl.DataType, intermediate: IntermediateColumns) -> pl.Expr | None:
    """Return dates, and the dates of readings at midnight; None for a column of another type."""
    if isinstance(source, pl.Datetime) and source.time_zone is None:
        cell = intermediate.add(unless_changed(cell, pl.Date(), source, intermediate))
    elif source != pl.Date:
        return None
    return pl.when(in_range(cell, pl.Date())).then(cell)


def as_timestamp(
    type_: DataType, cell: pl.Expr, source: pl.DataType, intermediate: IntermediateColumns
) -> pl.Expr | None:
    """Keep wall-clock readings, convert instants to UTC; readings become instants only in a declared zone.

    Returns:
        None for a column of another type, or without the zone that it needs.
    """
    published_zone = source.time_zone if isinstance(source, pl.Datetime) else None
    if published_zone is None and type_.is_instant and type_.zone is None:
        return None
    if published_zone is not None and not type_.is_instant:
        return None
    if source == pl.Date:
        value = pl.when(in_range(cell, pl.Date())).then(cell).cast(pl.Datetime("us"))
    elif isinstance(source, pl.Datetime):
        target = pl.Datetime("us", published_zone)
        value = cell if source == target else unless_changed(cell, target, source, intermediate)
    else:
        return None
    if published_zone is not None and published_zone != "UTC":
        value = value.dt.convert_time_zone("UTC")
    value = intermediate.add(value)
    if published_zone is None and type_.zone is not None:
        readings = pl.when(in_range(value, pl.Datetime("us"))).then(value)
        value = intermediate.add(to_instants(readings, type_.zone, intermediate))
    return pl.when(in_range(value, type_.polars)).then(value)


def as_time(cell: pl.Expr, source: pl.DataType) -> pl.Expr | None:
    """Return times of whole microseconds; None for a column of another type."""
    return pl.when(cell.cast(pl.Int64) % _MICROSECOND == 0).then(cell) if source == pl.Time else None


def unless_changed(
    cell: pl.Expr, target: pl.DataType, source: pl.DataType, intermediate: IntermediateColumns
) -> pl.Expr:
    """Cast a value to another type; null if casting it back gives another value."""
    value = intermediate.add(cell.cast(target, strict=False))
    return pl.when(value.cast(source, strict=False) == cell).then(value)


def _number(type_: DataType, cell: pl.Expr, source: pl.DataType, intermediate: IntermediateColumns) -> pl.Expr | None:
    if isinstance(source, pl.Decimal):
        if type_.name == "decimal":
            return cell if source == type_.polars else unless_changed(cell, type_.polars, source, intermediate)
        return cell.cast(pl.Int64, strict=False) if type_.name == "integer" and not source.scale else None
    if source.is_integer():
        return cell if source == type_.polars else cell.cast(type_.polars, strict=False)
    if type_.name == "decimal":
        return None
    number = cell if source == pl.Float64 else intermediate.add(cell.cast(pl.Float64))
    if type_.name == "float":
        return pl.when(number.is_finite()).then(number)
    return _whole_number(number, intermediate)


def _whole_number(number: pl.Expr, intermediate: IntermediateColumns) -> pl.Expr:
    """Return whole floats as integers: the digits with which they are written, which are the shortest."""
    is_exact = intermediate.add(number.abs() < _EXACT)
    whole = intermediate.add(pl.when(is_exact).then(number).cast(pl.Int64, strict=False))
    large = pl.when(~is_exact).then(number).map_batches(_digits, return_dtype=pl.Int64, is_elementwise=True)
    return pl.coalesce(pl.when(whole.cast(pl.Float64) == number).then(whole), large)


def _digits(numbers: pl.Series) -> pl.Series:
    integers = pl.Series(numbers.name, [None], dtype=pl.Int64).new_from_index(0, len(numbers))
    large = numbers.is_finite().fill_null(value=False).arg_true()
    if large.is_empty():
        return integers
    texts = numbers.gather(large).cast(pl.String)
    plain = pl.Series([format(Decimal(text), "f").removesuffix(".0") for text in texts])
    return integers.scatter(large, plain.cast(pl.Int64, strict=False))
