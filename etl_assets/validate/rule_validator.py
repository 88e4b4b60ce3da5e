"""The default validator: evaluates a schema as Polars expressions, over a whole batch in one pass.

The expressions are built once for each set of published names and types. `casts` casts texts, `typed_values` converts
values with a type, each kind of rule has its own expression, and `rule_masks` turns broken rules into rejected records.
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
from etl_assets.validate.typed_values import read_typed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.model.batch import RawBatch
    from etl_assets.schema import Column, DataType, RecordRule, Schema


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
        typed = raw.typed
        sources = {name: values.dtype for name, values in typed.items()}
        key = (
            schema.fingerprint,
            raw.names,
            raw.decimal,
            raw.canonical,
            raw.free_of_nul,
            *raw.types.items(),
            *sources.items(),
        )
        if key not in self._plans:
            self._plans[key] = _plan(schema, raw, sources)
        verdict = self._plans[key].validate(raw, typed)
        malformed = raw.malformed
        if malformed.is_empty():
            return verdict
        rejected = pl.concat([verdict.rejected, malformed.select(verdict.rejected.columns)])
        return Verdict(verdict.rows, rejected.sort(REJECTED_RECORD_NO))


@dataclass(frozen=True)
class _Plan:
    """The expressions for the batches that have a certain set of published names and types.

    Attributes:
        columns: The published columns of the schema.
        published: Name of each column to the name under which it is published.
        typed: The published names whose values are read, and not their texts.
        cells: Prepares texts.
        intermediate: Has the value of each column that is no text.
        masks: From `every_mask`.
        rules: Rules of whole records.
    """

    columns: Sequence[Column]
    published: Mapping[str, str]
    typed: frozenset[str]
    cells: Sequence[pl.Expr]
    intermediate: IntermediateColumns
    masks: Mapping[str, pl.Expr]
    rules: Sequence[RecordRule]

    def validate(self, raw: RawBatch, typed: Mapping[str, pl.Series]) -> Verdict:
        texts = raw.texts([name for name in self.published.values() if name not in self.typed])
        cells = [
            (typed[name] if name in self.typed else texts.get_column(name)).alias(cell_name(index))
            for index, column in enumerate(self.columns)
            if (name := self.published.get(column.name)) is not None
        ]
        lazy = pl.DataFrame([*cells, texts.get_column(RECORD_NO)]).lazy()
        result = evaluate(
            self.intermediate.added_to(lazy.with_columns(self.cells)), self.columns, self.masks, self.rules
        )
        return Verdict(result.without(result.broken), result.rejected())


def _plan(schema: Schema, raw: RawBatch, sources: Mapping[str, pl.DataType]) -> _Plan:
    columns = schema.published
    published = resolve(schema, raw.names, "The delivery", records=raw.span.records).columns
    check_published_types(schema, published, raw.types)
    cells: list[pl.Expr] = []
    typed: set[str] = set()
    intermediate = IntermediateColumns()
    for index, column in enumerate(columns):
        cell, name = pl.col(cell_name(index)), published.get(column.name)
        source = None if name is None else sources.get(name)
        value = None if source is None else read_typed(column, cell, source, intermediate)
        if name is None:
            cells.append(pl.lit(column.default, dtype=pl.String).alias(cell_name(index)))
        elif value is not None:
            typed.add(name)
        elif column.strip or column.null or column.default is not None:
            cells.append(prepare(column, cell).alias(cell_name(index)))
        if value is None and column.type.name != "text":
            value = cast(_notation(column.type, raw, name), cell, intermediate, raw.decimal)
        if value is not None:
            intermediate.add(value, value_name(index, column))
    masks = every_mask(columns, free_of_nul=raw.free_of_nul)
    return _Plan(columns, published, frozenset(typed), cells, intermediate, masks, schema.rules)


def _notation(type_: DataType, raw: RawBatch, name: str | None) -> DataType:
    """Return the type with the notations in which the texts of a published column are read."""
    if not raw.canonical:
        return type_
    return canonical_type(type_, first=name is not None and raw.types.get(name, "text") != "text")
