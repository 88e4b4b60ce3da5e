"""A daily delivery into tables that differ in size: what it costs must not grow with the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.cost import Case, Scenario
from benchmarks.cost_command import run
from benchmarks.made_feed import MadeFeed, day

if TYPE_CHECKING:
    from benchmarks.cost import Measurements, Size
    from benchmarks.lab import Lab

_ROWS: Final[dict[Size, tuple[int, ...]]] = {
    "quick": (2_000, 8_000),
    "usual": (1_000_000, 5_000_000),
    "full": (1_000_000, 5_000_000, 20_000_000),
}
_RECORDS: Final[dict[Size, int]] = {"quick": 200, "usual": 10_000, "full": 10_000}
_ROUNDS: Final[dict[Size, int]] = {"quick": 1, "usual": 5, "full": 5}
_LIMIT: Final = 1.2
"""Of the processor seconds of a delivery, to those into the smallest table."""


def _measure(lab: Lab, size: Size) -> Measurements:
    feeds = {rows: MadeFeed(f"rows_{rows}", lab.folder, partitions="days") for rows in _ROWS[size]}
    records, rounds = _RECORDS[size], _ROUNDS[size]
    for rows, feed in feeds.items():
        feed.declare(lab.declared)
        feed.deliver(range(rows), key=day(0))
        lab.ingest(f"{feed.name}@{day(0)}")
        for number in range(1, 2 + rounds):
            feed.deliver(_ids(rows, records, number), key=day(number), version=number)
    lab.settle()
    days = [f"{feed.name}@{day(number)}" for number in range(1, 2 + rounds) for feed in feeds.values()]
    warmed = lab.runs(*days)[len(feeds) :]
    for number, (cost, run_) in enumerate(warmed):
        rows = _ROWS[size][number % len(feeds)]
        lab.require(run_.read == records, f"A delivery has {run_.read} records, not {records}.")
        yield _case(rows, _ROWS[size][0]), cost
    for rows, feed in feeds.items():
        expected, found = rows + (1 + rounds) * (records // 2), lab.rows(feed.name)
        lab.require(found == expected, f"The table of {feed.name} has {found} rows, not {expected}.")


def _ids(rows: int, records: int, number: int) -> tuple[range, range]:
    """The keys of a delivery: one half is spread over the table, the other half is new."""
    half = records // 2
    step = rows // half
    return range(number % step, half * step, step)[:half], range(rows + (number - 1) * half, rows + number * half)


def _case(rows: int, smallest: int) -> Case:
    base = "" if rows == smallest else _case(smallest, smallest).title
    return Case(f"into {rows:,} rows", base=base, limits=(("ratio", _LIMIT),))


SCENARIO: Final = Scenario(
    "Growth",
    f"a daily delivery of {_RECORDS['usual']:,} records, half of them new and half of them changed rows all over the "
    "table, runs through Dagster into tables of several sizes, in one process",
    _measure,
)

if __name__ == "__main__":
    run(SCENARIO)
