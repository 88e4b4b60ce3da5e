"""What came out: the figures of all measurements as tables, on the terminal and in Markdown, and the verdict."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from rich.table import Table

from benchmarks.client_parts import MERGE, PROFILE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from benchmarks.ingest_run import Report
    from benchmarks.scenarios import Ingest, Pair, Scenario

MEMORY_RATIO_LIMIT: Final = 1.15
MEMORY_LIMIT_MB: Final = 600
LIMITS_FROM: Final = 1_000_000
"""Records from which on the limits hold."""
WHOLE_PROCESS_FROM: Final = 5_000_000
"""Records from which on they hold for the whole process too; below, its start weighs too much."""
PROFILING_LIMIT: Final = 0.1
_MB: Final = 1_000_000


@dataclass(frozen=True)
class Measured:
    """All pairs of one scenario at one size."""

    scenario: Scenario
    records: int
    pairs: tuple[Pair, ...]

    @property
    def ours(self) -> tuple[Ingest, ...]:
        """Our side of every pair."""
        return tuple(pair.ours for pair in self.pairs if pair.ours is not None)

    @property
    def peak_mb(self) -> float:
        """Largest memory of any of our processes, in millions of bytes."""
        return max(ingest.process.peak_bytes for ingest in self.ours) / _MB


@dataclass(frozen=True)
class Grid:
    """A table to print: a title, column heads, rows of as many cells."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def rich(self) -> Table:
        """As the terminal shows it."""
        table = Table(title=self.title, title_justify="left")
        for number, head in enumerate(self.heads):
            table.add_column(head, justify="left" if number == 0 else "right")
        for row in self.rows:
            table.add_row(*(cell.replace("**", "") for cell in row))
        return table

    def markdown(self) -> str:
        """As Markdown."""
        marks = (":--", *("--:" for _ in self.heads[1:]))
        lines = [" | ".join(row) for row in (self.heads, marks, *self.rows)]
        return f"## {self.title}\n\n" + "\n".join(f"| {line} |" for line in lines) + "\n"


def grids(measured: Sequence[Measured], parts: Mapping[int, Report]) -> list[Grid]:
    """Every table there is something for.

    Args:
        measured: The scenarios.
        parts: What each part costs the client, by the number of records.
    """
    ours = [one for one in measured if one.ours]
    made = [_psql_times(measured)]
    if ours:
        made = [_times(ours), _whole_process(ours), _memory(ours), _phases(ours), _client_parts(parts), *made]
    return made


def _times(measured: Sequence[Measured]) -> Grid:
    heads = ("scenario", "records", "psql s", "ingest s", "ratio", "of each pair", "limit", "")
    rows = []
    for one in measured:
        ratio = median(pair.ratio for pair in one.pairs)
        rows.append(
            (
                one.scenario.title,
                f"{one.records:,}",
                f"{median(pair.psql.process.seconds for pair in one.pairs):.2f}",
                f"{median(ingest.report.seconds for ingest in one.ours):.2f}",
                f"{ratio:.2f}",
                " ".join(f"{pair.ratio:.2f}" for pair in one.pairs),
                *verdict(ratio, one.scenario.limit if one.records >= LIMITS_FROM else None),
            )
        )
    return Grid("Time inside the ingest against psql (medians)", heads, tuple(rows))


def _whole_process(measured: Sequence[Measured]) -> Grid:
    heads = ("scenario", "records", "psql s", "whole process s", "processor s", "ratio", "limit", "")
    rows = []
    for one in measured:
        ratio = median(pair.whole_ratio for pair in one.pairs)
        rows.append(
            (
                one.scenario.title,
                f"{one.records:,}",
                f"{median(pair.psql.process.seconds for pair in one.pairs):.2f}",
                f"{median(ingest.process.seconds for ingest in one.ours):.2f}",
                f"{median(ingest.process.cpu_seconds for ingest in one.ours):.2f}",
                f"{ratio:.2f}",
                *verdict(ratio, one.scenario.limit if one.records >= WHOLE_PROCESS_FROM else None),
            )
        )
    return Grid("Whole process, start of Python included, against psql (medians)", heads, tuple(rows))


def _memory(measured: Sequence[Measured]) -> Grid:
    sizes = sorted({one.records for one in measured})
    rows = []
    for title in dict.fromkeys(one.scenario.title for one in measured):
        peaks = {one.records: one.peak_mb for one in measured if one.scenario.title == title}
        growth = peaks[sizes[-1]] / peaks[sizes[0]] if sizes[0] in peaks and len(sizes) > 1 else None
        most = verdict(max(peaks.values()), MEMORY_LIMIT_MB)
        grown = verdict(growth, MEMORY_RATIO_LIMIT) if growth is not None else ("", "")
        cells = (f"{peaks[size]:.0f}" if size in peaks else "" for size in sizes)
        rows.append((title, *cells, *most, f"{growth:.2f}" if growth is not None else "", *grown))
    heads = ("scenario", *(f"{size:,} records" for size in sizes), "limit", "", "largest / smallest", "limit", "")
    return Grid("Peak memory of the ingest process, MB", heads, tuple(rows))


