"""How fast, and in how much memory, each format is read into frames: ours against the fastest library."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from benchmarks.measure import measure
from benchmarks.outcome import Grid, markdown, verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from benchmarks.measure import Process

LIMIT: Final = 1.5
ROUNDING_LIMIT: Final = 2.5
"""For formats whose fast readers round or drop what was published."""
_ROUNDED: Final = frozenset({"json", "ndjson", "excel"})
_WITHOUT_LIMIT: Final = frozenset({"parquet:unverified"})
"""For formats whose library does less than it takes to read the file whole."""
FLAT_LIMIT: Final = 1.15
_ABOUT: Final = """# How fast formats are read

Written by `python -m benchmarks --only formats`; do not edit.

Ours: every record of a file is found, checked, numbered and split into values as published, batch by batch, with its
bytes and its place. Library: the fastest one that reads such a file into a frame. Neither writes anything. Each
reading is a process of its own, timed after the reading of a small file; the sides take turns, three times at least,
until 15 seconds are over. Libraries round or change values of JSON and Excel, so the limit is higher there. For
`parquet:verified` the library is pyarrow, which verifies the checksums of pages as ours does; for `parquet:unverified`
it is Polars, which does not, and there is no limit: to read the bytes and compute their checksums alone takes most of
its time. Peak memory is compared with that for a file ten times as large, for formats that are read as a stream.
"""
_SMALL: Final = 1
_MB: Final = 1_000_000


@dataclass(frozen=True)
class Plan:
    """How much is read.

    Attributes:
        megabytes: Size of the files that are timed.
        large: Size of the files whose memory is compared with that; None for no comparison.
        pairs: How often each side is timed at least.
        seconds: How long pairs are timed at least.
    """

    megabytes: int
    large: int | None
    pairs: int
    seconds: float


FULL: Final = Plan(100, 1_000, 3, 15)
QUICK: Final = Plan(10, None, 1, 0)


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


def measured(work: Path, plan: Plan, step: Callable[[str], AbstractContextManager[None]]) -> tuple[Grid, bool]:
    """Compare all formats.

    Args:
        work: Folder for the files.
        plan: How much is read.
        step: Tells what is done in a block.

    Returns:
        The table, and whether both sides always read as many records.
    """
    compared = []
    for name in names(work):
        with step(f"reading {name}"):
            compared.append(compare(name, plan, work))
    return reading_grid(compared), all(one.same for one in compared)


def formats_markdown(grid: Grid, facts: Sequence[str], *, same: bool) -> str:
    """Return the results of the formats."""
    good = "Both sides read the same number of records."
    bad = "**In some format the two sides read different numbers of records.**"
    return markdown(_ABOUT, facts, good if same else bad, [grid])


def names(work: Path) -> list[str]:
    """Return the names of the measured formats."""
    found: list[str] = _run(work, "list")[0]
    return found


def compare(name: str, plan: Plan, work: Path) -> Compared:
    """Measure a format.

    Args:
        name: From `names`.
        plan: How much is read.
        work: Folder for the files.
    """
    small, file = work / "small.bin", work / "file.bin"
    _write(work, name, small, _SMALL)
    about = _write(work, name, file, plan.megabytes)
    ours: list[Reading] = []
    fastest: list[Reading] = []
    begin = time.monotonic()
    while len(ours) < plan.pairs or time.monotonic() - begin < plan.seconds:
        ours.append(_read(work, "ours", name, small, file))
        fastest.append(_read(work, "fastest", name, small, file))
    size, large_peak = file.stat().st_size / _MB, None
    if plan.large is not None and about["streams"]:
        _write(work, name, file, plan.large)
        large_peak = _read(work, "ours", name, small, file).peak_mb
    small.unlink()
    file.unlink()
    return Compared(name, size, ours, fastest, large_peak)


def _write(work: Path, name: str, file: Path, megabytes: int) -> Any:
    """Write a new file; return what is to be known of its format."""
    file.unlink(missing_ok=True)
    return _run(work, "write", name, str(file), str(megabytes))[0]


def _read(work: Path, side: str, name: str, small: Path, file: Path) -> Reading:
    facts, process = _run(work, side, name, str(small), str(file))
    return Reading(facts["records"], facts["seconds"], facts["processor"], process.peak_bytes / _MB)


def _run(work: Path, *arguments: str) -> tuple[Any, Process]:
    """Run ``python -m benchmarks.formats``, so that this process stays small; return what it printed and took."""
    process = measure([sys.executable, "-m", "benchmarks.formats", *arguments], environment={}, work=work)
    return json.loads(process.output), process


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


def _limit(name: str) -> float | None:
    if name in _WITHOUT_LIMIT:
        return None
    return ROUNDING_LIMIT if name in _ROUNDED else LIMIT


def _rows(compared: Sequence[Compared]) -> Iterator[tuple[str, ...]]:
    for one in compared:
        seconds = median(reading.seconds for reading in one.ours)
        peak = max(reading.peak_mb for reading in one.ours)
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
            *verdict(one.ratio, _limit(one.name)),
            f"{peak:.0f}",
            *grown,
        )
