"""Reads the keys of rejected records: as they are published, typed like the key's columns of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from etl_assets.ingest.quarantined_batch import QuarantinedBatch
from etl_assets.ingest.selected_batch import SelectedBatch
from etl_assets.model.batch import REJECTED_RECORD_NO, REJECTED_RULES
from etl_assets.postgres.ledger import deliveries, rereading
from etl_assets.schema import RECORD_NO, Schema
from etl_assets.schema.rules.required import Required
from etl_assets.validate.rule_masks import NUL_RULE
from etl_assets.validate.rule_validator import RuleValidator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.model.batch import RawBatch
    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Column
    from etl_assets.source import Source


class RecordKeys:
    """Reads keys of records that have no row.

    Args:
        source: The declaration. If it has a transformer, no key can be read: the transformer may change it.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._schema = schema_of_keys(source.row_schema)
        self._validator = RuleValidator()
        types = {name: source.schema[name].type.polars for name in source.row_schema.key}
        self._none = pl.DataFrame(schema={**types, RECORD_NO: pl.Int64})

    def of_batch(self, raw: RawBatch, record_numbers: pl.Series) -> tuple[pl.DataFrame, pl.Series]:
        """Return the keys of some records of a batch, and the numbers of those whose key cannot be read.

        A record without a part of the key, or with a character that no table holds, is none of them: no row has its
        key.
        """
        if self._source.transformer is not None:
            return self._none, record_numbers
        verdict = self._validator.validate(SelectedBatch(raw, record_numbers), self._schema)
        return verdict.rows, verdict.rejected.filter(is_unreadable(self._schema))[REJECTED_RECORD_NO]

    def of_delivery(self, connection: Connection, delivery_id: int) -> tuple[pl.DataFrame, pl.Series]:
        """Return the keys of the records that a delivery rejected, and the numbers of those that cannot be read."""
        delivery = deliveries.by_id(connection, delivery_id)
        records = [] if delivery is None else rereading.all_rejected_now(connection, delivery)
        if delivery is None or not records:
            return self._none, self._none[RECORD_NO]
        format_ = self._source.extractor.of_partition(delivery.partition).frozen_format
        raw = QuarantinedBatch(format_, self._source.schema, delivery.manifest, records, 0)
        return self.of_batch(raw, pl.Series([record.record_no for record in records], dtype=pl.Int64))


def schema_of_keys(schema: Schema) -> Schema:
    """Return the schema of the key's columns alone; see `schema_of`."""
    return schema_of([schema[name] for name in schema.key])


def schema_of(columns: Sequence[Column]) -> Schema:
    """Return the schema of some columns alone, as its key: with their types and notations, without further rules."""
    names = tuple(column.name for column in columns)
    return Schema(tuple(_without_rules(column) for column in columns), names, repeated_keys="last")


def is_unreadable(schema: Schema) -> pl.Expr:
    """Whether a rejected record has a key that is not written as declared; one without a key has none."""
    no_key = [
        NUL_RULE,
        *(rule.name(column.name) for column in schema.columns for rule in column.rules if isinstance(rule, Required)),
    ]
    return pl.col(REJECTED_RULES).list.eval(~pl.element().is_in(no_key)).list.any()


def _without_rules(column: Column) -> Column:
    declared = [rule.kind for rule in column.rules if rule.keyword and not isinstance(rule, Required)]
    return column.replace(**dict.fromkeys(declared))
