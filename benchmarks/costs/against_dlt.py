"""The same merge by this package and by dlt over Arrow, as whole processes; dlt is an extra of this package."""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from benchmarks import ingest_run
from benchmarks.cost import Case, Scenario
from benchmarks.cost_command import run
from benchmarks.dlt_merge import DATASET
from benchmarks.feed import NAME, files
from benchmarks.server import digest

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.cost import Cost, Measurements, Size
    from benchmarks.feed import Variant
    from benchmarks.lab import Lab

_RECORDS: Final[dict[Size, int]] = {"quick": 5_000, "usual": 1_000_000, "full": 1_000_000}
_ROUNDS: Final[dict[Size, int]] = {"quick": 1, "usual": 3, "full": 3}
_DELIVERIES: Final[dict[Variant, str]] = {
    "first": "first load",
    "reordered": "the same again",
    "changed": "every row changed",
}
_LEAST: Final = 5.0
"""The ratio of dlt's seconds to ours that is aimed at."""
_OURS: Final = "bench_ours"
_DLT: Final = "bench_dlt"


def _measure(lab: Lab, size: Size) -> Measurements:
    if find_spec("dlt") is None:
        lab.say("  Skipped: dlt is not installed. Install the extra: pip install 'etl-assets[dlt]'.")
        return
    records = _RECORDS[size]
    made = lab.work / "feeds"
    lab.measured(sys.executable, "-m", "benchmarks.generate", str(made), str(records))
    try:
        for _ in range(_ROUNDS[size]):
            yield from _round(lab, made, records)
    finally:
        for name in (_OURS, _DLT):
            lab.databases.drop(name)


def _round(lab: Lab, made: Path, records: int) -> Measurements:
    """Let both sides take the deliveries in turns, each into a database of its own, and compare their tables."""
    landing, state = lab.folder / "landing", lab.folder / "dlt"
    for folder in (landing, state):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    ours, dlt = lab.databases.create(_OURS), lab.databases.create(_DLT)
    _ingest(lab, "prepare", ours, files(made, "first", records).clean, landing)
    unit, units = "million records", records / 1_000_000
    for variant, title in _DELIVERIES.items():
        clean = files(made, variant, records).clean
        lab.databases.checkpoint()
        yield Case(title, unit=unit, units=units), _ingest(lab, "run", ours, clean, landing)
        lab.databases.checkpoint()
        cost, _ = lab.measured(sys.executable, "-m", "benchmarks.dlt_merge", dlt, str(clean), str(state))
        yield Case(f"{title}, by dlt", unit=unit, units=units, base=title, by="seconds", least=_LEAST), cost
        lab.require(
            digest(ours, ingest_run.TABLE) == digest(dlt, f"{DATASET}.{NAME}"),
            f"{title}: this package and dlt made different rows.",
        )


def _ingest(lab: Lab, task: str, url: str, clean: Path, landing: Path) -> Cost:
    """Let this package prepare a database, or take in a file."""
    options = (f"--location={clean}", f"--landing={landing}")
    return lab.measured(sys.executable, "-m", "benchmarks.ingest_run", task, *options, url=url)[0]


SCENARIO: Final = Scenario(
    "Against dlt",
    "the clean rows of the benchmark's feed are merged by whole processes in turns, by this package, which freezes and "
    "validates them, and by dlt over Arrow with the strategy `upsert`, which does not; a ratio is of dlt's seconds "
    "to ours",
    _measure,
    usual=False,
)

if __name__ == "__main__":
    run(SCENARIO)
