"""From what a transformer returned, typed or text, to values of the declared types.

A value is taken where the declared type holds it exactly; otherwise it is null, and the rule ``type`` is broken. Kinds
that do not belong together at all (a truth value in a column of dates) are a fault of the transformer.
"""

from __future__ import annotations

import json
from decimal import Decimal
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import pandas as pd
import polars as pl
import pyarrow as pa
from polars.exceptions import PolarsError

from etl_assets.errors import TransformError
from etl_assets.validate.casts import cast, prepared
from etl_assets.validate.dates_and_times import in_range, localized

if TYPE_CHECKING:
    from etl_assets.schema import Column, DataType
    from etl_assets.validate.intermediate_columns import IntermediateColumns

_LARGEST_EXPONENT: Final = 400
_MICROSECOND: Final = 1_000
_WRITTEN: Final = (str, Integral, Real, Decimal, UUID)


def as_published(column: Column, values: pd.Series[Any]) -> pl.Series:
    """A pandas column of any kind as a Polars series, missing values null.

    Raises:
        TransformError: If the values are of several kinds, or of one that has no Polars type.
    """
    try:
        if values.dtype == object:
            written = _written(column.type, [None if _is_missing(value) else value for value in values])
            if written is not None:
                return pl.Series(written, dtype=pl.String)
        series = pl.Series(pa.Array.from_pandas(values))
    except (pa.ArrowException, PolarsError, TypeError, ValueError, OverflowError):
        raise TransformError(
            f"The transformer returned a column {column.name!r} whose values are of several kinds, or of a kind that "
            f"cannot be read as {column.type.name}. The batch was not written. Return {column.type.name} values, or "
            "text."
        ) from None
    return series.cast(pl.String) if isinstance(series.dtype, pl.Categorical | pl.Null) else series


def conformed(column: Column, name: str, source: pl.DataType, intermediate: IntermediateColumns) -> pl.Expr:
    """The value of a column that is there with some Polars type, null where the declared type does not hold it.

    Args:
        column: The declaration.
        name: What the frame calls the column.
        source: The type it has there.
        intermediate: Takes what is computed on the way.

    Raises:
        TransformError: If values of that type never belong in the column.
    """
    cell = pl.col(name)
    value: pl.Expr | None = None
    if source == pl.String:
        value = cast(column.type, cell, intermediate)
    elif column.type.name in {"integer", "float", "decimal"} and source.is_numeric():
        value = _number(column.type, cell, source, intermediate)
    elif column.type.name == "boolean" and source == pl.Boolean:
        value = cell
    elif column.type.name == "date":
        value = _date(cell, source, intermediate)
    elif column.type.name == "timestamp":
        value = _timestamp(column.type, cell, source, intermediate)
    elif column.type.name == "time" and source == pl.Time:
        value = pl.when(cell.cast(pl.Int64) % _MICROSECOND == 0).then(cell)
    if value is None:
        raise TransformError(
            f"The transformer returned a column {column.name!r} of {source}, which is declared {column.type.name}. The "
            f"batch was not written. Return {column.type.name} values, or text as the publisher would write it."
        )
    return value


def completed(column: Column, name: str, source: pl.DataType) -> pl.Expr | None:
    """A derived column's texts stripped, freed of null words and with its default; None where nothing is to be done."""
    declared = column.strip or column.null or column.default is not None
    return prepared(column, pl.col(name)) if column.derived and declared and source == pl.String else None


def _written(type_: DataType, values: list[Any]) -> list[str | None] | None:
    """Python objects as text that the declared type reads exactly; None where Arrow reads them by itself."""
    if type_.name == "json":
        return [value if value is None or isinstance(value, str) else _dumped(value) for value in values]
    if type_.name not in {"integer", "float", "decimal", "uuid"}:
        return None
    if any(isinstance(value, bool) or not isinstance(value, _WRITTEN) for value in values if value is not None):
        return None
    return [None if value is None else _plain(type_, value) for value in values]


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _plain(type_: DataType, value: Any) -> str:
    if isinstance(value, str | UUID | Integral):
        return str(value)
    number = Decimal(str(value))
    if not number.is_finite() or abs(number.adjusted()) > _LARGEST_EXPONENT:
        return str(value)
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if type_.name == "integer" and "." in text else text


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)  # noqa: PLR0124 -- NaN


def _number(type_: DataType, cell: pl.Expr, source: pl.DataType, intermediate: IntermediateColumns) -> pl.Expr:
    if type_.name == "float":
        value = intermediate.add(cell.cast(pl.Float64, strict=False))
        return pl.when(value.is_finite()).then(value)
    if source.is_float() and type_.name == "decimal":
        text = cell.cast(pl.String).map_batches(_positional, return_dtype=pl.String, is_elementwise=True)
        return cast(type_, intermediate.add(text), intermediate)
    if source.is_integer():
        return cell.cast(type_.polars, strict=False)
    return _unless_changed(cell, type_.polars, source, intermediate)


def _unless_changed(
    cell: pl.Expr, target: pl.DataType, source: pl.DataType, intermediate: IntermediateColumns
) -> pl.Expr:
    """The value in another type, where it comes back from it unchanged."""
    value = intermediate.add(cell.cast(target, strict=False))
    return pl.when(value.cast(source, strict=False) == cell).then(value)


def _positional(texts: pl.Series) -> pl.Series:
    """Shortest texts of floats, those with an exponent written out."""
    scientific = texts.str.contains("e", literal=True)
    if not scientific.any():
        return texts
    written = [format(Decimal(text), "f") if power else text for text, power in zip(texts, scientific, strict=True)]
    return pl.Series(texts.name, written, dtype=pl.String)


def _date(cell: pl.Expr, source: pl.DataType, intermediate: IntermediateColumns) -> pl.Expr | None:
    if isinstance(source, pl.Datetime) and source.time_zone is None:
        cell = intermediate.add(_unless_changed(cell, pl.Date(), source, intermediate))
    elif source != pl.Date:
        return None
    return pl.when(in_range(cell, pl.Date())).then(cell)


def _timestamp(
    type_: DataType, cell: pl.Expr, source: pl.DataType, intermediate: IntermediateColumns
) -> pl.Expr | None:
    """Readings as they are, instants in UTC; readings become instants only in a declared zone."""
    if source == pl.Date:
        value = pl.when(in_range(cell, pl.Date())).then(cell).cast(pl.Datetime("us"))
    elif isinstance(source, pl.Datetime):
        value = _unless_changed(cell, pl.Datetime("us", source.time_zone), source, intermediate)
    else:
        return None
    if isinstance(source, pl.Datetime) and source.time_zone is not None:
        if not type_.is_instant:
            return None
        value = value.dt.convert_time_zone("UTC")
    elif type_.is_instant:
        if type_.zone is None:
            return None
        value = localized(value, type_.zone, intermediate)
    value = intermediate.add(value)
    return pl.when(in_range(value, type_.polars)).then(value)
