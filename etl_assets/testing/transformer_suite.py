"""The contract of every Transformer as a suite: a test class derives from `TransformerSuite` and provides a file."""

from __future__ import annotations

import copy
import io
from typing import TYPE_CHECKING

import pandas as pd

from etl_assets.schema import RECORD_NO
from etl_assets.schema.pandas_frames import to_pandas
from etl_assets.validate import validate_rows

if TYPE_CHECKING:
    import polars as pl

    from etl_assets.source import Source
    from etl_assets.transform.transformer import Transformer


class TransformerSuite:
    """Derive, and set the attributes.

    Attributes:
        source: A source with the transformer.
        feed: A file of that source, unpacked, with at least three valid records.
    """

    source: Source
    feed: bytes

    @property
    def transformer(self) -> Transformer:
        """The transformer of the source."""
        assert self.source.transformer is not None
        return self.source.transformer

    def records(self) -> pd.DataFrame:
        """Return the valid records of the file, as the transformer gets them."""
        batches = self.source.extractor.frozen_format.read(io.BytesIO(self.feed), "")
        rows = [self.source.validator.validate(batch, self.source.schema).rows for batch in batches]
        records = pd.concat([to_pandas(part) for part in rows])
        assert len(records) >= 3
        return records

    def rows(self, records: pd.DataFrame, transformer: Transformer | None = None) -> list[tuple[object, ...]]:
        """Return the rows that some records become, each with its record number last, in order of the numbers."""
        returned = (transformer or self.transformer).transform(records.copy())
        verdict = validate_rows(self.source.schema, returned)
        assert verdict.rejected.is_empty(), "the transformer returned rows that break rules of the schema"
        return _sorted(verdict.rows)

    def test_the_rows_have_every_column_and_break_no_rule(self) -> None:
        assert self.rows(self.records())

    def test_the_index_of_the_rows_are_numbers_of_records_that_it_got(self) -> None:
        records = self.records()
        assert set(self.transformer.transform(records.copy()).index) <= set(records.index)

    def test_the_same_records_always_become_the_same_rows(self) -> None:
        assert self.rows(self.records()) == self.rows(self.records())

    def test_a_record_becomes_the_same_rows_whichever_records_share_its_batch(self) -> None:
        records = self.records()
        alone = [row for number in records.index for row in self.rows(records.loc[[number]])]
        assert sorted(alone, key=repr) == sorted(self.rows(records), key=repr)

    def test_the_order_of_the_records_does_not_matter(self) -> None:
        records = self.records()
        assert sorted(self.rows(records.iloc[::-1]), key=repr) == sorted(self.rows(records), key=repr)

    def test_nothing_is_kept_between_batches(self) -> None:
        records = self.records()
        used = copy.copy(self.transformer)
        self.rows(records.iloc[:1], used)
        assert self.rows(records, used) == self.rows(records, copy.copy(self.transformer))


def _sorted(rows: pl.DataFrame) -> list[tuple[object, ...]]:
    return rows.sort(RECORD_NO, maintain_order=True).rows()
