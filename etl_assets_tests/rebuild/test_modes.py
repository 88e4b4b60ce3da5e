"""Tables of other write modes, and tables that are cut into child tables, are rebuilt as well."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest

from etl_assets.load.writers import Append, Snapshot, Upsert
from etl_assets.schema import Column, PartitionBy
from etl_assets_tests.ingest.world import GOODS
from etl_assets_tests.rebuild.test_building import swap

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World

DAILY = replace(GOODS, columns=(*GOODS.columns, Column("day", "date", required=True)), key=("code", "day"))
HEADER = "code,amount,note,day"


@pytest.mark.parametrize(("before", "after"), [(False, True), (True, False), (True, True)])
def test_marked_rows_are_rebuilt_with_their_marks_and_view(world: World, *, before: bool, after: bool) -> None:
    world.more = {"write": Snapshot(max_deleted=1.0, mark=before)}
    world.take("a,1,x", "b,2,y")
    world.take("a,1,x")
    changed = world.other(more={"write": Snapshot(max_deleted=1.0, mark=after)})
    swap(changed)
    assert [row[0] for row in changed.rows()] == (["a", "b"] if after else ["a"])
    view = changed.query("SELECT to_regclass('core.goods_current') IS NOT NULL")
    assert view == [(after,)]
    if after:
        assert changed.query("SELECT code FROM core.goods_current") == [("a",)]
    assert changed.violations() == []


@pytest.mark.parametrize("cut", [True, False])
def test_a_table_is_cut_into_child_tables_or_joined_by_a_rebuild(world: World, *, cut: bool) -> None:
    forms = [{}, {"partition_by": PartitionBy("day")}]
    before, after = forms if cut else forms[::-1]
    here = world.other(schema=DAILY, more={"write": Upsert(), **before})
    here.take("a,1,x,2024-01-01", "b,2,y,2024-03-01", header=HEADER)
    changed = here.other(more={"write": Upsert(), **after})
    swap(changed)
    assert changed.rows() == [("a", 1, "x", date(2024, 1, 1)), ("b", 2, "y", date(2024, 3, 1))]
    assert changed.query("SELECT relkind::text FROM pg_class WHERE oid = 'core.goods'::regclass") == [
        ("p" if cut else "r",)
    ]
    changed.take("c,3,z,2024-05-01", header=HEADER)
    assert changed.violations() == []


def test_a_table_gets_or_loses_its_key_by_a_rebuild(world: World) -> None:
    world.take("a,1,x", "b,2,y")
    world.take("a,3,x")
    events = world.other(schema=replace(GOODS, key=()), more={"write": Append()})
    swap(events)
    assert events.query("SELECT code, amount FROM core.goods ORDER BY 1, 2") == [("a", 1), ("a", 3), ("b", 2)]
    assert events.violations() == []
    swap(world)
    assert world.query("SELECT code, amount FROM core.goods ORDER BY 1, 2") == [("a", 3), ("b", 2)]
    assert world.violations() == []
