"""How full the pages of a table become is declared, and what takes the place of the table keeps it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import Column, History, PartitionBy, Schema, Snapshot, rebuild
from etl_assets.extract.formats.csv import Csv
from etl_assets.postgres.connection import connected
from etl_assets.postgres.tables import upsert

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World

DAYS = Schema((Column("day", "date", required=True), Column("code", "text", required=True)), key=("day", "code"))
LONG = "x" * 40


def filled(world: World, fillfactor: int | None, **more: Any) -> World:
    return world.other(name=world.name, more={"fillfactor": fillfactor, **more})


def options(world: World, table: str = "core.goods") -> Any:
    ((found,),) = world.query(f"SELECT reloptions FROM pg_class WHERE oid = '{table}'::regclass")
    return found


def updates(world: World) -> tuple[int, int, int]:
    """Return how many rows were updated, how many of them within their page, and how many were deleted."""
    written = "SELECT sum(inserted + updated) FROM etl.batch"
    counted = "SELECT n_tup_ins + n_tup_upd, n_tup_upd, n_tup_hot_upd, n_tup_del FROM pg_stat_user_tables"
    for _ in range(200):
        ((expected,),) = world.query(written)
        ((found, *numbers),) = world.query(f"{counted} WHERE relid = 'core.goods'::regclass")
        if found >= expected:
            return tuple(numbers)
        time.sleep(0.05)
    raise AssertionError("the server did not count the rows")


def test_a_table_is_created_with_the_fillfactor_that_is_declared(world: World) -> None:
    filled(world, 45).take("a,1,x")
    assert options(world) == ["fillfactor=45"]


def test_a_table_without_one_is_left_alone(world: World) -> None:
    world.take("a,1,x")
    assert options(world) is None
    with connected(world.url) as connection:
        connection.execute("ALTER TABLE core.goods SET (fillfactor = 70)")
    world.take("a,2,x")
    assert options(world) == ["fillfactor=70"]


def test_another_declaration_changes_the_table_with_the_next_delivery(world: World) -> None:
    filled(world, 45).take("a,1,x")
    here = filled(world, 90)
    here.take("a,2,x")
    assert options(here) == ["fillfactor=90"]
    assert here.rows() == [("a", 2, "x")]


def test_it_does_not_decide_what_rows_the_bytes_become(world: World) -> None:
    assert filled(world, 45).source.fingerprint == world.source.fingerprint


def test_the_table_of_a_history_has_it(world: World) -> None:
    filled(world, 45, write=History()).take("a,1,x")
    assert options(world, "core.goods_history") == ["fillfactor=45"]


def test_child_tables_have_it_also_those_that_are_made_before_it_is_declared(world: World) -> None:
    cut = {"partition_by": PartitionBy("day")}
    here = world.other(name="days", schema=DAYS, more=cut)
    here.take("2024-01-31,a", header="day,code")
    here = world.other(name="days", schema=DAYS, more={**cut, "fillfactor": 45})
    here.take("2024-01-31,b", "2024-02-01,a", header="day,code")
    found = here.query(
        "SELECT c.reloptions FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relkind = 'r'"
    )
    assert found == [(["fillfactor=45"],)] * 2


def test_a_rebuilt_table_has_it(world: World) -> None:
    here = filled(world, 45)
    here.take("a,1,x")
    before = here.query("SELECT 'core.goods'::regclass::oid")
    rebuild.swap(here.source, here.warehouse, "rebuild")
    assert here.query("SELECT 'core.goods'::regclass::oid") != before
    assert options(here) == ["fillfactor=45"]


def test_the_new_table_of_a_snapshot_has_it(world: World) -> None:
    more = {"fillfactor": 45, "write": Snapshot(max_deleted=0.5, swap_from=2)}
    here = world.other(name=world.name, format=Csv(batch_bytes=64), more=more)
    here.take(*(f"{code},1,{LONG}" for code in "abcd"))
    before = here.query("SELECT 'core.goods'::regclass::oid")
    here.take(*(f"{code},2,{LONG}" for code in "abcd"))
    assert here.query("SELECT 'core.goods'::regclass::oid") != before
    assert options(here) == ["fillfactor=45"]


@pytest.mark.usefixtures("_many")
def test_many_changed_rows_are_updated_within_pages_that_have_room(world: World) -> None:
    here = filled(world, 45)
    here.take(*(f"a{'b' * number},1,x" for number in range(20)))
    report = here.take(*(f"a{'b' * number},{min(number, 2)},x" for number in range(25)))
    counts = report.counts
    assert (counts.inserted, counts.updated, counts.unchanged) == (5, 19, 1)
    assert updates(here) == (19, 19, 0)


@pytest.mark.usefixtures("_many")
@pytest.mark.parametrize("declared", [None, 51])
def test_they_are_replaced_where_pages_have_no_room_for_all_of_them(world: World, declared: int | None) -> None:
    here = filled(world, declared)
    here.take(*(f"a{'b' * number},1,x" for number in range(20)))
    here.take(*(f"a{'b' * number},2,x" for number in range(20)))
    assert updates(here) == (0, 0, 20)


@pytest.mark.usefixtures("_many")
def test_they_are_replaced_where_another_index_would_be_written(world: World) -> None:
    here = filled(world, 45)
    here.take(*(f"a{'b' * number},1,x" for number in range(20)))
    with connected(here.url) as connection:
        connection.execute("CREATE INDEX ON core.goods (amount)")
    here.take(*(f"a{'b' * number},2,x" for number in range(20)))
    assert updates(here) == (0, 0, 20)


@pytest.fixture
def _many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let few rows be written as many are."""
    monkeypatch.setattr(upsert, "REPLACED_FROM", 1)
