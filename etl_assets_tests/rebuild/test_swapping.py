"""A swap shows no reader an error or half a table, and keeps what people attached to the table."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest

from etl_assets import rebuild
from etl_assets.errors import BusyError, RebuildError
from etl_assets.load.writers import Append, History, Snapshot, Upsert
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import locks
from etl_assets.schema import Column, PartitionBy
from etl_assets_tests.ingest.world import GOODS, ending_after
from etl_assets_tests.rebuild.test_building import swap, verified

if TYPE_CHECKING:
    from typing import LiteralString

    from etl_assets_tests.ingest.world import World

DAILY = replace(GOODS, columns=(*GOODS.columns, Column("day", "date", required=True)), key=("code", "day"))
HEADER = "code,amount,note,day"


def execute(world: World, *statements: LiteralString) -> None:
    with connected(world.url) as connection:
        for statement in statements:
            connection.execute(statement)


def test_readers_see_the_old_table_or_the_new_one(world: World) -> None:
    world.take(*(f"k{'x' * number},{number},old" for number in range(200)))
    changed = world.other(schema=replace(GOODS, columns=(*GOODS.columns[:2], Column("note", "text", null=("old",)))))
    seen: set[tuple[int, int]] = set()
    failures: list[BaseException] = []
    over = threading.Event()

    def read() -> None:
        try:
            with connected(world.url) as connection:
                while not over.is_set():
                    seen.update(connection.execute("SELECT count(*), count(note) FROM core.goods").fetchall())
        except BaseException as error:
            failures.append(error)
            raise

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for here in (changed, world, changed):
            swap(here)
    finally:
        over.set()
        for reader in readers:
            reader.join()
    assert failures == []
    assert seen <= {(200, 200), (200, 0)}
    assert (200, 0) in seen


def test_rights_comments_views_and_references_stay(world: World) -> None:
    world.take("a,1,x", "b,2,y")
    execute(
        world,
        "GRANT SELECT ON core.goods TO PUBLIC",
        "GRANT UPDATE (note) ON core.goods TO PUBLIC",
        "COMMENT ON TABLE core.goods IS 'ours'",
        "CREATE VIEW core.cheap AS SELECT code FROM core.goods WHERE amount < 2",
        "CREATE VIEW core.cheaper AS SELECT * FROM core.cheap",
        "GRANT SELECT ON core.cheap TO PUBLIC",
        "CREATE TABLE core.sold (code text REFERENCES core.goods)",
        "CREATE INDEX by_amount ON core.goods (amount)",
    )
    swap(world)
    assert world.query(
        "SELECT obj_description('core.goods'::regclass, 'pg_class'), "
        "has_table_privilege('pg_monitor', 'core.goods', 'SELECT'), "
        "has_column_privilege('pg_monitor', 'core.goods', 'note', 'UPDATE'), "
        "has_table_privilege('pg_monitor', 'core.cheap', 'SELECT')"
    ) == [("ours", True, True, True)]
    assert world.query("SELECT code FROM core.cheaper") == [("a",)]
    assert world.query("SELECT count(*) FROM pg_indexes WHERE tablename = 'goods' AND indexname = 'by_amount'") == [
        (1,)
    ]
    assert world.query("SELECT count(*) FROM pg_constraint WHERE confrelid = 'core.goods'::regclass") == [(1,)]
    assert world.violations() == []


def test_a_view_that_does_not_fit_refuses_the_swap(world: World) -> None:
    world.take("a,1,x")
    execute(world, "CREATE VIEW core.notes AS SELECT note FROM core.goods")
    changed = world.other(schema=replace(GOODS, columns=GOODS.columns[:2]))
    with pytest.raises(RebuildError, match=r"core\.notes"):
        swap(changed)
    assert world.query("SELECT note FROM core.notes") == [("x",)]


def test_nothing_is_left_of_a_rebuild(world: World) -> None:
    world.take("a,1,x", "b,bad,y")
    swap(world)
    rebuild.build(world.source, world.warehouse, "rebuild")
    assert rebuild.drop(world.source, world.warehouse)
    assert world.query("SELECT DISTINCT source FROM etl.delivery") == [("goods",)]
    assert world.query("SELECT DISTINCT source FROM etl.rejected") == [("goods",)]
    assert world.query("SELECT to_regclass('etl_rebuild.goods')") == [(None,)]


def test_a_swap_waits_for_no_load(world: World) -> None:
    delivery = world.take("a,1,x").delivery
    with connected(world.url) as connection:
        locks.lock(connection, "goods", delivery.partition)
        with pytest.raises(BusyError):
            swap(world)
        locks.unlock(connection)
    assert world.violations() == []


def test_an_interrupted_delivery_is_loaded_by_the_swap(world: World) -> None:
    world.publish("a,1,x", "b,2,y")
    delivery = world.land().delivery
    with pytest.raises(KeyboardInterrupt):
        world.load(delivery, ending_after(0))
    swap(world)
    assert world.rows() == [("a", 1, "x"), ("b", 2, "y")]
    assert world.violations() == []


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


def test_a_history_is_not_rebuilt(world: World) -> None:
    world.more = {"write": History()}
    world.take("a,1,x")
    with pytest.raises(RebuildError, match="cannot be built again beside itself"):
        verified(world)
