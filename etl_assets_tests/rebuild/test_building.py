"""The table that is built is that of a load from empty, and an interrupted build goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from etl_assets import rebuild
from etl_assets.errors import IncompatibleTableError
from etl_assets.schema import Column
from etl_assets_tests.ingest.world import GOODS

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World

BY_NOTE = replace(GOODS, columns=(*GOODS.columns[:2], Column("note", "text", required=True)), key=("code", "note"))
AS_TEXT = replace(GOODS, columns=(GOODS.columns[0], Column("amount", "text"), GOODS.columns[2]))


def verified(world: World) -> rebuild.Verification:
    return rebuild.verify(world.source, world.warehouse, "rebuild")


def swap(world: World) -> rebuild.Built:
    return rebuild.swap(world.source, world.warehouse, "rebuild")


def test_a_table_that_nobody_changed_is_equal(world: World) -> None:
    world.take("a,1,x", "b,2,y")
    world.take("a,1,x", "b,3,y", "c,4,z")
    found = verified(world)
    assert (found.equal, found.differing, found.notes) == (3, 0, ())


def test_a_swap_leaves_the_rows_and_keeps_every_invariant(world: World) -> None:
    world.take("a,1,x", "b,bad,y")
    world.take("a,1,x", "b,3,y", "c,4,z", "d,bad,")
    before = world.query("SELECT * FROM core.goods ORDER BY code")
    swap(world)
    assert world.query("SELECT * FROM core.goods ORDER BY code") == before
    assert world.violations() == []


def test_a_changed_key_is_loaded_by_a_rebuild(world: World) -> None:
    world.take("a,1,x", "b,2,y")
    world.take("a,5,z", "b,2,y")
    changed = world.other(schema=BY_NOTE)
    with pytest.raises(IncompatibleTableError, match="etl-assets rebuild goods --swap"):
        changed.take("a,6,z", "b,2,y")
    swap(changed)
    assert changed.rows() == [("a", 6, "z"), ("a", 1, "x"), ("b", 2, "y")] or sorted(changed.rows()) == [
        ("a", 1, "x"),
        ("a", 6, "z"),
        ("b", 2, "y"),
    ]
    assert changed.violations() == []
    changed.take("c,1,w")
    assert changed.violations() == []


def test_a_changed_type_is_loaded_by_a_rebuild(world: World) -> None:
    world.take("a,1,x", "b,bad,y")
    changed = world.other(schema=AS_TEXT)
    swap(changed)
    assert changed.rows() == [("a", "1", "x"), ("b", "bad", "y")]
    assert changed.waiting() == []
    assert changed.violations() == []
