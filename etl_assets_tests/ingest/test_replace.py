"""`Replace` gives a partition the rows of its newest complete delivery, and readers never a mixture."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import ingest
from etl_assets.errors import DeclarationError
from etl_assets.extract.formats.csv import Csv
from etl_assets.load.writers import Replace
from etl_assets_tests.ingest.world import GOODS, ending_after

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World

LONG = "x" * 40


@pytest.fixture(name="shop")
def _shop(world: World) -> World:
    return world.other(schema=replace(GOODS, key=()), more={"write": Replace()})


def rows(world: World) -> list[tuple[Any, ...]]:
    return world.query("SELECT code, amount FROM core.goods ORDER BY _delivery_id, _record_no")


def test_the_newest_delivery_replaces_all_rows_of_the_one_before(shop: World) -> None:
    shop.take("fig,1,", "fig,1,", "plum,1,")
    counts = shop.take("fig,2,").counts
    assert rows(shop) == [("fig", 2)]
    assert (counts.inserted, counts.deleted) == (1, 3)
    assert shop.query("SELECT count(*) FROM etl_staging.goods") == [(0,)]
    assert shop.violations() == []


def test_an_empty_delivery_empties_the_table(shop: World) -> None:
    shop.take("fig,1,")
    counts = shop.take().counts
    assert (rows(shop), counts.deleted) == ([], 1)
    assert shop.violations() == []


def test_each_partition_has_its_own_rows(shop: World) -> None:
    files = shop.other(files=True)
    files.take("fig,1,", file="a.csv")
    files.take("fig,2,", file="b.csv")
    files.take("fig,3,", file="a.csv")
    assert sorted(rows(files)) == [("fig", 2), ("fig", 3)]
    assert files.violations() == []


def interrupted(shop: World) -> Any:
    """Load a delivery of three batches, of which only the first is committed; return the delivery."""
    shop.format = Csv(batch_bytes=64)
    shop.take(f"pear,1,{LONG}", f"kiwi,1,{LONG}")

    shop.publish(f"fig,1,{LONG}", f"plum,1,{LONG}", f"date,1,{LONG}")
    delivery = shop.land().delivery
    with pytest.raises(KeyboardInterrupt):
        shop.load(delivery, ending_after(1))
    return delivery


def test_readers_see_the_rows_before_until_the_delivery_is_complete(shop: World) -> None:
    delivery = interrupted(shop)
    assert [row[0] for row in rows(shop)] == ["pear", "kiwi"]
    shop.load(delivery)
    assert [row[0] for row in rows(shop)] == ["fig", "plum", "date"]
    assert shop.violations() == []


def test_what_an_unfinished_delivery_has_beside_the_table_goes_when_it_is_late(shop: World) -> None:
    delivery = interrupted(shop)
    shop.take(f"lime,1,{LONG}")
    shop.load(delivery)
    assert [row[0] for row in rows(shop)] == ["lime"]
    assert shop.query("SELECT count(*) FROM etl_staging.goods") == [(0,)]
    assert shop.violations() == []


def test_a_corrected_record_of_the_newest_delivery_is_added(shop: World) -> None:
    shop.take("fig,1,", "plum,bad,")
    (record,) = shop.waiting()
    shop.correct(record, amount="5")
    shop.replay(record.id)
    assert rows(shop) == [("fig", 1), ("plum", 5)]
    assert shop.violations() == []


def test_a_corrected_record_of_an_older_delivery_is_not_added(shop: World) -> None:
    shop.take("fig,1,", "plum,bad,")
    (record,) = shop.waiting()
    shop.take("fig,2,")
    shop.correct(record, amount="5")
    shop.replay(record.id)
    assert rows(shop) == [("fig", 2)]
    assert shop.violations() == []


def test_another_declaration_reads_the_newest_delivery_again(shop: World) -> None:
    shop.take("fig,1,")
    delivery = shop.take("fig,1,", "plum,7,").delivery
    capped = shop.other(schema=replace(shop.schema, columns=(GOODS["code"], GOODS["amount"].replace(maximum=3))))
    capped.load(delivery)
    assert rows(capped) == [("fig", 1)]


def test_batches_that_are_reloaded_alone_replace_their_records(shop: World) -> None:
    shop.format = Csv(batch_bytes=64)
    delivery = shop.take(f"fig,1,{LONG}", f"plum,1,{LONG}").delivery
    shop.query("UPDATE core.goods SET code = 'x', _row_hash = 1 WHERE code = 'plum' RETURNING 1")
    ingest.load(shop.source, delivery, shop.warehouse, "run", batches=[2])
    assert rows(shop) == [("fig", 1), ("plum", 1)]


def test_a_key_is_refused(world: World) -> None:
    with pytest.raises(DeclarationError, match=r"has a key.*write Snapshot\(max_deleted=1.0\)"):
        replace(world.source, write=Replace())
