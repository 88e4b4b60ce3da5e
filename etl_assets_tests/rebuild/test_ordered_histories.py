"""A table of versions that a column orders is rebuilt, and becomes another form of table and back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets.errors import IncompatibleTableError
from etl_assets.load.writers import History, Snapshot, Upsert
from etl_assets_tests.ingest.test_history import day_of
from etl_assets_tests.ingest.test_ordered_history import as_of, dated, ordered, take, versions
from etl_assets_tests.rebuild.test_building import build, swap, traces, verify
from etl_assets_tests.rebuild.test_swapping import execute

if TYPE_CHECKING:
    from etl_assets.load.writers import Writer
    from etl_assets.schema import Schema
    from etl_assets_tests.ingest.world import World

__all__ = ["dated"]

VERSIONS = [("a", 1, 1, 3), ("a", 2, 3, 5), ("a", 3, 5, None), ("b", 1, 2, None)]


def load(world: World) -> None:
    """Load three files, the second in between, one with a record that is corrected."""
    take(world, "2024-01-01", "a,1,1", "b,x,2")
    take(world, "2024-01-05", "a,3,5")
    take(world, "2024-01-03", "a,2,3")
    world.correct(world.waiting()[0], amount="1")
    world.replay()


def test_an_ordered_history_is_built_beside_the_one_in_use_and_equals_it(dated: World) -> None:
    load(dated)
    assert versions(dated) == VERSIONS
    assert build(dated).rows == 4
    found = verify(dated)
    assert (found.equal, found.differing, found.notes) == (4, 0, ())
    swap(dated)
    assert versions(dated) == VERSIONS
    assert as_of(dated, "2024-01-04Z") == [("a", 2), ("b", 1)]
    assert traces(dated) == []
    assert dated.violations() == []
    take(dated, "2024-01-07", "a,4,4")
    assert versions(dated) == [*VERSIONS[:1], ("a", 2, 3, 4), ("a", 4, 4, 5), *VERSIONS[2:]]
    assert dated.violations() == []


@pytest.mark.parametrize(
    ("by_hand", "kind"),
    [
        ("DELETE FROM core.goods_history WHERE amount = 2", "missing"),
        ("UPDATE core.goods_history SET amount = 9 WHERE amount = 2", "contents"),
        ("UPDATE core.goods_history SET _valid_to = _valid_to + interval '1 s' WHERE amount = 2", "times"),
        ("UPDATE core.goods_history SET _delivery_id = 1 WHERE amount = 2", "mark"),
    ],
)
def test_the_comparison_finds_what_was_changed_by_hand(dated: World, by_hand: str, kind: str) -> None:
    load(dated)
    execute(dated, by_hand)
    (difference,) = verify(dated).differences
    assert (difference.kind, difference.row) == (kind, "code=a, at=2024-01-03")


OTHERS: list[Writer] = [Upsert(), Snapshot(max_deleted=1.0), History(dated=day_of)]


@pytest.mark.parametrize("other", OTHERS)
def test_a_table_becomes_an_ordered_history(dated: World, other: Any) -> None:
    plain = dated.other(schema=ordered(), more={"write": other})
    plain.schema = plain.schema if isinstance(other, Upsert) else without_order(dated)
    load(plain)
    with pytest.raises(IncompatibleTableError, match="etl-assets rebuild goods --swap"):
        take(dated, "2024-01-09", "a,9,9")
    swap(dated)
    assert versions(dated) == [*VERSIONS[:2], ("a", 3, 5, 9), ("a", 9, 9, None), VERSIONS[3]]
    assert as_of(dated, "2024-01-04Z") == [("a", 2), ("b", 1)]
    assert traces(dated) == []
    assert dated.violations() == []


@pytest.mark.parametrize("other", OTHERS)
def test_an_ordered_history_becomes_a_table(dated: World, other: Any) -> None:
    load(dated)
    plain = dated.other(more={"write": other})
    plain.schema = plain.schema if isinstance(other, Upsert) else without_order(dated)
    swap(plain)
    expected = [("a", 3)] if isinstance(other, Snapshot) else [("a", 3), ("b", 1)]
    assert plain.query("SELECT code, amount FROM core.goods ORDER BY 1") == expected
    assert traces(plain) == []
    assert plain.violations() == []


def without_order(world: World) -> Schema:
    return replace(world.schema, order_by=None)
