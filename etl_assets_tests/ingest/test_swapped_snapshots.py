"""A snapshot of which most rows differ takes the place of the table, with everything that is attached to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_assets.extract.formats.csv import Csv
from etl_assets.load.writers import Snapshot

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World

LONG = "x" * 40
"""A note that makes each record a batch of its own, if batches have 64 bytes."""


@pytest.fixture(name="shop")
def _shop(world: World) -> World:
    return world.other(format=Csv(batch_bytes=64), more={"write": Snapshot(max_deleted=1.0, swap_from=1)})


def oid(world: World) -> int:
    ((found,),) = world.query("SELECT 'core.goods'::regclass::oid::bigint")
    return int(found)


def lines(amount: int, codes: str = "abcd") -> list[str]:
    return [f"{code},{amount},{LONG}" for code in codes]


def test_a_delivery_that_changes_most_rows_makes_a_new_table(shop: World) -> None:
    shop.take(*lines(1))
    before = oid(shop)
    report = shop.take(*lines(2, "abce"), f"d,1,{LONG}")
    assert oid(shop) != before
    assert [row[:2] for row in shop.rows()] == [("a", 2), ("b", 2), ("c", 2), ("d", 1), ("e", 2)]
    counts = report.counts
    assert (counts.inserted, counts.updated, counts.unchanged, counts.deleted) == (1, 3, 1, 0)
    assert shop.violations() == []
