"""A backlog of small files of one source, which one ``etl-assets run`` loads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.cost import Case, Scenario
from benchmarks.cost_command import run
from benchmarks.made_feed import MadeFeed

if TYPE_CHECKING:
    from benchmarks.cost import Measurements, Size
    from benchmarks.lab import Lab

_FILES: Final[dict[Size, int]] = {"quick": 10, "usual": 1_000, "full": 1_000}
_RECORDS: Final = 100


def _measure(lab: Lab, size: Size) -> Measurements:
    files = _FILES[size]
    feed = MadeFeed("backlog", lab.folder, partitions="files")
    feed.declare(lab.declared)
    for number in range(files):
        feed.deliver(range(number * _RECORDS, (number + 1) * _RECORDS), key=f"{number:06d}")
    cost, _ = lab.command("run", feed.name)
    rows = lab.rows(feed.name)
    lab.require(rows == files * _RECORDS, f"The table has {rows} rows, not {files * _RECORDS}.")
    yield Case(f"{files:,} files", unit="file", units=files, limits=(("each", 0.06),)), cost
    cost, _ = lab.command("run", feed.name)
    yield Case("the same files again", unit="file", units=files), cost


SCENARIO: Final = Scenario(
    "Backlog",
    f"`etl-assets run`, a process of its own, loads files of {_RECORDS} records each, the partitions of one source",
    _measure,
)

if __name__ == "__main__":
    run(SCENARIO)
