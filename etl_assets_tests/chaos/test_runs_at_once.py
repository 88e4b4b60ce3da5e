"""Concurrent runs: several partitions with the same keys, and two runs of one partition."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from etl_assets.errors import BusyError

if TYPE_CHECKING:
    from etl_assets.model.delivery import Delivery
    from etl_assets_tests.load.feed import Feed

KEYS = [f"k{n:04}" for n in range(1500)]


def rows_of(partition: int) -> list[tuple[str, int, str]]:
    """Return rows with the same keys for each partition, in a different order."""
    order = KEYS[partition * 400 :] + KEYS[: partition * 400]
    return [(key, partition, f"from {partition}") for key in (order if partition % 2 else order[::-1])]


def test_partitions_that_share_keys_load_concurrently_without_deadlock_and_the_newest_row_wins(feed: Feed) -> None:
    feed.take([("k0000", -1, "before")], partition="0")
    deliveries = [feed.send(rows_of(p)[:900], rows_of(p)[900:], partition=str(p)) for p in (3, 1, 2)]
    with ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(feed.load, deliveries))
    assert [report.delivery.status for report in reports] == ["complete"] * 3
    assert feed.rows() == [(key, 3, "from 3") for key in KEYS]
    ((inserted, balanced),) = feed.query(
        "SELECT sum(inserted), bool_and(produced = inserted + updated + unchanged + duplicate) FROM etl.batch"
    )
    assert (inserted, balanced) == (len(KEYS), True)


def test_of_two_runs_of_one_partition_one_loads_and_the_other_raises_busy_or_finds_it_loaded(feed: Feed) -> None:
    delivery = feed.send(*[[(key, n, None)] for n, key in enumerate(KEYS[:40])])

    def attempt(delivery: Delivery) -> str:
        try:
            return feed.load(delivery).status
        except BusyError:
            return "busy"

    with ThreadPoolExecutor(2) as pool:
        outcomes = sorted(pool.map(attempt, [delivery, delivery]))
    assert outcomes in (["busy", "loaded"], ["loaded", "unchanged"])
    assert feed.query("SELECT count(*), sum(inserted) FROM etl.batch") == [(40, 40)]
