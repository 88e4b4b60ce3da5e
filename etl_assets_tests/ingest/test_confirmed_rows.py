"""A row that something newer confirmed keeps an older mark; nothing older than the confirmation may overwrite it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import ingest
from etl_assets.errors import TransformError
from etl_assets.extract.formats.csv import Csv
from etl_assets.load.transaction import BatchTransaction
from etl_assets.load.writers import Upsert
from etl_assets.load.writers.keyed_rows import KeyedRows
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries
from etl_assets.schema import Column, Schema
from etl_assets.transform import Transformer
from etl_assets_tests.chaos.wrong_transactions import OutOfTurn
from etl_assets_tests.ingest.world import GOODS

if TYPE_CHECKING:
    from concurrent.futures import Future

    import pandas as pd

    from etl_assets.load import LoadReport
    from etl_assets.load.prepare import Prepared
    from etl_assets.load.writers import WriterContext
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.ledger.entries import Entry, Kind
    from etl_assets_tests.ingest.world import World

ORDERS = Schema(
    (Column("id", "integer", required=True), Column("code", "text", references="core.goods.code")), key=("id",)
)


def reload(world: World, delivery: Delivery) -> LoadReport:
    with connected(world.url) as connection:
        delivery = deliveries.by_id(connection, delivery.id) or delivery
    return ingest.load(world.source, delivery, world.warehouse, "reload", force=True)


@pytest.fixture
def filed(world: World) -> World:
    """A world in which each file is a partition."""
    return world.other(files=True)


def test_a_row_that_a_replay_confirmed_is_not_overwritten_by_something_older(filed: World) -> None:
    filed.take("plum,1,", file="a.csv")
    filed.take("plum,many,", file="c.csv")
    filed.correct(filed.waiting()[0], amount="1")
    filed.replay()
    filed.take("plum,2,", file="b.csv")
    assert filed.rows() == [("plum", 1, None)]
    assert filed.violations() == []


def test_a_record_that_was_parked_confirms_nothing(world: World) -> None:
    world.take("apple,1,", "plum,1,")
    orders = replace(world, name="orders", schema=ORDERS, files=True)
    header = "id,code"
    orders.take("1,apple", file="a.csv", header=header)
    orders.take("1,apple", "2,nothing", file="c.csv", header=header)
    orders.take("2,plum", file="b.csv", header=header)
    assert orders.rows() == [(1, "apple"), (2, "plum")]
    assert orders.violations() == []


def test_a_record_that_was_parked_does_not_protect_a_row(world: World) -> None:
    world.take("apple,1,", "plum,1,")
    orders = replace(world, name="orders", schema=ORDERS, files=True)
    header = "id,code"
    orders.take("1,apple", "2,apple", file="a.csv", header=header)
    orders.take("1,apple", "2,nothing", file="c.csv", header=header)
    orders.take("2,plum", file="b.csv", header=header)
    assert orders.rows() == [(1, "apple"), (2, "plum")]


def test_a_greater_order_column_overwrites_a_row_that_a_newer_delivery_confirmed(filed: World) -> None:
    versioned = Schema((*GOODS.columns[:2], Column("version", "integer", required=True)), ("code",), order_by="version")
    filed.schema = versioned
    header = "code,amount,version"
    filed.take("plum,1,1", file="a.csv", header=header)
    filed.take("plum,1,1", file="c.csv", header=header)
    filed.take("plum,2,2", file="b.csv", header=header)
    assert filed.rows() == [("plum", 2, 2)]


def test_a_replayed_record_overwrites_a_row_that_an_earlier_record_of_its_delivery_confirmed(world: World) -> None:
    world.take("plum,1,")
    world.take("plum,1,", "plum,many,", "fig,1,")
    world.correct(world.waiting()[0], amount="5")
    world.replay()
    assert world.rows() == [("fig", 1, None), ("plum", 5, None)]


def test_a_reloaded_delivery_keeps_the_rows_that_a_newer_one_confirmed(filed: World) -> None:
    first = filed.take("plum,1,", "fig,1,", file="a.csv")
    filed.take("plum,1,", file="b.csv")
    report = reload(filed, first.delivery)
    assert filed.rows() == [("fig", 1, None), ("plum", 1, None)]
    assert report.counts.deleted == 0
    assert filed.violations() == []


def test_partitions_that_are_reloaded_newest_first_keep_their_rows(filed: World) -> None:
    reports = [filed.take("plum,1,", "fig,1,", file="a.csv"), filed.take("plum,1,", "fig,1,", file="b.csv")]
    for report in reversed(reports):
        reload(filed, report.delivery)
    assert filed.rows() == [("fig", 1, None), ("plum", 1, None)]
    assert filed.violations() == []


def test_a_reloaded_delivery_keeps_the_row_that_it_no_longer_yields_and_a_newer_one_confirmed(filed: World) -> None:
    filed.schema = replace(GOODS, columns=(*GOODS.columns[:2], Column("note", "text", null=("NA",))))
    first = filed.take("plum,1,NA", "fig,1,NA", file="a.csv")
    filed.take("plum,1,", file="b.csv")
    filed.schema = replace(GOODS, columns=(*GOODS.columns[:2], Column("note", "text", allowed=("ripe",))))
    report = reload(filed, first.delivery)
    assert (report.counts.rejected, report.counts.deleted) == (2, 1)
    assert filed.rows() == [("plum", 1, None)]


def test_a_correction_stays_when_its_record_is_now_valid_as_published(world: World) -> None:
    first = world.take("plum,-5,")
    world.correct(world.waiting()[0], amount="1")
    world.replay()
    world.schema = replace(GOODS, columns=(GOODS["code"], Column("amount", "integer"), GOODS["note"]))
    report = reload(world, first.delivery)
    assert report.counts.rejected == 0
    assert world.rows() == [("plum", 1, None)]
    assert world.violations() == []


def test_a_row_that_a_newer_delivery_confirmed_stays_after_that_delivery_is_reloaded(filed: World) -> None:
    filed.take("plum,1,", file="a.csv")
    newer = filed.take("plum,1,", file="c.csv")
    reload(filed, newer.delivery)
    filed.take("plum,2,", file="b.csv")
    assert filed.rows() == [("plum", 1, None)]


def test_a_row_that_a_newer_delivery_confirmed_among_rows_that_it_changed_stays(filed: World) -> None:
    filed.format = Csv(batch_bytes=64)
    long = "x" * 40
    filed.take(f"fig,1,{long}", f"plum,1,{long}", file="a.csv")
    filed.take(f"fig,2,{long}", f"plum,1,{long}", file="c.csv")
    filed.take(f"plum,9,{long}", file="b.csv")
    assert [row[:2] for row in filed.rows()] == [("fig", 2), ("plum", 1)]


def test_a_row_that_a_correction_confirmed_stays_when_its_delivery_is_reloaded(filed: World) -> None:
    filed.take("plum,1,", file="a.csv")
    second = filed.take("plum,2,", "plum,many,", file="b.csv")
    filed.correct(filed.waiting()[0], amount="1")
    filed.take("plum,1,", file="b0.csv")
    filed.replay()
    assert filed.rows() == [("plum", 1, None)]
    reload(filed, second.delivery)
    assert filed.rows() == [("plum", 1, None)]


def test_an_older_file_is_loaded_after_the_format_changed_and_before_the_newer_one_is_reloaded(filed: World) -> None:
    filed.take("plum,1,", file="a.csv")
    filed.take("plum,1,", "#fig,1,", file="c.csv")
    changed = filed.other(format=Csv(batch_bytes=4096, comment="#"))
    changed.take("plum,2,", file="b.csv")
    assert changed.rows() == [("plum", 1, None)]


def test_a_correction_by_a_columns_newest_name_keeps_the_values_of_the_other_records(world: World) -> None:
    named = Column("amount", "integer", published_as=("amount", "quantity"))
    world.schema = replace(GOODS, columns=(GOODS["code"], named, GOODS["note"]))
    world.take("plum,5,,", "Fig,7,", header="code,quantity,note")
    malformed, misnamed = world.waiting()
    world.correct(malformed, code="plum", amount="5", note=None)
    world.correct(misnamed, code="fig")
    world.replay()
    assert world.rows() == [("fig", 7, None), ("plum", 5, None)]


def test_the_correction_of_one_record_keeps_the_values_of_a_parked_one(world: World) -> None:
    world.take("apple,1,")
    coded = Column("code", "text", published_as=("code", "item"), references="core.goods.code")
    orders = replace(world, name="orders", schema=Schema((ORDERS["id"], coded), key=("id",)))
    orders.take("1,apple,", "2,plum", header="id,item")
    world.take("apple,1,", "plum,1,")
    malformed = orders.waiting()[0]
    orders.correct(malformed, id="1", code="apple")
    orders.replay()
    assert orders.rows() == [(1, "apple"), (2, "plum")]


@dataclass(frozen=True)
class Returns(Transformer):
    """Returns something other than a frame of records."""

    what: str = "none"

    def transform(self, frame: pd.DataFrame) -> Any:
        import pandas as pd

        if self.what == "none":
            return None
        if self.what == "series":
            return frame["code"]
        if self.what == "text index":
            return frame.set_index(pd.Index(["x"] * len(frame)))
        return frame.set_index(["code", "amount"], drop=False)


@pytest.mark.parametrize("what", ["none", "series", "text index", "two levels"])
def test_a_transformer_that_returns_no_frame_of_records_raises_an_error(world: World, what: str) -> None:
    world.more = {"transformer": Returns(what)}
    world.publish("apple,3,")
    with pytest.raises(TransformError, match="batch was not written"):
        world.load(world.land().delivery)


def test_a_key_whose_last_record_is_now_rejected_gets_the_row_of_the_record_before(world: World) -> None:
    world.format = Csv(batch_bytes=64)
    long = "x" * 40
    world.take(f"plum,1,{long}", f"plum,9,{long}")
    capped = replace(GOODS, columns=(GOODS["code"], GOODS["amount"].replace(maximum=3), GOODS["note"]))
    changed = world.other(schema=capped)
    changed.load(changed.land().delivery)
    assert [row[:2] for row in changed.rows()] == [("plum", 1)]


def test_a_newer_file_that_is_landed_and_loaded_meanwhile_is_not_overwritten(filed: World) -> None:
    filed.format = Csv(batch_bytes=64)
    long = "x" * 40

    class Overtaken(BatchTransaction):
        done = False

        def run(self, prepared: Prepared) -> Entry:
            if prepared.batch.span.batch == 2 and not type(self).done:
                type(self).done = True
                filed.take(f"plum,9,{long}", file="z.csv")
            return super().run(prepared)

    filed.publish(f"fig,1,{long}", f"plum,1,{long}", file="a.csv")
    filed.load(filed.land("a.csv").delivery, Overtaken)
    assert Overtaken.done
    assert [row[:2] for row in filed.rows()] == [("fig", 1), ("plum", 9)]


def test_a_row_that_a_newer_file_confirms_meanwhile_is_not_overwritten(filed: World) -> None:
    filed.format = Csv(batch_bytes=64)
    long = "x" * 40

    class Overtaken(BatchTransaction):
        done = False

        def run(self, prepared: Prepared) -> Entry:
            if prepared.batch.span.batch == 2 and not type(self).done:
                type(self).done = True
                filed.take(f"plum,9,{long}", file="c.csv")
            return super().run(prepared)

    filed.take(f"plum,9,{long}", file="a.csv")
    filed.publish(f"plum,9,{long}", file="c.csv")
    filed.publish(f"fig,1,{long}", f"plum,1,{long}", file="b.csv")
    filed.land("c.csv")
    filed.load(filed.land("b.csv").delivery, Overtaken)
    assert Overtaken.done
    assert [row[:2] for row in filed.rows()] == [("fig", 1), ("plum", 9)]


@pytest.mark.parametrize("waits", [True, False])
def test_a_row_that_a_newer_file_confirms_concurrently_is_kept_only_if_transactions_wait_for_one_another(
    filed: World,
    waits: bool,  # noqa: FBT001
) -> None:
    """Neither of two concurrent transactions can see that the other is about to leave a row unchanged."""
    kind = BatchTransaction if waits else OutOfTurn
    filed.take("plum,9,", file="a.csv")
    filed.publish("plum,9,", file="c.csv")
    newer = filed.land("c.csv").delivery

    class Concurrent(KeyedRows):
        def protection(self, prepared: Prepared, kind_: Kind) -> Any:
            protect = super().protection(prepared, kind_)
            beside.append(pool.submit(filed.load, newer, kind))
            wait(beside, timeout=1.0)
            return protect

    class UpsertConcurrently(Upsert):
        def open(self, context: WriterContext) -> KeyedRows:
            return Concurrent(context)

    filed.publish("plum,1,", file="b.csv")
    beside: list[Future[LoadReport]] = []
    with ThreadPoolExecutor(1) as pool:
        other = filed.other(more={"write": UpsertConcurrently()})
        other.load(other.land("b.csv").delivery, kind)
    assert beside[0].result().delivery.status == "complete"
    assert filed.rows() == [("plum", 9 if waits else 1, None)]
