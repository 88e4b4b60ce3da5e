"""A run that has nothing to do: the same file of a source with many checks is run again, in one process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.cost import Case, Scenario
from benchmarks.cost_command import run
from benchmarks.made_feed import MadeFeed

if TYPE_CHECKING:
    from benchmarks.cost import Measurements, Size
    from benchmarks.lab import Lab

_COLUMNS: Final[dict[Size, tuple[int, ...]]] = {"quick": (5,), "usual": (10, 40), "full": (10, 40, 160)}
_AGAIN: Final[dict[Size, int]] = {"quick": 2, "usual": 6, "full": 6}
"""How often the file is run again; the first time imports what only such a run needs, and does not count."""
_RECORDS: Final = 1_000


def _measure(lab: Lab, size: Size) -> Measurements:
    feeds = [MadeFeed(f"columns_{count}", lab.folder, columns=count, rules=count - 1) for count in _COLUMNS[size]]
    for feed in feeds:
        feed.declare(lab.declared)
        feed.deliver(range(_RECORDS))
    rounds = 1 + _AGAIN[size]
    made = lab.runs(*(feed.name for _ in range(rounds) for feed in feeds))
    for number, (cost, run_) in enumerate(made):
        feed = feeds[number % len(feeds)]
        if number < len(feeds):
            lab.require(run_.status == "loaded", f"The first run of {feed.name} is {run_.status}, not loaded.")
        else:
            lab.require(run_.status == "unchanged", f"Another run of {feed.name} is {run_.status}, not unchanged.")
        if number >= 2 * len(feeds):
            yield _case(feed.columns, feeds[0].columns), cost


def _case(columns: int, fewest: int) -> Case:
    return Case(
        f"{columns} columns with a rule each",
        base="" if columns == fewest else _case(fewest, fewest).title,
        limits=(("seconds", 0.15), ("statements", 60)),
    )


SCENARIO: Final = Scenario(
    "Nothing new",
    f"a source of one file of {_RECORDS:,} records is run again through Dagster, in the process that loaded it; the "
    "file is the same",
    _measure,
)

if __name__ == "__main__":
    run(SCENARIO)
