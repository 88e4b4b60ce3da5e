"""A repair out of order: the oldest delivery is corrected after many newer ones have arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.cost import Case, Scenario
from benchmarks.cost_command import run
from benchmarks.made_feed import MadeFeed, day

if TYPE_CHECKING:
    from benchmarks.cost import Measurements, Size
    from benchmarks.lab import Lab

_DAYS: Final[dict[Size, tuple[int, ...]]] = {"quick": (4,), "usual": (30, 300), "full": (30, 300, 2_000)}
_ROUNDS: Final[dict[Size, int]] = {"quick": 1, "usual": 3, "full": 3}
_RECORDS: Final = 1_000
_LIMIT: Final = 1.25
"""Of the processor seconds of the oldest day, to those of the newest."""


def _measure(lab: Lab, size: Size) -> Measurements:
    for days in _DAYS[size]:
        feed = MadeFeed(f"days_{days}", lab.folder, partitions="days")
        feed.declare(lab.declared)
        for number in range(days):
            feed.deliver(_ids(number), key=day(number), version=number)
        lab.ingest(*(f"{feed.name}@{day(number)}" for number in range(days)))
        lab.settle()
        newest = Case(f"the newest of {days:,} days")
        oldest = Case(f"the oldest of {days:,} days", base=newest.title, limits=(("ratio", _LIMIT),))
        corrected = {newest: days - 1, oldest: 0}
        for round_ in range(1 + _ROUNDS[size]):
            for number in corrected.values():
                feed.deliver(_ids(number), key=day(number), version=days + round_)
            made = lab.runs(*(f"{feed.name}@{day(number)}" for number in (1, *corrected.values())))
            for case, (cost, run_) in zip(corrected, made[1:], strict=True):
                lab.require(run_.status == "loaded", f"A corrected day of {feed.name} is {run_.status}, not loaded.")
                if round_:
                    yield case, cost


def _ids(number: int) -> range:
    """The keys of a day, of which seven eighths were those of the day before."""
    start = number * (_RECORDS // 8)
    return range(start, start + _RECORDS)


SCENARIO: Final = Scenario(
    "Repair out of order",
    f"days of {_RECORDS:,} records, of which the day before had seven eighths, are loaded in order; then the newest "
    "and the oldest are corrected and run again through Dagster",
    _measure,
)

if __name__ == "__main__":
    run(SCENARIO)