def _phases(measured: Sequence[Measured]) -> Grid:
    names = list(dict.fromkeys(name for one in measured for ingest in one.ours for name in ingest.report.phases))
    rows = []
    for one in measured:
        cells = [f"{median(ingest.report.phases.get(name, 0.0) for ingest in one.ours):.2f}" for name in names]
        total = f"{median(ingest.report.seconds for ingest in one.ours):.2f}"
        rows.append((one.scenario.title, f"{one.records:,}", *cells, total))
    heads = ("scenario", "records", *names, "from start to end")
    return Grid("Where the time goes: seconds by phase (phases that run at once overlap)", heads, tuple(rows))


def _client_parts(parts: Mapping[int, Report]) -> Grid:
    names = list(dict.fromkeys(name for report in parts.values() for name in report.phases))
    rows = []
    for records, report in parts.items():
        share = (report.phases[PROFILE] + report.phases[MERGE]) / report.cpu_seconds
        cells = [f"{report.phases[name] / records * 1_000_000:.2f}" for name in names]
        total = f"{report.cpu_seconds / records * 1_000_000:.2f}"
        limits = verdict(share, PROFILING_LIMIT if records >= LIMITS_FROM else None)
        rows.append((f"{records:,}", *cells, total, f"{share:.2f}", *limits))
    heads = ("records", *names, "all", "share of profiles", "limit", "")
    return Grid("Processor seconds of the client for each million records, without a database", heads, tuple(rows))


def _psql_times(measured: Sequence[Measured]) -> Grid:
    steps = tuple(measured[0].pairs[0].psql.steps)
    rows = tuple(
        (
            one.scenario.title,
            f"{one.records:,}",
            *(f"{median(pair.psql.steps[step] for pair in one.pairs):.2f}" for step in steps),
            f"{median(pair.psql.process.seconds for pair in one.pairs):.2f}",
            " ".join(f"{pair.psql.process.seconds:.2f}" for pair in one.pairs),
        )
        for one in measured
    )
    return Grid("The reference: seconds of psql", ("scenario", "records", *steps, "process", "of each pair"), rows)


def verdict(value: float, limit: float | None) -> tuple[str, str]:
    """A limit, and whether a value is within it; two empty cells where there is no limit."""
    if limit is None:
        return "", ""
    return f"{limit:g}", "within" if value <= limit else "**above**"


def machine() -> list[str]:
    """What the figures depend on: cores, memory and versions."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ("polars", "pyarrow", "psycopg", "pandas")
    return [
        f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB of memory, {platform.system()}",
        f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in packages),
    ]


def _processor() -> str:
    found = Path("/proc/cpuinfo")
    lines = found.read_text().splitlines() if found.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


_ABOUT: Final = """# Benchmark results

Written by `python -m benchmarks`; do not edit.

Ours: one ingest of the feed, one record in a hundred of it bad in some way: landed, every record validated, the bad
ones quarantined, the rest upserted, the ledger kept. psql: the clean rows alone, `\\copy` into a temporary table and
`INSERT … ON CONFLICT DO UPDATE` in one transaction, nothing validated. Ours and psql take turns on one server, each
from a copy of the same database, after a checkpoint; afterwards both tables are compared by count and checksum. Each
load is a process of its own. A ratio below 1 means that ours was faster.
"""


def loads_markdown(made: Sequence[Grid], facts: Sequence[str], *, same: bool) -> str:
    """Return the results of the loads."""
    good = "After every load both tables held the same rows, and just the bad records had been rejected."
    bad = "**After some load the tables, or the numbers of rejected records, differed.**"
    return markdown(_ABOUT, facts, good if same else bad, made)


def markdown(about: str, facts: Sequence[str], conclusion: str, made: Sequence[Grid]) -> str:
    """Return a results file: what was measured, on which machine, whether both sides agree, and the tables."""
    listed = "\n".join(f"* {fact}" for fact in facts) + "\n"
    return "\n".join([about, listed, conclusion + "\n", *(grid.markdown() for grid in made)])


def show(console: Console, made: Sequence[Grid], facts: Sequence[str]) -> None:
    """Print everything."""
    for fact in facts:
        console.print(fact, highlight=False)
    for grid in made:
        console.print(grid.rich())
