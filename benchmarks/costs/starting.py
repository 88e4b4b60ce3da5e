"""What it costs to start: texts of help, and what the shell completes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from benchmarks.cost import Case, Scenario
from benchmarks.cost_command import run
from benchmarks.made_feed import MadeFeed

if TYPE_CHECKING:
    from benchmarks.cost import Measurements, Size
    from benchmarks.lab import Lab

_ROUNDS: Final[dict[Size, int]] = {"quick": 1, "usual": 10, "full": 30}
_NOTHING: Final = "Python that imports click"
_HELP: Final = ("--help", "run --help", "init --help")
_COMPLETED: Final = {"quar": "quarantine", "run st": "starting", "quarantine show ": "1"}
"""What is typed, and what the shell is offered: a command, a source, and the id of a rejected record."""
_COMPLETE: Final = (
    "import os, sys; words = sys.argv[1]; os.environ |= {'_ETL_ASSETS_COMPLETE': 'bash_complete', "
    "'COMP_WORDS': f'etl-assets {words}', 'COMP_CWORD': str(len(words.split(' ')))}; "
    "from etl_assets.cli import main; main(prog_name='etl-assets')"
)


def _measure(lab: Lab, size: Size) -> Measurements:
    feed = MadeFeed("starting", lab.folder)
    feed.declare(lab.declared)
    feed.deliver(range(100), bad_every=100)
    lab.ingest(feed.name)
    for round_ in range(1 + _ROUNDS[size]):
        costs = [(Case(_NOTHING), lab.measured(sys.executable, "-P", "-c", "import click")[0])]
        for words in _HELP:
            cost, said = lab.command(*words.split())
            lab.require(said.startswith("Usage: "), f"{words} says {said[:80]!r}.")
            costs.append((Case(f"`etl-assets {words}`", base=_NOTHING, limits=(("client", 0.15),)), cost))
        for words, offered in _COMPLETED.items():
            cost, said = lab.measured(sys.executable, "-P", "-c", _COMPLETE, words)
            lab.require(f",{offered}\n" in said, f"{words!r} is completed by {said[:80]!r}.")
            costs.append((Case(f"completion of `{words.strip()}`", limits=(("client", 0.5),)), cost))
        if round_:
            yield from costs


SCENARIO: Final = Scenario(
    "Starting",
    "a process prints a text of help, or is asked by the shell for commands, sources and rejected records; beside it "
    "one that only imports click",
    _measure,
)

if __name__ == "__main__":
    run(SCENARIO)
