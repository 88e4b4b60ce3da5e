"""The contract of every Validator, as a suite to subclass.

Subclass `ValidatorSuite` in a test module, name the subclass ``Test…`` and implement ``validator``. The suite makes
batches, which the validator validates against the schema below.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl_assets.errors import ShapeError
from etl_assets.schema import RECORD_NO, Column, Schema
from etl_assets_tests.validate.published import REJECTED_SCHEMA, PublishedBatch

if TYPE_CHECKING:
    from etl_assets.validate import Validator

SCHEMA: Final = Schema(
    columns=(
        Column("id", "integer", required=True, minimum=1, published_as="Id"),
        Column("code", "text", required=True, pattern="[A-Z]+", length=3),
        Column("price", "decimal", precision=8, scale=2),
        Column("note", "text"),
    ),
    key=("id",),
    ignored=("page",),
)
TYPES: Final = {
    "id": pl.Int64(),
    "code": pl.String(),
    "price": pl.Decimal(8, 2),
    "note": pl.String(),
    RECORD_NO: pl.Int64(),
}
GOOD: Final = ("1", "AB", "1.50", "x", "1")
BAD: Final = ("0", "abcd", "free", None, "1")
BROKEN: Final = ["id__minimum", "code__length", "code__pattern", "price__type"]
NAMES: Final = ("Id", "code", "price", "note", "page")


def batch(*records: tuple[str | None, ...], malformed: dict[int, list[str]] | None = None) -> PublishedBatch:
    """Make a batch of the suite's schema."""
    return PublishedBatch(
        {name: [record[index] for record in records] for index, name in enumerate(NAMES)}, malformed=malformed
    )


class ValidatorSuite(ABC):
    """The invariants of the stage."""

    @abstractmethod
    def validator(self) -> Validator:
        """The validator under test."""

    def test_rows_have_the_published_columns_in_order_typed_and_the_record_number_last(self) -> None:
        rows = self.validator().validate(batch(GOOD), SCHEMA).rows
        assert dict(rows.schema) == TYPES
        assert rows.rows() == [(1, "AB", Decimal("1.50"), "x", 1)]

    def test_a_rejected_record_lists_every_rule_it_broke(self) -> None:
        verdict = self.validator().validate(batch(GOOD, BAD), SCHEMA)
        assert verdict.rejected.rows() == [(2, BROKEN)]
        assert verdict.rejected.schema == REJECTED_SCHEMA

    def test_a_malformed_record_is_among_the_rejected(self) -> None:
        verdict = self.validator().validate(batch(BAD, GOOD, malformed={2: ["record__quoting"]}), SCHEMA)
        assert verdict.rejected.rows() == [(1, BROKEN), (2, ["record__quoting"])]
        assert verdict.rows[RECORD_NO].to_list() == [3]

    def test_a_batch_without_records_has_typed_rows_and_no_rejected_records(self) -> None:
        verdict = self.validator().validate(batch(), SCHEMA)
        assert dict(verdict.rows.schema) == TYPES
        assert verdict.rejected.schema == REJECTED_SCHEMA
        assert verdict.rows.is_empty()
        assert verdict.rejected.is_empty()

    def test_a_missing_required_column_stops_the_delivery(self) -> None:
        with pytest.raises(ShapeError, match="Nothing was written"):
            self.validator().validate(PublishedBatch({"code": ["A"], "price": ["1"]}), SCHEMA)

    def test_a_missing_optional_column_is_null(self) -> None:
        rows = self.validator().validate(PublishedBatch({"code": ["A"], "Id": ["1"]}), SCHEMA).rows
        assert dict(rows.schema) == TYPES
        assert rows.rows() == [(1, "A", None, None, 1)]

    def test_the_same_batch_has_the_same_verdict_again(self) -> None:
        validator, raw = self.validator(), batch(GOOD, BAD)
        first, second = validator.validate(raw, SCHEMA), validator.validate(raw, SCHEMA)
        assert first.rows.equals(second.rows)
        assert first.rejected.equals(second.rejected)

    @given(st.lists(st.sampled_from(["good", "bad", "malformed"]), max_size=40))
    @settings(max_examples=25, suppress_health_check=[HealthCheck.differing_executors])
    def test_every_record_is_either_a_row_or_rejected_and_order_is_kept(self, kinds: list[str]) -> None:
        malformed = {number: ["record__nul"] for number, kind in enumerate(kinds, 1) if kind == "malformed"}
        records = [GOOD if kind == "good" else BAD for kind in kinds if kind != "malformed"]
        verdict = self.validator().validate(batch(*records, malformed=malformed), SCHEMA)
        assert verdict.rows[RECORD_NO].to_list() == [n for n, kind in enumerate(kinds, 1) if kind == "good"]
        assert verdict.rejected["record_no"].to_list() == [n for n, kind in enumerate(kinds, 1) if kind != "good"]
