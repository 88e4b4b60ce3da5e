"""From judged values to a verdict: which rules each record broke, and what rows are left.

The one place that knows how rule masks travel: Boolean columns named by number beside the rows, since columns and
rules may be called anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from etl_assets.model.batch import REJECTED_RECORD_NO, REJECTED_RULES
from etl_assets.model.schema import RECORD_NO
from etl_assets.validate.criteria import NUL_RULE, broken, holds_nul

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.model.schema import Column

_BAD: Final = "#bad"


def cell_name(index: int) -> str:
    """What the frame on its way calls the cells of the column of that number; no declared name can be this."""
    return f"#c{index}"


def value_name(index: int, column: Column) -> str:
    """What it calls the values; a text is its own value."""
    return cell_name(index) if column.type == "text" else f"#v{index}"


def every_mask(columns: Sequence[Column]) -> dict[str, pl.Expr]:
    """The masks of every rule of some columns, over a frame of cells and values, in the order they are listed."""
    named = [(column, pl.col(cell_name(i)), pl.col(value_name(i, column))) for i, column in enumerate(columns)]
    texts = [value for column, _, value in named if column.type == "text"]
    masks = {NUL_RULE: holds_nul(texts)} if texts else {}
    for column, cell, value in named:
        masks.update(broken(column, cell, value))
    return masks


def judged(frame: pl.LazyFrame, columns: Sequence[Column], masks: Mapping[str, pl.Expr]) -> pl.DataFrame:
    """Carry out the masks.

    Returns:
        The columns under their own names, ``RECORD_NO``, the masks by number, and whether any of them holds.
    """
    values = [pl.col(value_name(index, column)).alias(column.name) for index, column in enumerate(columns)]
    numbered = [mask.alias(_mask_name(index)) for index, mask in enumerate(masks.values())]
    holds = pl.any_horizontal([pl.col(_mask_name(index)) for index in range(len(masks))] or [pl.lit(value=False)])
    return (
        frame.select(*values, RECORD_NO, *numbered)
        .with_columns(holds.fill_null(value=False).alias(_BAD))
        .collect(engine="in-memory")
    )


def kept(frame: pl.DataFrame, columns: Sequence[Column], broken_rows: pl.Series) -> pl.DataFrame:
    """The rows to keep, in order, with the columns and ``RECORD_NO`` alone."""
    rows = frame.select(*(column.name for column in columns), RECORD_NO)
    return rows.filter(~broken_rows) if broken_rows.any() else rows


def broken_rows(frame: pl.DataFrame) -> pl.Series:
    """Which rows of a judged frame broke a rule."""
    return frame.get_column(_BAD)


def rejections(frame: pl.DataFrame, rules: Sequence[str]) -> pl.DataFrame:
    """The records behind the broken rows, each once, by number: ``record_no`` and every rule that any row broke."""
    bad = frame.filter(pl.col(_BAD))
    found = [index for index in range(len(rules)) if bad.get_column(_mask_name(index)).any()]
    masks = [pl.col(_mask_name(index)) for index in found]
    if bad.get_column(RECORD_NO).is_duplicated().any():
        bad = bad.group_by(RECORD_NO).agg([mask.any() for mask in masks])
    listed = [pl.when(mask).then(pl.lit(rules[index])) for index, mask in zip(found, masks, strict=True)]
    return bad.select(
        pl.col(RECORD_NO).cast(pl.Int64).alias(REJECTED_RECORD_NO),
        (pl.concat_list(listed).list.drop_nulls() if listed else pl.lit([], dtype=pl.List(pl.String))).alias(
            REJECTED_RULES
        ),
    ).sort(REJECTED_RECORD_NO)


def _mask_name(index: int) -> str:
    return f"#m{index}"
