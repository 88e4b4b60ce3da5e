"""Deliveries of which every other record is rejected, against deliveries without a bad record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.cost import Case, Scenario
from benchmarks.cost_command import run
from benchmarks.made_feed import MadeFeed, day

if TYPE_CHECKING:
    from benchmarks.cost import Measurements, Size
    from benchmarks.lab import Lab

_RECORDS: Final[dict[Size, int]] = {"quick": 1_000, "usual": 200_000, "full": 1_000_000}
_ROUNDS: Final[dict[Size, int]] = {"quick": 1, "usual": 3, "full": 3}


def _measure(lab: Lab, size: Size) -> Measurements:
    records, rounds = _RECORDS[size], _ROUNDS[size]
    unit, units = "million records", records / 1_000_000
    clean = Case("no record rejected", unit=unit, units=units)
    half = Case("every other record rejected", unit=unit, units=units, base=clean.title)
    feeds = {
        clean: (MadeFeed("clean", lab.folder, partitions="days"), 0),
        half: (MadeFeed("half", lab.folder, partitions="days"), 2),
    }
    requested = []
    for number in range(1 + rounds):
        for feed, bad_every in feeds.values():
            feed.declare(lab.declared)
            feed.deliver(range(number * records, (number + 1) * records), key=day(number), bad_every=bad_every)
            requested.append(f"{feed.name}@{day(number)}")
    for (case, (_, bad_every)), (cost, run_) in zip(
        list(feeds.items()) * rounds, lab.runs(*requested)[2:], strict=True
    ):
        expected = records // bad_every if bad_every else 0
        lab.require(run_.rejected == expected, f"{run_.rejected} records were rejected, not {expected}.")
        yield case, cost


SCENARIO: Final = Scenario(
    "Half rejected",
    "new deliveries run through Dagster in one process; every other record of one source breaks a pattern",
    _measure,
)

if __name__ == "__main__":
    run(SCENARIO)
