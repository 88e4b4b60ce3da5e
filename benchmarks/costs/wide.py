"""Many columns and many rules, against few of both with as many cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.cost import Case, Scenario
from benchmarks.cost_command import run
from benchmarks.made_feed import MadeFeed, day

if TYPE_CHECKING:
    from benchmarks.cost import Measurements, Size
    from benchmarks.lab import Lab

_COLUMNS: Final = 300
_RULES: Final = 100
_NARROW: Final = 30
"""How many times fewer columns and rules, and more records, the other source has."""
_RECORDS: Final[dict[Size, int]] = {"quick": 100, "usual": 10_000, "full": 50_000}
_ROUNDS: Final[dict[Size, int]] = {"quick": 1, "usual": 3, "full": 3}


def _measure(lab: Lab, size: Size) -> Measurements:
    wide = MadeFeed("wide", lab.folder, columns=_COLUMNS, rules=_RULES, partitions="days")
    narrow = MadeFeed("narrow", lab.folder, columns=_COLUMNS // _NARROW, rules=_RULES // _NARROW, partitions="days")
    rounds = _ROUNDS[size]
    records = {narrow: _NARROW * _RECORDS[size], wide: _RECORDS[size]}
    cases = {
        feed: _case(feed, records[feed], "" if feed is narrow else _title(narrow, records[narrow])) for feed in records
    }
    requested = []
    for number in range(1 + rounds):
        for feed, count in records.items():
            feed.declare(lab.declared)
            feed.deliver(range(number * count, (number + 1) * count), key=day(number))
            requested.append(f"{feed.name}@{day(number)}")
    for feed, (cost, run_) in zip([*records] * rounds, lab.runs(*requested)[len(records) :], strict=True):
        lab.require(not run_.rejected, f"{run_.rejected} records of {feed.name} were rejected, not 0.")
        yield cases[feed], cost


def _title(feed: MadeFeed, records: int) -> str:
    return f"{feed.columns} columns, {feed.rules} rules, {records:,} records"


def _case(feed: MadeFeed, records: int, base: str) -> Case:
    return Case(_title(feed, records), unit="million cells", units=records * feed.columns / 1_000_000, base=base)


SCENARIO: Final = Scenario(
    "Wide",
    "new deliveries run through Dagster in one process; both sources have as many cells",
    _measure,
)

if __name__ == "__main__":
    run(SCENARIO)
