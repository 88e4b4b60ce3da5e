"""Many declared sources: what it costs to load the code location, all of it or for a run of one, and to run one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from benchmarks.cost import Case, Scenario
from benchmarks.cost_command import run
from benchmarks.made_feed import MadeFeed

if TYPE_CHECKING:
    from benchmarks.cost import Measurements, Size
    from benchmarks.lab import Lab

_SOURCES: Final[dict[Size, tuple[int, ...]]] = {"quick": (2, 6), "usual": (100, 500), "full": (100, 500, 2_000)}
_ROUNDS: Final[dict[Size, int]] = {"quick": 1, "usual": 2, "full": 3}
_RECORDS: Final = 100
_LIMITED: Final = 500
"""The number of sources at which the limit holds."""
_LOAD: Final = "from etl_assets.definitions import defs; defs.get_repository_def().get_all_jobs()"
_NEED: Final = (
    "import sys; from etl_assets.graph.keys import ALL_ASSETS, asset_keys; "
    "from etl_assets.graph.wanted import WANTED, Wanted; assets = set(asset_keys(sys.argv[1])); "
    "WANTED.set(Wanted(assets)); from etl_assets.definitions import defs; "
    "defs.get_repository_def().get_job(ALL_ASSETS).get_subset(asset_selection=assets)"
)


def _measure(lab: Lab, size: Size) -> Measurements:
    declared = 0
    for sources in _SOURCES[size]:
        feeds = [MadeFeed(f"feed_{number:04d}", lab.folder) for number in range(declared, sources)]
        for feed in feeds:
            feed.declare(lab.declared)
        declared = sources
        limits = (("client", 8.0),) if sources == _LIMITED else ()
        location = Case(f"{sources:,} sources: loading the code location", unit="source", units=sources, limits=limits)
        needed = Case(f"{sources:,} sources: loading what a run of one needs")
        one = Case(f"{sources:,} sources: `etl-assets run` of one")
        for round_ in range(1 + _ROUNDS[size]):
            feeds[0].deliver(range(_RECORDS), version=round_)
            cost, _ = lab.measured(sys.executable, "-P", "-c", _LOAD)
            needed_cost, _ = lab.measured(sys.executable, "-P", "-c", _NEED, feeds[0].name)
            run_cost, _ = lab.command("run", feeds[0].name)
            if round_:
                yield location, cost
                yield needed, needed_cost
                yield one, run_cost


SCENARIO: Final = Scenario(
    "Many sources",
    "generated declarations beside those that the package brings; a process of its own loads the code location with "
    "every job, another what a run of one source needs, and one runs that source",
    _measure,
)

if __name__ == "__main__":
    run(SCENARIO)
