"""Validates the rows that a transformer returned, by the rules of all columns and of whole records.

One record may have become several rows; either all of them are accepted or all are rejected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import polars as pl

from etl_assets.errors import TransformError
from etl_assets.model.batch import REJECTED_RECORD_NO, Verdict
from etl_assets.schema import RECORD_NO
from etl_assets.validate.conform import as_published, completed, conform
from etl_assets.validate.intermediate_columns import IntermediateColumns
from etl_assets.validate.rule_masks import cell_name, evaluate, every_mask, value_name

if TYPE_CHECKING:
    from etl_assets.schema import Schema


def validate_rows(schema: Schema, frame: pd.DataFrame) -> Verdict:
    """Validate the rows that a transformer returned by the rules of all columns and of whole records.

    Args:
        schema: The contract.
        frame: Rows with every column of the schema, typed or text; the index is the record number and may repeat.

    Returns:
        As rows, in their order, those of records without a broken rule, with every column of the schema and
        ``RECORD_NO`` last. As rejected, the other records, each once, with every rule that any of their rows broke.

    Raises:
        TransformError: If columns are missing or not in the schema, if the index is not the record number, or if a
            column has a type that does not belong in it.
        RuleError: If the expression or function of a rule fails.
    """
    numbers = _record_numbers(schema, frame)
    returned = [
        as_published(column, frame[column.name]).alias(cell_name(index)) for index, column in enumerate(schema.columns)
    ]
    lazy = pl.DataFrame([*returned, numbers]).lazy()
    cells = [
        cell.alias(cell_name(index))
        for index, column in enumerate(schema.columns)
        if (cell := completed(column, cell_name(index), returned[index].dtype)) is not None
    ]
    intermediate = IntermediateColumns()
    for index, column in enumerate(schema.columns):
        value = conform(column, cell_name(index), returned[index].dtype, intermediate)
        if column.type.name != "text":
            intermediate.add(value, value_name(index, column))
    values = intermediate.added_to(lazy.with_columns(cells))
    result = evaluate(values, schema.columns, every_mask(schema.columns), schema.rules)
    rejected = result.rejected()
    is_rejected = result.frame.get_column(RECORD_NO).is_in(rejected.get_column(REJECTED_RECORD_NO).implode())
    return Verdict(result.without(is_rejected), rejected)


def _record_numbers(schema: Schema, frame: pd.DataFrame) -> pl.Series:
    if not isinstance(frame, pd.DataFrame):
        raise TransformError(
            f"The transformer returned a {type(frame).__name__}. The batch was not written. Return a pandas DataFrame."
        )
    names = list(frame.columns)
    if sorted(map(str, names)) != sorted(schema.names):
        missing = [name for name in schema.names if name not in names]
        additional = [str(name) for name in names if name not in schema.names]
        twice = [name for name in schema.names if names.count(name) > 1]
        raise TransformError(
            f"The transformer returned other columns than the schema's: missing {missing}, additional {additional}, "
            f"twice {twice}. The batch was not written. Return every declared column once, and drop or declare the "
            "others."
        )
    if frame.index.nlevels > 1 or not pd.api.types.is_integer_dtype(frame.index.dtype) or frame.index.hasnans:
        raise TransformError(
            "The transformer returned an index that is no record number. The batch was not written. Keep the index of "
            "the frame that it got; after a merge or a melt, set it again."
        )
    return pl.Series(RECORD_NO, frame.index.to_numpy(dtype="int64"), dtype=pl.Int64)
