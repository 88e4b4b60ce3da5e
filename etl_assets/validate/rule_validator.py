"""The default validator: evaluates a schema as Polars expressions, over a whole batch in one pass.

The expressions are built once for each set of published names. `casts` casts the cells, each kind of rule has its own
expression, and `rule_masks` turns broken rules into rejected records.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from etl_assets.model.batch import REJECTED_RECORD_NO, Verdict
from etl_assets.model.rule import RuleInfo
from etl_assets.schema import RECORD_NO, canonical_type
from etl_assets.validate.base import Validator
from etl_assets.validate.casts import cast, prepare
from etl_assets.validate.defaults import check_defaults
from etl_assets.validate.intermediate_columns import IntermediateColumns
from etl_assets.validate.published_types import check_published_types
from etl_assets.validate.rule_masks import NUL_RULE, cell_name, evaluate, every_mask, value_name
from etl_assets.validate.shape import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.model.batch import RawBatch
    from etl_assets.schema import Column, RecordRule, Schema


@dataclass(frozen=True)
class RuleValidator(Validator):
    """Casts cells to the declared types and evaluates the declared rules, except those that need the table."""

    _plans: dict[tuple[Any, ...], _Plan] = field(default_factory=dict, init=False, repr=False, compare=False)

    def check(self, schema: Schema, where: str) -> None:
        """See `Validator.check`."""
        check_defaults(schema, where)

    def rules(self, schema: Schema) -> tuple[RuleInfo, ...]:
        """See `Validator.rules`."""
        if all(column.type.name != "text" for column in (*schema.columns, *schema.inputs)):
            return ()
        return (RuleInfo(NUL_RULE, "the record holds no NUL character"),)

    def validate(self, raw: RawBatch, schema: Schema) -> Verdict:
        """See `Validator.validate`."""
        key = (schema.fingerprint, raw.names, raw.decimal, raw.canonical, tuple(raw.types.items()))
        if key not in self._plans:
            self._plans[key] = _plan(schema, raw)
        verdict = self._plans[key].validate(raw.frame)
        malformed = raw.malformed
        if malformed.is_empty():
            return verdict
        rejected = pl.concat([verdict.rejected, malformed.select(verdict.rejected.columns)])
        return Verdict(verdict.rows, rejected.sort(REJECTED_RECORD_NO))


@dataclass(frozen=True)
class _Plan:
    """The expressions for the batches that have a certain set of published names."""

    columns: Sequence[Column]
    published: Mapping[str, str]
    cells: Sequence[pl.Expr]
    intermediate: IntermediateColumns
    masks: Mapping[str, pl.Expr]
    rules: Sequence[RecordRule]

    def validate(self, frame: pl.DataFrame) -> Verdict:
        published_cells = [
            frame.get_column(self.published[column.name]).alias(cell_name(index))
            for index, column in enumerate(self.columns)
            if column.name in self.published
        ]
        lazy = pl.DataFrame([*published_cells, frame.get_column(RECORD_NO)]).lazy()
        result = evaluate(
            self.intermediate.added_to(lazy.with_columns(self.cells)), self.columns, self.masks, self.rules
        )
        return Verdict(result.without(result.broken), result.rejected())


def _plan(schema: Schema, raw: RawBatch) -> _Plan:
    columns = schema.published
    published = resolve(schema, raw.names, "The delivery").columns
    check_published_types(schema, published, raw.types)
    cells: list[pl.Expr] = []
    intermediate = IntermediateColumns()
    for index, column in enumerate(columns):
        name = cell_name(index)
        if column.name not in published:
            cells.append(pl.lit(column.default, dtype=pl.String).alias(name))
        elif column.strip or column.null or column.default is not None:
            cells.append(prepare(column, pl.col(name)).alias(name))
        if column.type.name != "text":
            type_ = canonical_type(column.type) if raw.canonical else column.type
            intermediate.add(cast(type_, pl.col(name), intermediate, raw.decimal), value_name(index, column))
    return _Plan(columns, published, cells, intermediate, every_mask(columns), schema.rules)
