"""The ready-made validator: a schema as Polars expressions, carried out over a whole batch in one pass.

The expressions are built once for each set of published names. What a cell means is `casts`'s business, what a rule
asks `criteria`'s, how broken rules become rejected records `judgement`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from etl_assets.model.batch import REJECTED_RECORD_NO, Verdict
from etl_assets.model.schema import RECORD_NO
from etl_assets.validate.base import Validator
from etl_assets.validate.casts import cast, prepared
from etl_assets.validate.declaration import check_rules
from etl_assets.validate.intermediate_columns import Steps
from etl_assets.validate.rule_masks import broken_rows, cell_name, every_mask, judged, kept, rejections, value_name
from etl_assets.validate.shape import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.model.batch import RawBatch
    from etl_assets.model.schema import Column, Schema


class RuleValidator(Validator):
    """Casts by the declared types and keeps the declared rules, other than ``unique`` and ``references``."""

    def __init__(self, schema: Schema, where: str = "the schema") -> None:
        """Take a schema.

        Args:
            schema: The contract.
            where: What to call its owner in errors, e.g. ``source 'flights'``.

        Raises:
            DeclarationError: If a rule cannot be carried out.
        """
        check_rules(schema, where)
        self._schema = schema
        self._where = where
        self._plans: dict[tuple[tuple[str, ...], str], _Plan] = {}

    def validate(self, raw: RawBatch) -> Verdict:
        """Judge every record of a batch; see `Validator.validate`."""
        key = (raw.names, raw.decimal)
        if key not in self._plans:
            shape = resolve(self._schema, raw.names, f"The delivery of {self._where}")
            self._plans[key] = _plan(self._schema.published, shape.columns, raw.decimal)
        verdict = self._plans[key].judge(raw.frame)
        malformed = raw.malformed
        if malformed.is_empty():
            return verdict
        rejected = pl.concat([verdict.rejected, malformed.select(verdict.rejected.columns)])
        return Verdict(verdict.rows, rejected.sort(REJECTED_RECORD_NO))


@dataclass(frozen=True)
class _Plan:
    """What to do with a batch that has a certain set of published names."""

    columns: Sequence[Column]
    published: Mapping[str, str]
    cells: Sequence[pl.Expr]
    steps: Steps
    masks: Mapping[str, pl.Expr]

    def judge(self, frame: pl.DataFrame) -> Verdict:
        taken = [
            frame.get_column(self.published[column.name]).alias(cell_name(index))
            for index, column in enumerate(self.columns)
            if column.name in self.published
        ]
        lazy = pl.DataFrame([*taken, frame.get_column(RECORD_NO)]).lazy()
        result = judged(self.steps.through(lazy.with_columns(self.cells)), self.columns, self.masks)
        return Verdict(kept(result, self.columns, broken_rows(result)), rejections(result, tuple(self.masks)))


def _plan(columns: Sequence[Column], published: Mapping[str, str], decimal: str) -> _Plan:
    cells: list[pl.Expr] = []
    steps = Steps()
    for index, column in enumerate(columns):
        name = cell_name(index)
        if column.name not in published:
            cells.append(pl.lit(column.default, dtype=pl.String).alias(name))
        elif column.strip or column.null or column.default is not None:
            cells.append(prepared(column, pl.col(name)).alias(name))
        if column.type != "text":
            steps.once(cast(column, pl.col(name), steps, decimal), value_name(index, column))
    return _Plan(columns, published, cells, steps, every_mask(columns))
