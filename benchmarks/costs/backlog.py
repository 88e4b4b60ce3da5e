"""A backlog of small files of one source, which one ``etl-assets run`` loads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.cost import Case, Scenario
from benchmarks.cost_command import run
from benchmarks.made_feed import MadeFeed

if TYPE_CHECKING:
    from benchmarks.cost import Measurements, Size
    from benchmarks.lab import Lab

_FILES: Final[dict[Size, tuple[int, int]]] = {"quick": (10, 10), "usual": (1_000, 200), "full": (1_000, 1_000)}
"""How many are loaded by as many runs at the same time as the command chooses, and how many by one after the other."""
_RECORDS: Final = 100
_RUNS_AT_ONCE: Final = 4


def _measure(lab: Lab, size: Size) -> Measurements:
    files, one_by_one = _FILES[size]
    feed = _declared(lab, "backlog", files)
    cost, _ = lab.command("run", feed.name)
    _require_all(lab, feed, files)
    yield Case(f"{files:,} files", unit="file", units=files, limits=(("each", 0.06),)), cost
    cost, _ = lab.command("run", feed.name)
    yield Case("the same files again", unit="file", units=files), cost
    feed = _declared(lab, "sequence", one_by_one)
    cost, _ = lab.command("run", feed.name, "--jobs", "1")
    _require_all(lab, feed, one_by_one)
    yield Case(f"{one_by_one:,} files, one run after the other", unit="file", units=one_by_one), cost


def _declared(lab: Lab, name: str, files: int) -> MadeFeed:
    feed = MadeFeed(name, lab.folder, partitions="files", runs_at_once=_RUNS_AT_ONCE)
    feed.declare(lab.declared)
    for number in range(files):
        feed.deliver(range(number * _RECORDS, (number + 1) * _RECORDS), key=f"{number:06d}")
    return feed


def _require_all(lab: Lab, feed: MadeFeed, files: int) -> None:
    rows = lab.rows(feed.name)
    lab.require(rows == files * _RECORDS, f"The table has {rows} rows, not {files * _RECORDS}.")


SCENARIO: Final = Scenario(
    "Backlog",
    f"`etl-assets run`, a process of its own, loads files of {_RECORDS} records each, the partitions of one source, "
    f"which allows {_RUNS_AT_ONCE} runs at once",
    _measure,
)

if __name__ == "__main__":
    run(SCENARIO)
