"""The bundled transformer conforms to the contract of transformers; transformers that break it are caught."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import pytest

from etl_assets import Transformer
from etl_assets.errors import TransformError
from etl_assets.sources.fx_rates import CURRENCIES, SOURCE
from etl_assets.testing import TransformerSuite
from etl_assets_tests.documented import example

if TYPE_CHECKING:
    import pandas as pd


def _line(day: int) -> str:
    rates = ("N/A" if number % 4 == day else f"{day}.{number + 10}" for number in range(len(CURRENCIES)))
    return f"2024-01-0{day},{','.join(rates)},\n"


class TestTheBundledTransformerConforms(TransformerSuite):
    source = SOURCE
    feed = (f"Date,{','.join(CURRENCIES)},\n" + "".join(map(_line, (1, 2, 3)))).encode()


@dataclass(frozen=True)
class _Altered(Transformer):
    inner: Transformer

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        return self.inner.transform(frame)


class WithAnotherIndex(_Altered):
    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        rows = super().transform(frame)
        rows.index = rows.index + 1000
        return rows


class OfNeighbours(_Altered):
    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        rows = super().transform(frame)
        rows["rate"] = rows["rate"].max()
        return rows


class FirstOnly(_Altered):
    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        return super().transform(frame.iloc[:1])


class Remembering(_Altered):
    seen: ClassVar[set[int]] = set()

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        new = frame[~frame.index.isin(list(self.seen))]
        self.seen.update(frame.index)
        return super().transform(new)


@pytest.mark.parametrize(
    ("wrong", "test"),
    [
        (WithAnotherIndex, "test_the_index_of_the_rows_are_numbers_of_records_that_it_got"),
        (OfNeighbours, "test_a_record_becomes_the_same_rows_whichever_records_share_its_batch"),
        (FirstOnly, "test_the_order_of_the_records_does_not_matter"),
        (Remembering, "test_nothing_is_kept_between_batches"),
    ],
)
def test_the_suite_fails_for_a_wrong_transformer(wrong: type[_Altered], test: str) -> None:
    suite = TestTheBundledTransformerConforms()
    getattr(suite, test)()
    assert SOURCE.transformer is not None
    Remembering.seen.clear()
    suite.source = replace(SOURCE, transformer=wrong(SOURCE.transformer))
    with pytest.raises((AssertionError, TransformError)):
        getattr(suite, test)()


class TestTheDocumentedTransformerConforms(example("docs/stages.md", "class Upper").TestUpper):  # type: ignore[misc]
    """The suite as the document declares it."""
