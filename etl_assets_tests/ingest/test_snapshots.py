"""A snapshot deletes what its delivery no longer has: after it is complete, with consent, and never out of order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import ingest
from etl_assets.errors import DeclarationError, TooManyDeletedError
from etl_assets.extract.formats.csv import Csv
from etl_assets.load.writers import Snapshot
from etl_assets.model.partitions import Static
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries
from etl_assets.schema import Column, References, Schema
from etl_assets_tests.ingest.world import GOODS, ending_after

if TYPE_CHECKING:
    from etl_assets.load import LoadReport
    from etl_assets.model.delivery import Delivery
    from etl_assets_tests.ingest.world import World

LONG = "x" * 40
"""A note that makes each record a batch of its own, if batches have 64 bytes."""


@pytest.fixture(name="shop")
def _shop(world: World) -> World:
    return world.other(more={"write": Snapshot(max_deleted=0.5)})


@pytest.fixture(name="filed")
def _filed(world: World) -> World:
    return world.other(files=True)


def codes(world: World) -> list[str]:
    return [row[0] for row in world.rows()]


def consent(world: World, delivery: Delivery) -> LoadReport:
    return ingest.load(world.source, delivery, world.warehouse, "run", accept_deletes=True)


def status(world: World, delivery: Delivery) -> str:
    with connected(world.url) as connection:
        found = deliveries.by_id(connection, delivery.id)
    assert found is not None
    return found.status


def test_rows_that_the_newest_delivery_does_not_have_are_deleted(shop: World) -> None:
    shop.take("fig,1,", "plum,1,", "pear,1,")
    report = shop.take("fig,2,", "pear,1,", "kiwi,1,")
    assert [row[:2] for row in shop.rows()] == [("fig", 2), ("kiwi", 1), ("pear", 1)]
    counts = report.counts
    assert (counts.inserted, counts.updated, counts.unchanged, counts.deleted) == (1, 1, 1, 1)
    assert shop.violations() == []


def test_a_first_delivery_deletes_nothing(shop: World) -> None:
    assert shop.take("fig,1,").counts.deleted == 0


def test_a_delivery_that_was_loaded_before_deletes_nothing_again(shop: World) -> None:
    shop.take("fig,1,", "plum,1,")
    shop.take("fig,1,")
    report = ingest.load(shop.source, shop.land().delivery, shop.warehouse, "run", force=True)
    assert (report.counts.deleted, codes(shop)) == (0, ["fig"])
    assert shop.violations() == []


def test_the_deletion_names_the_delivery_that_no_longer_had_the_key_and_the_record_of_the_row(shop: World) -> None:
    first = shop.take("fig,1,", "plum,1,").delivery
    second = shop.take("fig,1,").delivery
    assert shop.query("SELECT deleted_by, key, delivery_id, record_no FROM etl.deletion") == [
        (second.id, {"code": "plum"}, first.id, 2)
    ]


def test_the_row_of_a_rejected_record_stays(shop: World) -> None:
    shop.take("fig,1,", "plum,1,")
    shop.take("fig,1,", "plum,-1,")
    assert [row[:2] for row in shop.rows()] == [("fig", 1), ("plum", 1)]


def test_the_row_of_a_parked_record_stays(world: World) -> None:
    parents = world.other(name="kinds", schema=Schema((Column("code", "text", required=True),), ("code",)))
    parents.take("a", header="code")
    note = Column("note", "text", references=References("core.kinds.code", missing="park"))
    shop = world.other(
        schema=replace(GOODS, columns=(*GOODS.columns[:2], note)), more={"write": Snapshot(max_deleted=0.5)}
    )
    shop.take("fig,1,a", "plum,1,a")
    shop.take("fig,1,a", "plum,2,b")
    assert [row[:2] for row in shop.rows()] == [("fig", 1), ("plum", 1)]


def test_a_delivery_with_a_key_that_cannot_be_read_deletes_nothing_and_says_so(world: World) -> None:
    number = Column("code", "integer", required=True)
    schema = replace(GOODS, columns=(number, *GOODS.columns[1:]))
    shop = world.other(schema=schema, more={"write": Snapshot(max_deleted=0.5)})
    shop.take("1,1,", "2,1,")
    shop.take("1,1,", "x,1,")
    assert shop.query("SELECT code FROM core.goods ORDER BY 1") == [(1,), (2,)]
    assert shop.query("SELECT notes FROM etl.batch WHERE kind = 'completion' ORDER BY id DESC LIMIT 1") == [
        ({"unreadable_keys": 1},)
    ]


def test_a_corrected_key_lets_the_next_run_delete_what_the_delivery_does_not_have(world: World) -> None:
    number = Column("code", "integer", required=True)
    schema = replace(GOODS, columns=(number, *GOODS.columns[1:]))
    shop = world.other(schema=schema, more={"write": Snapshot(max_deleted=0.5)})
    shop.take("1,1,", "2,1,")
    delivery = shop.take("1,1,", "x,1,").delivery
    (record,) = shop.waiting()
    shop.correct(record, code="3")
    shop.replay(record.id)
    shop.load(delivery)
    assert shop.query("SELECT code FROM core.goods ORDER BY 1") == [(1,), (3,)]
    assert shop.violations() == []


def test_more_deletions_than_max_deleted_refuse_the_delivery_with_their_number_and_first_keys(shop: World) -> None:
    shop.take("fig,1,", "plum,1,", "pear,1,")
    with pytest.raises(TooManyDeletedError, match=r"the keys of 2 of 3 rows.*consents to 1.*: pear; plum") as error:
        shop.take("fig,2,")
    assert "--accept-deletes" in str(error.value)
    assert [row[:2] for row in shop.rows()] == [("fig", 1), ("pear", 1), ("plum", 1)]
    assert shop.query("SELECT status FROM etl.delivery ORDER BY id") == [("complete",), ("refused",)]


def test_a_sensitive_key_is_not_shown(world: World) -> None:
    schema = replace(GOODS, columns=(Column("code", "text", required=True, sensitive=True), *GOODS.columns[1:]))
    shop = world.other(schema=schema, more={"write": Snapshot(max_deleted=0.0)})
    shop.take("fig,1,", "plum,1,")
    with pytest.raises(TooManyDeletedError, match="sensitive") as error:
        shop.take("fig,1,")
    assert "plum" not in str(error.value)


def test_a_person_consents_to_more_deletions(shop: World) -> None:
    shop.take("fig,1,", "plum,1,", "pear,1,")
    with pytest.raises(TooManyDeletedError):
        shop.take("fig,1,")
    report = consent(shop, shop.land().delivery)
    assert (report.counts.deleted, codes(shop)) == (2, ["fig"])
    assert shop.violations() == []


def test_a_whole_delivery_after_a_refused_half_one_deletes_only_what_it_lacks(shop: World) -> None:
    shop.take("fig,1,", "plum,1,", "pear,1,")
    with pytest.raises(TooManyDeletedError):
        shop.take("fig,1,")
    shop.take("fig,1,", "plum,1,")
    assert codes(shop) == ["fig", "plum"]
    assert shop.violations() == []


def test_an_empty_delivery_is_refused_and_deletes_nothing(world: World) -> None:
    shop = world.other(more={"write": Snapshot(max_deleted=1.0)})
    shop.take("fig,1,", "plum,1,")
    with pytest.raises(TooManyDeletedError, match="has no records, and the table has 2 rows"):
        shop.take()
    assert codes(shop) == ["fig", "plum"]
    assert status(shop, shop.land().delivery) == "refused"


def test_an_empty_first_delivery_is_accepted(shop: World) -> None:
    assert shop.take().delivery.status == "complete"


def test_nothing_is_deleted_before_the_last_batch_is_written(shop: World) -> None:
    shop.format = Csv(batch_bytes=64)
    shop.take(f"fig,1,{LONG}", f"plum,1,{LONG}", f"pear,1,{LONG}")

    shop.publish(f"fig,2,{LONG}", f"pear,2,{LONG}")
    delivery = shop.land().delivery
    with pytest.raises(KeyboardInterrupt):
        shop.load(delivery, ending_after(1))
    assert [row[:2] for row in shop.rows()] == [("fig", 2), ("pear", 1), ("plum", 1)]
    shop.load(delivery)
    assert [row[:2] for row in shop.rows()] == [("fig", 2), ("pear", 2)]
    assert shop.violations() == []


def test_a_late_older_delivery_neither_deletes_nor_brings_back(filed: World) -> None:
    shop = filed.other(more={"write": Snapshot(max_deleted=1.0)})
    shop.publish("fig,1,", "plum,1,", file="b.csv")
    late = shop.land("b.csv").delivery
    shop.take("fig,1,", "kiwi,1,", file="a.csv")
    shop.take("fig,3,", "kiwi,3,", file="c.csv")
    shop.load(late)
    assert [row[:2] for row in shop.rows()] == [("fig", 3), ("kiwi", 3)]
    assert shop.violations() == []


def test_a_late_older_delivery_brings_the_row_of_a_key_that_every_newer_one_rejected(filed: World) -> None:
    shop = filed.other(more={"write": Snapshot(max_deleted=1.0)})
    shop.publish("fig,1,", "plum,1,", file="a.csv")
    late = shop.land("a.csv").delivery
    shop.take("fig,3,", "plum,-1,", file="b.csv")
    shop.load(late)
    assert [row[:2] for row in shop.rows()] == [("fig", 3), ("plum", 1)]


@pytest.mark.parametrize("unique", [False, True])
def test_partitions_with_a_column_delete_only_their_own_rows(
    world: World,
    unique: bool,  # noqa: FBT001 -- a parameter
) -> None:
    """Partitions that may share a unique value are not written side by side, and have no key in common either."""
    number = Column("number", "integer", unique=unique)
    schema = Schema((Column("part", "text", required=True), GOODS["code"], number), ("part", "code"))
    source = replace(
        world.other(schema=schema, more={"write": Snapshot(max_deleted=1.0)}).source,
        partitions=Static(("a", "b"), column="part"),
    )

    def take(part: str, *lines: str) -> None:
        world.publish(*lines, header="part,code,number")
        landed = ingest.land(source, source.partition(part), world.warehouse)
        ingest.load(source, landed.delivery, world.warehouse, "run")

    take("a", "a,fig,1", "a,plum,2")
    take("b", "b,fig,3", "b,pear,4")
    take("a", "a,plum,2")
    assert world.query("SELECT part, code FROM core.goods ORDER BY 1, 2") == [
        ("a", "plum"),
        ("b", "fig"),
        ("b", "pear"),
    ]


def referring(world: World, referenced: str) -> tuple[World, World]:
    """A shop, and orders that refer to its goods."""
    shop = world.other(more={"write": Snapshot(max_deleted=1.0, referenced=referenced)})  # type: ignore[arg-type]
    good = Column("good", "text", references=References("core.goods.code"))
    orders = world.other(name="orders", schema=Schema((Column("id", "integer", required=True), good), ("id",)))
    shop.take("fig,1,", "plum,1,")
    orders.take("1,plum", "2,fig", header="id,good")
    return shop, orders


def test_rows_of_other_tables_that_refer_to_deleted_rows_are_reported(world: World) -> None:
    shop, _ = referring(world, "report")
    shop.take("fig,1,")
    assert codes(shop) == ["fig"]
    assert shop.query("SELECT notes FROM etl.batch WHERE kind = 'completion' ORDER BY id DESC LIMIT 1") == [
        ({"orphaned_rows": 1},)
    ]


def test_rows_that_others_refer_to_refuse_the_delivery_if_it_is_declared(world: World) -> None:
    shop, _ = referring(world, "refuse")
    with pytest.raises(TooManyDeletedError, match="1 rows of other tables refer to them"):
        shop.take("fig,1,")
    assert codes(shop) == ["fig", "plum"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"write": Snapshot(max_deleted=2.0)}, "max_deleted"),
        ({"write": Snapshot(), "schema": replace(GOODS, order_by="code")}, "order_by"),
        ({"write": Snapshot(), "partitions": Static(("a",))}, "no column says"),
    ],
)
def test_a_snapshot_that_cannot_work_is_refused(world: World, changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(DeclarationError, match=problem):
        replace(world.source, **changes)
