"""Whether a declared schema can be carried out: what only the engine can tell.

What can be told from the declaration alone is `Schema.check`'s business, which comes first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from polars.exceptions import PolarsError

from etl_assets.errors import DeclarationError
from etl_assets.model.schema import directives
from etl_assets.validate.casts import cast, prepared
from etl_assets.validate.criteria import broken, full_match
from etl_assets.validate.dates_and_times import ambiguity
from etl_assets.validate.intermediate_columns import Steps

if TYPE_CHECKING:
    from etl_assets.model.schema import Column, Schema


def check_rules(schema: Schema, where: str) -> None:
    """Raise unless every rule of a schema can be carried out.

    Args:
        schema: The contract; `Schema.check` has passed it.
        where: What to call its owner in the error, e.g. ``source 'flights'``.

    Raises:
        DeclarationError: With the column, the field and the remedy.
    """
    for column in (*schema.columns, *schema.inputs):
        here = f"column {column.name!r} of {where}"
        _check_formats(column, here)
        _check_pattern(column, here)
        _check_bounds(column, here)
        _check_default(column, here)


def _check_formats(column: Column, here: str) -> None:
    for format_ in column.accepted_formats:
        problem = ambiguity(format_)
        if problem is not None:
            raise DeclarationError(here, "formats", f"{format_!r} {problem}", "Name every part of it exactly once")
        if column.type == "time" and "%z" in directives(format_):
            raise DeclarationError(here, "formats", f"{format_!r} has an offset, a time has none", "Remove %z")
    if column.zone is None:
        return
    try:
        pl.Series(["2000-01-01"], dtype=pl.String).str.to_datetime("%Y-%m-%d").dt.replace_time_zone(column.zone)
    except PolarsError as error:
        raise DeclarationError(
            here, "zone", f"{column.zone!r} is not known to the engine", "Write one like 'Europe/Paris' or 'UTC'"
        ) from error


def _check_pattern(column: Column, here: str) -> None:
    if column.pattern is None:
        return
    try:
        pl.Series([""]).str.contains(full_match(column.pattern))
    except PolarsError as error:
        raise DeclarationError(
            here,
            "pattern",
            f"{column.pattern!r} is outside the RE2 syntax or too large for it",
            "Write it without look-around, back-references, (?x) and large repetitions",
        ) from error


def _check_bounds(column: Column, here: str) -> None:
    try:
        broken(column, pl.lit(None), pl.lit(None))
    except TypeError as error:
        raise DeclarationError(
            here,
            "minimum or maximum",
            f"cannot be compared with {'an instant' if column.is_instant else 'the values of a ' + column.type}",
            "Write a number for numbers, a date, time or datetime for those; with a tzinfo for instants alone",
        ) from error


def _check_default(column: Column, here: str) -> None:
    if column.default is None:
        return
    for decimal in (".", ","):
        steps = Steps()
        cell = steps.once(prepared(column, pl.col("cell")), "prepared")
        steps.once(cast(column, cell, steps, decimal), "value")
        frame = steps.through(pl.LazyFrame({"cell": [column.default]})).collect()
        masks = list(broken(column, pl.col("prepared"), pl.col("value")).values())
        if not masks or not frame.select(pl.any_horizontal(masks).fill_null(value=False)).item():
            return
    raise DeclarationError(
        here, "default", f"{column.default!r} breaks the column's own rules", "Write it as the publisher would"
    )
