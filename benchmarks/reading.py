"""How fast, and in how much memory, each format is read into frames: ours against the fastest library."""

from __future__ import annotations

import json
import pkgutil
import sys
from dataclasses import dataclass
from importlib import import_module
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from benchmarks import formats
from benchmarks.measure import measure
from benchmarks.outcome import Grid, verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

LIMIT: Final = 1.5
ROUNDING_LIMIT: Final = 2.5
"""For formats whose fast readers round or drop what was published."""
_ROUNDED: Final = frozenset({"json", "ndjson", "excel"})
FLAT_LIMIT: Final = 1.15
_SMALL: Final = 1
_MB: Final = 1_000_000


@dataclass(frozen=True)
class Plan:
    """How much is read.

    Attributes:
        megabytes: Size of the files that are timed.
        large: Size of the files whose memory is compared with that; None for no comparison.
        pairs: How often each side is timed.
    """

    megabytes: int
    large: int | None
    pairs: int


FULL: Final = Plan(100, 1_000, 3)
QUICK: Final = Plan(10, None, 1)


@dataclass(frozen=True)
class Reading:
    """One side's reading of one file."""

    records: int
    seconds: float
    processor: float
    peak_mb: float


@dataclass(frozen=True)
class Compared:
    """Both sides of one format.

    Attributes:
        name: Of the format.
        megabytes: Size of the file, in millions of bytes.
        ours: Our readings.
        fastest: Those of the library.
        large_peak_mb: Our peak memory for a file ten times as large; None if it was not measured.
    """

    name: str
    megabytes: float
    ours: Sequence[Reading]
    fastest: Sequence[Reading]
    large_peak_mb: float | None

    @property
    def ratio(self) -> float:
        """The median of our seconds to those of the library, pair by pair."""
        return median(ours.seconds / other.seconds for ours, other in zip(self.ours, self.fastest, strict=True))

    @property
    def same(self) -> bool:
        """Whether both sides read as many records."""
        return len({reading.records for reading in (*self.ours, *self.fastest)}) == 1


def names() -> list[str]:
    """Return the names of the measured formats."""
    return sorted(module.name for module in pkgutil.iter_modules(formats.__path__) if not module.name.startswith("_"))


def compare(name: str, plan: Plan, work: Path, step: Callable[[str], Any]) -> Compared:
    """Measure a format.

    Args:
        name: Of its module in ``benchmarks.formats``.
        plan: How much is read.
        work: Folder for the files.
        step: Is called with what is done next.
    """
    module = import_module(f"benchmarks.formats.{name}")
    small, file = work / f"small.{name}", work / f"file.{name}"
    step(f"{name}: a file of {plan.megabytes} MB")
    module.write(small, _SMALL)
    module.write(file, plan.megabytes)
    ours: list[Reading] = []
    fastest: list[Reading] = []
    for number in range(1, plan.pairs + 1):
        step(f"{name}: pair {number} of {plan.pairs}")
        ours.append(_read(name, "ours", small, file, work))
        fastest.append(_read(name, "fastest", small, file, work))
    large_peak = None
    size = file.stat().st_size / _MB
    if plan.large is not None and getattr(module, "STREAMS", True):
        step(f"{name}: memory for a file of {plan.large} MB")
        module.write(file, plan.large)
        large_peak = _read(name, "ours", small, file, work).peak_mb
    small.unlink()
    file.unlink()
    return Compared(name, size, ours, fastest, large_peak)


def _read(name: str, side: str, small: Path, file: Path, work: Path) -> Reading:
    command = [sys.executable, "-m", "benchmarks.formats", name, side, str(small), str(file)]
    process = measure(command, environment={}, work=work)
    facts = json.loads(process.output)
    return Reading(facts["records"], facts["seconds"], facts["processor"], process.peak_bytes / _MB)


def reading_grid(compared: Sequence[Compared]) -> Grid:
    """Return the table of all formats."""
    heads = (
        "format",
        "MB",
        "records/s",
        "MB/s",
        "library s",
        "ours s",
        "ratio",
        "limit",
        "",
        "peak MB",
        "of 10 times",
        "",
    )
    return Grid("Reading each format into frames, against the fastest library (medians)", heads, tuple(_rows(compared)))


def _rows(compared: Sequence[Compared]) -> Iterator[tuple[str, ...]]:
    for one in compared:
        seconds = median(reading.seconds for reading in one.ours)
        peak = max(reading.peak_mb for reading in one.ours)
        limit = ROUNDING_LIMIT if one.name in _ROUNDED else LIMIT
        grown = ("", "")
        if one.large_peak_mb is not None:
            grown = (f"{one.large_peak_mb:.0f}", verdict(one.large_peak_mb / peak, FLAT_LIMIT)[1])
        yield (
            one.name,
            f"{one.megabytes:.0f}",
            f"{one.ours[0].records / seconds:,.0f}",
            f"{one.megabytes / seconds:.0f}",
            f"{median(reading.seconds for reading in one.fastest):.2f}",
            f"{seconds:.2f}",
            f"{one.ratio:.2f}",
            *verdict(one.ratio, limit),
            f"{peak:.0f}",
            *grown,
        )
