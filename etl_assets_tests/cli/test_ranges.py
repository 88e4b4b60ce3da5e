"""Which ranges may be executed at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
import pytest

from etl_assets import Column, Csv, FileExtractor, Files, Schema, Source
from etl_assets.cli.ranges import Range, Turns, size_of_each

if TYPE_CHECKING:
    from etl_assets.cli.orchestration import Runnable

MART = dg.AssetKey(["marts", "sums"])


def _source(name: str, runs_at_once: int = 1) -> Source:
    return Source(
        name=name,
        description="Files.",
        owner="team:tests",
        extractor=FileExtractor(location="feeds/*.csv", format=Csv()),
        schema=Schema((Column("id", "integer", required=True),), ("id",)),
        partitions=Files(),
        runs_at_once=runs_at_once,
    )


def _turns(*numbers: tuple[Runnable, int], after: dict[str, set[str]] | None = None) -> Turns:
    """Turns of so many ranges of each source or asset."""
    return Turns([Range(what, (str(key),)) for what, ranges in numbers for key in range(ranges)], after or {})


def _begun(turns: Turns) -> list[int]:
    """Begin as many as may begin."""
    return list(iter(turns.next, None))


def test_as_many_ranges_of_a_source_are_executed_as_its_pool_allows() -> None:
    turns = _turns((_source("a", runs_at_once=2), 4))
    assert _begun(turns) == [0, 1]
    turns.end(1)
    assert _begun(turns) == [2]


def test_other_sources_go_on_while_a_pool_is_full() -> None:
    turns = _turns((_source("a"), 2), (_source("b"), 2))
    assert _begun(turns) == [0, 2]
    turns.end(2)
    assert _begun(turns) == [3]


def test_a_source_waits_for_every_range_of_those_that_it_comes_after() -> None:
    turns = _turns((_source("a", runs_at_once=2), 2), (_source("b"), 1), (_source("c"), 1), after={"b": {"a"}})
    assert _begun(turns) == [0, 1, 3]
    turns.end(0)
    assert _begun(turns) == []
    turns.end(1)
    assert _begun(turns) == [2]


def test_an_asset_written_by_hand_has_its_turn_alone() -> None:
    turns = _turns((_source("a"), 1), (MART, 2), (dg.AssetKey("other"), 1))
    order = []
    while numbers := _begun(turns):
        order.append(numbers)
        turns.end(numbers[0])
    assert order == [[0], [1], [2], [3]]


@pytest.mark.parametrize(
    ("turns", "most"),
    [
        (_turns(), 0),
        (_turns((_source("a"), 5)), 1),
        (_turns((_source("a", runs_at_once=3), 2)), 2),
        (_turns((_source("a"), 1), (_source("b"), 1), after={"b": {"a"}}), 1),
        (_turns((_source("a"), 1), (_source("b", runs_at_once=4), 4), after={"b": {"a"}}), 4),
    ],
)
def test_how_many_ranges_may_be_executed_together_is_known_before(turns: Turns, most: int) -> None:
    assert turns.most_at_once == most


@pytest.mark.parametrize(
    ("number", "at_once", "size"), [(100, 2, 100), (150, 2, 75), (250, 2, 63), (1000, 2, 100), (1000, 4, 84)]
)
def test_ranges_side_by_side_have_about_the_same_size(number: int, at_once: int, size: int) -> None:
    assert size_of_each(number, 100, at_once) == size
