"""Summaries of the cells of one batch, and of several batches merged."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets.schema import Column, Schema
from etl_assets.watch.cell_samples import MOST_MEMBERS, SAMPLE, from_json, merge, observe, spread_places
from etl_assets_tests.validate.published import PublishedBatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.watch.cell_samples import ColumnCells

SCHEMA = Schema(
    columns=(
        Column("code", "text", required=True),
        Column("kind", "text", published_as="Kind", null=("none",), strip=True),
        Column("grade", "integer", allowed=(1, 2, 3)),
        Column("day", "date", formats=("%Y-%m-%d", "%d.%m.%Y")),
        Column("keeper", "text", sensitive=True),
        Column("price", "float", default="0"),
    ),
    key=("code",),
)
CELLS = st.one_of(
    st.none(),
    st.sampled_from(
        ("1", "2", "9", "4.5", "N/A", "none", "-", "yes", "2020-01-31", "31.01.2020", "31/01/2020", "a", "b", " a ")
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=3),
)
RECORDS = st.lists(st.tuples(*([CELLS] * 6)), max_size=30)


def summary(**columns: Sequence[str | None]) -> dict[str, ColumnCells]:
    height = len(next(iter(columns.values())))
    full: dict[str, Sequence[str | None]] = {"code": ["x"] * height}
    return from_json(observe(SCHEMA, PublishedBatch({**full, **columns})))


def batch(records: list[tuple[str | None, ...]]) -> PublishedBatch:
    names = ("code", "Kind", "grade", "day", "keeper", "price")
    return PublishedBatch({name: [record[place] for record in records] for place, name in enumerate(names)})


def test_cells_are_counted_as_they_are_declared_without_their_defaults() -> None:
    cells = summary(Kind=["a", " a ", "none", None], price=["1", "x", None, "2.5"])
    assert (cells["kind"].cells, cells["kind"].nulls, cells["kind"].members) == (2, 2, {"a": 2})
    assert (cells["price"].cells, cells["price"].nulls, cells["price"].declared) == (3, 1, 2)
    assert cells["kind"].published == "Kind"


def test_a_column_that_the_delivery_lacks_is_not_observed() -> None:
    assert set(summary(Kind=["a"])) == {"code", "kind"}


def test_moments_are_counted_by_format_and_those_that_fit_none_by_pattern() -> None:
    cells = summary(day=["2020-01-31", "31.01.2020", "30.01.2020", "1/31/2020", "12/31/2020", "unknown"])["day"]
    assert cells.formats == {"%Y-%m-%d": 1, "%d.%m.%Y": 2}
    assert cells.patterns == {"99/99/9999": 2}
    assert cells.readings["%-m/%-d/%Y"] == 2
    assert "%d/%m/%Y" not in cells.readings


def test_null_words_are_counted_as_written_unless_they_are_declared() -> None:
    cells = summary(Kind=["N/A", "n/a", "none", "-", "x"], price=["NULL", "1", "?", "2", "x"])
    assert cells["kind"].words == {"-": 1, "N/A": 1, "n/a": 1}
    assert cells["price"].words == {"?": 1, "NULL": 1}


def test_a_column_with_allowed_values_keeps_only_members_that_are_not_allowed() -> None:
    assert summary(grade=["1", "2", "7", "07", "x", None])["grade"].members == {"7": 2}


def test_a_column_with_many_distinct_texts_is_no_category() -> None:
    few, many = [str(n) for n in range(MOST_MEMBERS)], [str(n) for n in range(MOST_MEMBERS + 1)]
    assert summary(Kind=few)["kind"].members == dict.fromkeys(sorted(few), 1)
    assert summary(Kind=many)["kind"].members is None
    assert summary(Kind=["x" * 101])["kind"].members is None


def test_no_contents_of_sensitive_cells_or_keys_are_kept() -> None:
    cells = observe(SCHEMA, PublishedBatch({"code": ["abcdef"], "keeper": ["Ann Onymous"]}))
    assert cells["keeper"]["members"] is None
    assert cells["code"]["members"] is None
    assert "Ann" not in json.dumps(cells)
    assert "abcdef" not in json.dumps(cells)


@given(RECORDS, st.integers(0, 30))
def test_two_merged_batches_have_the_summary_of_one(records: list[tuple[str | None, ...]], cut: int) -> None:
    parts = [observe(SCHEMA, batch(records[:cut])), observe(SCHEMA, batch(records[cut:]))]
    assert exact_parts(merge(parts)) == exact_parts(observe(SCHEMA, batch(records)))


def exact_parts(cells: dict[str, Any]) -> dict[str, Any]:
    """Return the counts that do not depend on how many cells of a batch are not as declared."""
    close = {"integer", "number", "boolean", "moment", "patterns", "readings"}
    return {
        name: {key: value for key, value in counts.items() if name in {"code", "kind", "keeper"} or key not in close}
        for name, counts in cells.items()
    }


@given(st.lists(RECORDS, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_batches_merge_in_any_order_and_through_json(parts: list[list[tuple[str | None, ...]]], random: Any) -> None:
    summaries = [observe(SCHEMA, batch(records)) for records in parts]
    shuffled = json.loads(json.dumps(summaries))
    random.shuffle(shuffled)
    assert merge(shuffled) == merge(summaries)
    assert merge([merge(summaries[:2]), merge(summaries[2:])]) == merge(summaries)


@pytest.mark.parametrize("height", [0, 1, SAMPLE, SAMPLE + 1, 100_000])
def test_a_sample_is_spread_over_the_whole_batch(height: int) -> None:
    places = spread_places(height, SAMPLE).to_list()
    assert len(places) == min(height, SAMPLE)
    gaps = [later - earlier for earlier, later in pairwise([-1, *places, height])]
    assert all(0 < gap <= 2 * -(-height // SAMPLE) for gap in gaps if height)


@pytest.mark.parametrize("period", [2, 5, 24, 25, 100])
def test_periodic_values_are_sampled_as_often_as_they_occur(period: int) -> None:
    records = pl.Series([str(number % period) for number in range(100_000)])
    share = records.gather(spread_places(100_000, SAMPLE)).eq("0").mean()
    assert share == pytest.approx(1 / period, rel=0.2)
