"""A replay of everything that waits in the quarantine, after the declaration has become less strict."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from benchmarks.cost import Case, Scenario
from benchmarks.cost_command import run
from benchmarks.made_feed import MadeFeed

if TYPE_CHECKING:
    from benchmarks.cost import Measurements, Size
    from benchmarks.lab import Lab

_RECORDS: Final[dict[Size, int]] = {"quick": 1_000, "usual": 100_000, "full": 100_000}
_MEMORY: Final = "MB at most"
_ABOVE: Final = "MB above the idle process"


def _measure(lab: Lab, size: Size) -> Measurements:
    records = _RECORDS[size]
    feed = MadeFeed("waiting", lab.folder)
    feed.declare(lab.declared)
    feed.deliver(range(2 * records), bad_every=2)
    lab.runs(feed.name)
    feed.declare(lab.declared, loose=True)
    lab.settle()
    taken, output = lab.command("quarantine", "replay", feed.name, "--json")
    counts = json.loads(output.splitlines()[-1])
    replayed = counts["read"] - counts["rejected"]
    lab.require(replayed == records, f"{replayed} records were replayed, not {records}.")
    rows = lab.rows(feed.name)
    lab.require(rows == 2 * records, f"The table has {rows} rows, not {2 * records}.")
    idle, _ = lab.command("quarantine", "replay", feed.name, "--json")
    above = taken.counts[_MEMORY] - idle.counts[_MEMORY]
    yield Case("nothing waits"), idle
    yield (
        Case(f"{records:,} records", unit="million records", units=records / 1_000_000, limits=((_ABOVE, 300),)),
        replace(taken, counts={**taken.counts, _ABOVE: above}),
    )


SCENARIO: Final = Scenario(
    "Replay",
    "`etl-assets quarantine replay` of every rejected record of a source, whose declaration now accepts them, and "
    "again when nothing waits any more; processes of their own",
    _measure,
)

if __name__ == "__main__":
    run(SCENARIO)
