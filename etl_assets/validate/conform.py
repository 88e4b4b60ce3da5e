"""Converts the columns that a transformer returned, typed or text, to the declared types.

A value that the declared type cannot represent exactly becomes null, and breaks the rule ``type``. A column of an
unsuitable type, such as Booleans in a column of dates, is an error of the transformer.
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
from etl_assets.validate.casts import cast, prepare
from etl_assets.validate.typed_values import as_date, as_time, as_timestamp, unless_changed

if TYPE_CHECKING:
    from etl_assets.schema import Column, DataType
    from etl_assets.validate.intermediate_columns import IntermediateColumns

_LARGEST_EXPONENT: Final = 400
_WITH_TEXT: Final = (str, Integral, Real, Decimal, UUID)
"""Classes of Python objects that `_as_text` can write as text."""


def as_published(column: Column, values: pd.Series[Any]) -> pl.Series:
    """Convert a pandas column of any type to a Polars series, with missing values as null.

    Raises:
        TransformError: If the values are of several types, or of one that has no Polars type.
    """
    try:
        if values.dtype == object:
            texts = _as_texts(column.type, [None if _is_missing(value) else value for value in values])
            if texts is not None:
                return pl.Series(texts, dtype=pl.String)
        series = pl.Series(pa.Array.from_pandas(values))
    except (pa.ArrowException, PolarsError, TypeError, ValueError, OverflowError):
        raise TransformError(
            f"The transformer returned a column {column.name!r} whose values are of several types, or of a type that "
            f"cannot be read as {column.type.name}. The batch was not written. Return {column.type.name} values, or "
            "text."
        ) from None
    return series.cast(pl.String) if isinstance(series.dtype, pl.Categorical | pl.Null) else series


def conform(column: Column, name: str, source: pl.DataType, intermediate: IntermediateColumns) -> pl.Expr:
    """Return the values of a returned column in its declared type; null if the type cannot represent them exactly.

    Args:
        column: The declaration.
        name: Name of the column in the frame.
        source: Polars type of the column in the frame.
        intermediate: Collects the intermediate columns.

    Raises:
        TransformError: If no value of the type ``source`` belongs in the column.
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
        value = as_date(cell, source, intermediate)
    elif column.type.name == "timestamp":
        value = as_timestamp(column.type, cell, source, intermediate)
    elif column.type.name == "time":
        value = as_time(cell, source)
    if value is None:
        raise TransformError(
            f"The transformer returned a column {column.name!r} of {source}, which is declared {column.type.name}. The "
            f"batch was not written. Return {column.type.name} values, or text as the publisher would write it."
        )
    return value


def completed(column: Column, name: str, source: pl.DataType) -> pl.Expr | None:
    """Return a derived text column stripped, without null words and with its default; None if nothing changes."""
    declared = column.strip or column.null or column.default is not None
    return prepare(column, pl.col(name)) if column.derived and declared and source == pl.String else None


def _as_texts(type_: DataType, values: list[Any]) -> list[str | None] | None:
    """Write Python objects as texts that the declared type reads exactly; return None if Arrow converts them."""
    if type_.name == "json":
        return [value if value is None or isinstance(value, str) else _as_json(value) for value in values]
    if type_.name not in {"integer", "float", "decimal", "uuid"}:
        return None
    if any(isinstance(value, bool) or not isinstance(value, _WITH_TEXT) for value in values if value is not None):
        return None
    return [None if value is None else _as_text(type_, value) for value in values]


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _as_text(type_: DataType, value: Any) -> str:
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
    return unless_changed(cell, type_.polars, source, intermediate)


def _positional(texts: pl.Series) -> pl.Series:
    """Rewrite the shortest texts of floats without exponents."""
    scientific = texts.str.contains("e", literal=True)
    if not scientific.any():
        return texts
    positional = [format(Decimal(text), "f") if power else text for text, power in zip(texts, scientific, strict=True)]
    return pl.Series(texts.name, positional, dtype=pl.String)
