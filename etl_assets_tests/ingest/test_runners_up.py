"""What a reload takes away gives way to the newest valid version among the other deliveries."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from etl_assets import ingest
from etl_assets.errors import LoadError
from etl_assets.extract.formats.csv import Csv
from etl_assets.graph.assets.stream import Stream
from etl_assets.load.transaction import BatchTransaction
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries
from etl_assets.schema import Column
from etl_assets_tests.ingest.world import GOODS

if TYPE_CHECKING:
    from etl_assets.load.prepare import Prepared
    from etl_assets.postgres.ledger.entries import Entry
    from etl_assets_tests.ingest.world import World

CAPPED = replace(GOODS, columns=(GOODS["code"], Column("amount", "integer", minimum=0, maximum=1000), GOODS["note"]))
STRICT = replace(GOODS, columns=(GOODS["code"], Column("amount", "integer", minimum=5), GOODS["note"]))
LOOSE = replace(GOODS, columns=(GOODS["code"], Column("amount", "integer"), GOODS["note"]))


def run(world: World, file: str = "", *, force: bool = False) -> Stream:
    """Run a partition as Dagster does, without landing again."""
    partition = world.source.partition(file or None)
    stream = Stream(world.source, partition, "run", force=force, batches=(), on_refusal=lambda *_: None)
    stream.load(world.warehouse)
    return stream


def stale(world: World) -> list[str]:
    with connected(world.url) as connection:
        return [d.partition for d in deliveries.stale(connection, world.name, world.source.fingerprint)]


def test_an_older_delivery_of_the_partition_brings_its_version_back(world: World) -> None:
    world.take("plum,10,", "fig,5,")
    world.take("plum,2000,", "fig,5,")
    world.schema = CAPPED
    stream = run(world)
    assert world.rows() == [("fig", 5, None), ("plum", 10, None)]
    assert [report.delivery.id for report in stream.reloaded] == [1]
    assert world.violations() == []


def test_a_version_in_another_partition_comes_back_in_the_same_run_once_all_were_read(world: World) -> None:
    world.files = True
    world.take("plum,10,", file="a.csv")
    world.take("plum,2000,", file="b.csv")
    world.schema = CAPPED
    run(world, "a.csv")
    assert stale(world) == ["b.csv"]
    run(world, "b.csv")
    assert world.rows() == [("plum", 10, None)]
    assert stale(world) == []


def test_the_newest_partition_read_first_leaves_nothing_to_read_twice(world: World) -> None:
    world.files = True
    world.take("plum,10,", file="a.csv")
    world.take("plum,2000,", file="b.csv")
    world.schema = CAPPED
    run(world, "b.csv")
    assert stale(world) == ["a.csv"]
    assert run(world, "a.csv").reloaded == []
    assert world.rows() == [("plum", 10, None)]


def test_a_version_in_a_partition_that_is_busy_is_left_to_the_next_run(world: World) -> None:
    world.files = True
    world.take("plum,10,", file="a.csv")
    world.take("plum,2000,", file="b.csv")
    world.schema = CAPPED
    run(world, "a.csv")

    class Meanwhile(BatchTransaction):
        def run(self, prepared: Prepared) -> Entry:
            assert run(world, "b.csv").reloaded == []
            return super().run(prepared)

    world.publish("pear,1,", file="a.csv")
    world.load(world.land("a.csv").delivery, Meanwhile)
    assert world.rows() == [("pear", 1, None)]
    assert set(stale(world)) == {"a.csv"}
    run(world, "b.csv")
    assert world.rows() == [("pear", 1, None), ("plum", 10, None)]


def test_a_column_that_is_declared_later_is_filled_from_every_delivery(world: World) -> None:
    world.schema = replace(GOODS, columns=GOODS.columns[:2])
    world.take("plum,1,ripe")
    world.take("fig,2,green")
    world.schema = GOODS
    run(world)
    assert world.rows() == [("fig", 2, "green"), ("plum", 1, "ripe")]


def test_a_key_that_a_declared_order_gives_to_an_older_delivery_is_given_back(world: World) -> None:
    ranked = replace(GOODS, columns=(GOODS["code"], Column("amount", "integer", required=True), GOODS["note"]))
    world.schema = replace(ranked, order_by="amount")
    world.take("plum,7,old")
    world.take("plum,9,new")
    world.schema = replace(world.schema, columns=(ranked["code"], ranked["amount"].replace(maximum=8), ranked["note"]))
    run(world)
    assert world.rows() == [("plum", 7, "old")]


def test_a_delivery_that_is_reloaded_with_no_records_loses_its_rows(world: World) -> None:
    world.format = Csv(batch_bytes=4096, header=("code", "amount", "note"), comment="code")
    world.take("plum,1,", "plum,2,", "pear,3,")
    assert len(world.rows()) == 2
    world.format = Csv(batch_bytes=4096, header=("code", "amount", "note"), skip_lines=4)
    report = run(world).reports[-1]
    assert (report.counts.read, report.counts.deleted) == (0, 2)
    assert world.rows() == []
    assert world.violations() == []


def test_a_row_gets_the_mark_of_the_newer_record_that_confirmed_it(world: World) -> None:
    world.files = True
    world.take("plum,1,", file="a.csv")
    newer = world.take("fig,1,", "plum,1,", file="c.csv").delivery
    world.take("plum,2,", file="b.csv")
    assert world.query("SELECT amount, _delivery_id, _record_no FROM core.goods WHERE code = 'plum'") == [
        (1, newer.id, 2)
    ]


def test_a_correction_that_a_stricter_declaration_rejects_waits_again_and_can_be_loaded_later(world: World) -> None:
    world.take("plum,-5,")
    world.correct(world.waiting()[0], amount="1")
    world.replay()
    world.schema = STRICT
    run(world)
    assert world.rows() == []
    (record,) = world.waiting()
    assert (record.fields, record.correction) == ({"code": "plum", "amount": "-5", "note": None}, {"amount": "1"})
    assert world.violations() == []
    world.schema = LOOSE
    run(world)
    assert (world.rows(), world.waiting()) == ([("plum", 1, None)], [])
    assert world.violations() == []


def test_a_correction_that_is_entered_during_a_reload_stops_it(world: World) -> None:
    world.take("plum,-5,")
    (record,) = world.waiting()
    world.correct(record, amount="-1")
    world.replay()
    world.schema = STRICT

    class Corrected(BatchTransaction):
        def run(self, prepared: Prepared) -> Entry:
            world.correct(record, amount="6")
            return super().run(prepared)

    with pytest.raises(LoadError, match="corrected while it was being reloaded"):
        world.load(world.land().delivery, Corrected)
    run(world)
    assert world.rows() == []
    world.replay()
    assert world.rows() == [("plum", 6, None)]
    assert world.violations() == []


def test_a_parked_record_that_was_replayed_as_it_came_waits_again_when_it_is_rejected_again(world: World) -> None:
    world.take("plum,3,")
    world.schema = STRICT
    run(world)
    assert [record.status for record in world.waiting()] == ["open"]
    world.schema = GOODS
    world.replay()
    assert world.rows() == [("plum", 3, None)]
    world.schema = STRICT
    run(world, force=True)
    assert world.rows() == []
    assert [record.status for record in world.waiting()] == ["open"]
    assert world.violations() == []


def test_batches_that_are_reloaded_alone_make_the_whole_delivery_stale_if_they_lose_a_row(world: World) -> None:
    world.format = Csv(batch_bytes=64)
    long = "x" * 40
    report = world.take(f"plum,1,{long}", f"fig,1,{long}")
    world.query("UPDATE core.goods SET code = 'pear' WHERE code = 'fig' RETURNING 1")
    ingest.load(world.source, report.delivery, world.warehouse, "run", batches=[2])
    assert [row[0] for row in world.rows()] == ["fig", "plum"]
    assert stale(world) == [""]
    run(world)
    assert stale(world) == []
