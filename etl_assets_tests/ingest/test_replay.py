"""Replays load quarantined records, and never overwrite anything newer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from etl_assets import ingest
from etl_assets.errors import BusyError
from etl_assets.extract.formats.csv import Csv
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import locks
from etl_assets.postgres.runs.asset_metadata import sample_places
from etl_assets.schema import Column, References, Schema
from etl_assets_tests.ingest.world import GOODS

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets_tests.ingest.world import World


def statuses(world: World) -> list[str]:
    return [status for (status,) in world.query("SELECT status FROM etl.rejected ORDER BY id")]


def test_a_corrected_record_is_loaded_under_its_own_number(world: World) -> None:
    report = world.take("apple,3,", "plum,many,")
    world.correct(world.waiting()[0], amount="5")
    assert world.replay().replayed == 1
    assert world.rows() == [("apple", 3, None), ("plum", 5, None)]
    marks = world.query("SELECT _delivery_id, _record_no FROM core.goods WHERE code = 'plum'")
    assert marks == [(report.delivery.id, 2)]
    assert statuses(world) == ["replayed"]
    assert world.violations() == []


def test_a_second_replay_does_nothing(world: World) -> None:
    world.take("plum,many,")
    world.correct(world.waiting()[0], amount="5")
    world.replay()
    assert world.replay().counts.read == 0
    assert world.violations() == []


@pytest.mark.parametrize("name", ["*", "^.*$"])
def test_a_record_of_a_delivery_with_a_name_that_polars_expands_is_replayed(world: World, name: str) -> None:
    world.take("apple,3,,", "plum,many,,", header=f"code,amount,note,{name}")
    world.correct(world.waiting()[0], amount="5")
    assert world.replay().replayed == 1


def test_a_record_that_still_breaks_rules_keeps_waiting_with_the_rules_that_it_breaks_now(world: World) -> None:
    world.take("Plum,many,")
    world.correct(world.waiting()[0], amount="5")
    assert world.replay().replayed == 0
    assert [(record.rules, record.replays) for record in world.waiting()] == [(["code__pattern"], 1)]
    assert world.violations() == []


def test_a_check_after_a_reload_shows_the_places_of_the_records_that_still_break_its_rule(world: World) -> None:
    report = world.take("plum,many,", "fig,few,")
    world.correct(world.waiting()[0], amount="5")
    world.replay()
    ingest.load(world.source, report.delivery, world.warehouse, "run", force=True)
    with connected(world.url) as connection:
        assert sample_places(connection, [report.delivery.id]) == {"amount__type": ["record 2 at :3"]}


def test_a_replayed_record_never_overwrites_a_newer_row(world: World) -> None:
    world.take("Plum,5,")
    world.take("plum,9,newer")
    world.correct(world.waiting()[0], code="plum")
    report = world.replay()
    assert world.rows() == [("plum", 9, "newer")]
    assert report.counts.unchanged == 1
    assert world.violations() == []


def test_a_replayed_record_never_overwrites_a_row_that_a_newer_delivery_confirmed_without_changing_it(
    world: World,
) -> None:
    world.take("plum,9,")
    world.take("Plum,5,", "fig,1,")
    world.take("plum,9,", "fig,2,")
    assert world.query("SELECT _delivery_id FROM core.goods WHERE code = 'plum'") == [(1,)]
    world.correct(world.waiting()[0], code="plum")
    world.replay()
    assert ("plum", 9, None) in world.rows()
    assert world.violations() == []


def test_a_replayed_record_never_overwrites_a_row_that_a_later_record_of_its_delivery_confirmed(world: World) -> None:
    world.take("plum,9,")
    world.take("plum,many,", "fig,1,", "plum,9,")
    world.correct(world.waiting()[0], amount="5")
    world.replay()
    assert ("plum", 9, None) in world.rows()


def test_a_replayed_record_overwrites_an_older_row(world: World) -> None:
    world.take("plum,9,")
    world.take("plum,many,", "fig,1,")
    world.correct(world.waiting()[0], amount="5")
    world.replay()
    assert ("plum", 5, None) in world.rows()


@pytest.mark.parametrize("rank", [3, 1])
def test_the_order_column_decides_whether_a_replay_overwrites_a_row(world: World, rank: int) -> None:
    version = Column("version", "integer", required=True)
    world.schema = replace(GOODS, columns=(*GOODS.columns, version), order_by="version")
    header = "code,amount,note,version"
    world.take(f"Plum,5,,{rank}", header=header)
    world.take("plum,9,,2", header=header)
    world.correct(world.waiting()[0], code="plum")
    world.replay()
    assert world.rows() == ([("plum", 5, None, 3)] if rank == 3 else [("plum", 9, None, 2)])


def test_an_older_file_that_is_restated_does_not_overwrite_a_row_that_a_newer_one_confirmed(world: World) -> None:
    world.files = True
    world.take("plum,1,", file="a.csv")
    world.take("plum,1,", "fig,1,", file="b.csv")
    report = world.take("plum,7,", "lime,1,", file="a.csv")
    assert world.rows() == [("fig", 1, None), ("lime", 1, None), ("plum", 1, None)]
    assert (report.counts.unchanged, report.counts.inserted) == (1, 1)
    assert world.violations() == []


def test_a_record_that_was_replayed_under_a_declaration_that_is_withdrawn_waits_after_the_next_load(
    world: World,
) -> None:
    delivery = world.take("Plum,5,", "fig,1,").delivery
    relaxed = replace(GOODS, columns=(Column("code", "text", required=True), *GOODS.columns[1:]))
    world.other(schema=relaxed).replay()
    assert world.rows() == [("Plum", 5, None), ("fig", 1, None)]
    world.load(delivery)
    assert world.rows() == [("fig", 1, None)]
    assert [record.rules for record in world.waiting()] == [["code__pattern"]]
    assert world.violations() == []


def test_malformed_records_are_kept_completely_and_replayed_after_the_format_is_corrected(world: World) -> None:
    world.take("plum,5", "fig,1,x")
    assert [record.raw for record in world.waiting()] == [b"plum,5"]
    tolerant = world.other(format=Csv(batch_bytes=4096, short_records=True))
    assert tolerant.replay().replayed == 1
    assert world.rows() == [("fig", 1, "x"), ("plum", 5, None)]


def test_a_malformed_record_can_be_corrected_field_by_field(world: World) -> None:
    world.take(b"pl\xffum,5,", "fig,1,")
    world.correct(world.waiting()[0], code="plum", amount="5", note=None)
    world.replay()
    assert ("plum", 5, None) in world.rows()


def test_the_first_correction_of_a_malformed_record_needs_every_column(world: World) -> None:
    world.take(b"pl\xffum,5,fresh", "fig,1,")
    with pytest.raises(ValueError, match="none of its values is known, and these columns would be empty: note"):
        world.correct(world.waiting()[0], code="plum", amount="6")
    world.correct(world.waiting()[0], code="plum", amount="many", note="fresh")
    world.correct(world.waiting()[0], amount="6")
    world.replay()
    assert ("plum", 6, "fresh") in world.rows()


def test_a_correction_counts_once_a_replay_has_read_it_and_not_when_it_is_entered(world: World) -> None:
    delivery = world.take("plum,many,", "fig,1,").delivery
    world.correct(world.waiting()[0], amount="too many")
    world.replay()
    world.correct(world.waiting()[0], amount="5")
    world.load(delivery)
    assert world.rows() == [("fig", 1, None)]
    world.replay()
    world.other(schema=replace(GOODS, key=("code",), repeated_keys="last")).load(delivery)
    assert world.rows() == [("fig", 1, None), ("plum", 5, None)]


def test_a_correction_that_was_replayed_gives_way_to_a_new_one_before_that_is_replayed(world: World) -> None:
    world.schema = replace(GOODS, columns=(Column("code", "text", required=True), *GOODS.columns[1:]))
    strict = world.other(schema=GOODS)
    delivery = strict.take("Plum,5,", "fig,1,").delivery
    strict.correct(strict.waiting()[0], code="Apple")
    strict.replay()
    strict.correct(strict.waiting()[0], code="apple")
    world.load(delivery)
    assert world.rows() == [("Plum", 5, None), ("fig", 1, None)]
    assert world.violations() == []


def test_a_correction_waits_for_the_batch_that_is_being_written(world: World) -> None:
    world.take("plum,many,", "fig,1,")
    record = world.waiting()[0]
    with connected(world.url) as connection, ThreadPoolExecutor(1) as pool:
        with connection.transaction():
            locks.lock_writes(connection, "goods")
            entered = pool.submit(world.correct, record, amount="5")
            with pytest.raises(TimeoutError):
                entered.result(0.5)
        entered.result(10)
    assert world.waiting()[0].correction == {"amount": "5"}


def test_a_correction_of_a_name_that_is_no_column_is_refused(world: World) -> None:
    world.take("plum,many,")
    with pytest.raises(ValueError, match="neither a column"):
        world.correct(world.waiting()[0], colour="red")


def test_a_replay_during_a_run_of_the_partition_fails_because_it_is_busy(world: World) -> None:
    world.take("plum,many,")
    with connected(world.url) as other:
        locks.lock(other, "goods", "")
        with pytest.raises(BusyError):
            world.replay()
    assert statuses(world) == ["open"]


@pytest.fixture
def orders(world: World) -> Callable[[], World]:
    def referring() -> World:
        schema = Schema(
            (
                Column("id", "integer", required=True),
                Column("code", "text", references="core.goods.code"),
                Column("by", "text", references=References("core.people.name", missing="report")),
            ),
            key=("id",),
        )
        return replace(world, name="orders", schema=schema)

    return referring


def test_parked_records_are_released_when_their_parents_have_arrived_and_not_before(
    world: World, orders: Callable[[], World]
) -> None:
    world.take("apple,1,")
    placed = orders()
    source, warehouse = placed.source, placed.warehouse
    placed.publish("1,apple,ada", "2,plum,ada", "3,fig,ada", header="id,code,by")
    path = world.folder / "orders" / "goods.csv"
    assert path.exists()
    report = placed.load(placed.land().delivery)
    assert (report.counts.rejected, report.rules) == (2, {"code__references": 2, "by__references": 3})
    assert ingest.releasable_ids(source, warehouse) == []
    world.take("apple,1,", "plum,1,")
    (released,) = ingest.releasable_ids(source, warehouse)
    assert placed.replay(released).replayed == 1
    assert [row[0] for row in placed.rows()] == [1, 2]
    assert placed.violations() == []
