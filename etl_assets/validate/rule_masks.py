"""Evaluates rules over cast values: finds the rules that each record breaks, and the rows that remain.

The result of a rule is a mask: a Boolean column beside the rows, which is true where a row breaks the rule. Masks are
named by number, since columns and rules may have any name. Only this module knows these names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from etl_assets.model.batch import REJECTED_RECORD_NO, REJECTED_RULES
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.schema import Column, RecordRule

NUL_RULE: Final = "record__nul"
_BAD: Final = "#bad"


def cell_name(index: int) -> str:
    """Return the name, in the frame, of the cells of the column of that number; no declared column can have it."""
    return f"#c{index}"


def value_name(index: int, column: Column) -> str:
    """Return the name, in the frame, of the values of a column; a text is its own value."""
    return cell_name(index) if column.type.name == "text" else f"#v{index}"


def every_mask(columns: Sequence[Column], *, free_of_nul: bool = False) -> dict[str, pl.Expr]:
    """Return the masks of all rules of some columns, in the order of the rules, over a frame of cells and values.

    Args:
        columns: The columns.
        free_of_nul: Whether it is known that no text has a NUL character.
    """
    named = [(column, pl.col(cell_name(i)), pl.col(value_name(i, column))) for i, column in enumerate(columns)]
    texts = [value for column, _, value in named if column.type.name == "text"]
    masks = {NUL_RULE: _contains_nul(texts)} if texts and not free_of_nul else {}
    for column, cell, value in named:
        for rule in column.rules:
            mask = rule.violated(column.type, cell, value)
            if mask is not None:
                masks[rule.name(column.name)] = mask
    return masks


@dataclass(frozen=True)
class RuleResults:
    """Rows, and the rules that they broke.

    Attributes:
        frame: The columns under their own names, ``RECORD_NO``, the masks by number, and whether any mask is true.
        columns: Names of the columns.
        rules: Names of the rules, in the order of their masks.
    """

    frame: pl.DataFrame
    columns: tuple[str, ...]
    rules: tuple[str, ...]

    @property
    def broken(self) -> pl.Series:
        """Which rows broke a rule."""
        return self.frame.get_column(_BAD)

    def without(self, rejected: pl.Series) -> pl.DataFrame:
        """Return the rows that are not rejected, in order, with only the columns and ``RECORD_NO``."""
        rows = self.frame.select(*self.columns, RECORD_NO)
        return rows.filter(~rejected) if rejected.any() else rows

    def rejected(self) -> pl.DataFrame:
        """Return the records that broke a rule, each once, by number: ``record_no`` and all rules that a row broke."""
        bad = self.frame.filter(pl.col(_BAD))
        broken = [index for index in range(len(self.rules)) if bad.get_column(_mask_name(index)).any()]
        masks = [pl.col(_mask_name(index)) for index in broken]
        if bad.get_column(RECORD_NO).is_duplicated().any():
            bad = bad.group_by(RECORD_NO).agg([mask.any() for mask in masks])
        names = [pl.when(mask).then(pl.lit(self.rules[index])) for index, mask in zip(broken, masks, strict=True)]
        return bad.select(
            pl.col(RECORD_NO).cast(pl.Int64).alias(REJECTED_RECORD_NO),
            (pl.concat_list(names).list.drop_nulls() if names else pl.lit([], dtype=pl.List(pl.String))).alias(
                REJECTED_RULES
            ),
        ).sort(REJECTED_RECORD_NO)


def evaluate(
    frame: pl.LazyFrame, columns: Sequence[Column], masks: Mapping[str, pl.Expr], rules: Sequence[RecordRule]
) -> RuleResults:
    """Evaluate the rules of columns, then the rules of whole records whose columns are all in the frame.

    Args:
        frame: Cells and values, and ``RECORD_NO``.
        columns: The columns of the cells and values.
        masks: From `every_mask`.
        rules: Rules of whole records.
    """
    values = [pl.col(value_name(index, column)).alias(column.name) for index, column in enumerate(columns)]
    numbered = [mask.alias(_mask_name(index)) for index, mask in enumerate(masks.values())]
    rows = frame.select(*values, RECORD_NO, *numbered).collect(engine="in-memory")
    names = [*masks]
    for rule in rules:
        if set(rule.columns) <= {column.name for column in columns}:
            broken = rule.violations(rows.select(*rule.columns, RECORD_NO))
            if broken is not None:
                rows = rows.with_columns(broken.alias(_mask_name(len(names))))
                names.append(rule.name)
    any_mask = pl.any_horizontal([pl.col(_mask_name(index)) for index in range(len(names))] or [pl.lit(value=False)])
    rows = rows.with_columns(any_mask.fill_null(value=False).alias(_BAD))
    return RuleResults(rows, tuple(column.name for column in columns), tuple(names))


def _contains_nul(texts: list[pl.Expr]) -> pl.Expr:
    """Return whether any of the texts contains a NUL character, which the database cannot store."""
    return pl.any_horizontal([text.str.contains("\0", literal=True) for text in texts])


def _mask_name(index: int) -> str:
    return f"#m{index}"
