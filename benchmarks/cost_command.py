"""The command line of the scenarios: one alone, by ``python -m benchmarks.costs.NAME``, or those of `make bench`."""

from __future__ import annotations

import pkgutil
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console

from benchmarks import costs
from benchmarks.cost import cost_grid, rows_of
from benchmarks.lab import Lab
from benchmarks.outcome import machine, markdown, show
from benchmarks.outcome_parts import write_part
from benchmarks.server import Databases
from etl_assets.local import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.cost import Case, Cost, Scenario, Size
    from benchmarks.outcome import Grid

RESULTS: Final = Path(__file__).parent / "RESULTS.md"
_WIDTH: Final = 200
_ABOUT: Final = """# What runs cost

Written by `python -m benchmarks.costs{options}`; do not edit.

Processor seconds of the client are those of our processes, or of dlt's; those of the server are of all processes of
PostgreSQL in the same time. The cases of a scenario take turns; figures are medians, and a ratio is the median of the
pairs of each round. Where nothing else is said, a ratio compares processor seconds of client and server together.
While sources run through Dagster in one process, no autovacuum starts.

{scenarios}
"""


def scenarios() -> Iterator[Scenario]:
    """Yield what every module of `benchmarks.costs` measures, by the names of the modules."""
    for found in sorted(pkgutil.iter_modules(costs.__path__), key=lambda module: module.name):
        if not found.name.startswith("_"):
            yield import_module(f"{costs.__name__}.{found.name}").SCENARIO


def run(*alone: Scenario) -> None:
    """Run the command line.

    Args:
        alone: What is measured, whatever the options; otherwise what they choose, and the results are written.
    """

    @click.command(help="Measure what runs cost, in processor seconds of client and server.")
    @click.option("--quick", "size", flag_value="quick", help="Small sizes: only to see that a scenario works.")
    @click.option("--full", "size", flag_value="full", help="Every scenario, at every size.")
    @click.option("--work", type=click.Path(path_type=Path), default=Path(".etl_assets/benchmarks"), show_default=True)
    @click.option("--output", type=click.Path(path_type=Path), help="A file into which the results are written.")
    def main(size: Size | None, work: Path, output: Path | None) -> None:
        chosen = alone or tuple(one for one in scenarios() if one.usual or size is not None)
        target = output or (None if alone or size == "quick" else RESULTS)
        measure_all(chosen, size or "usual", work.absolute(), target)

    main()


def measure_all(chosen: Sequence[Scenario], size: Size, work: Path, output: Path | None) -> None:
    """Measure scenarios, show what they took, and write it into a results file if there is one to be written.

    Args:
        chosen: The scenarios.
        size: How much is measured.
        work: Folder of the embedded server and of files.
        output: The results file.
    """
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    work.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[str, ...]] = []
    with EmbeddedServer.start(work) as server:
        databases = Databases(server.superuser_url())
        for scenario in chosen:
            console.print(scenario.title, highlight=False)
            with Lab(databases, work, console.print).open() as lab:
                rows += rows_of(scenario, _told(console, scenario.measure(lab, size)), size)
        facts = [*machine(), databases.facts()]
    grid = cost_grid(rows)
    show(console, [grid], facts)
    if output is not None:
        write_part(output, costs_markdown(chosen, grid, facts, size))


def costs_markdown(chosen: Sequence[Scenario], grid: Grid, facts: Sequence[str], size: Size) -> str:
    """Return the part of the results file: what was measured, on which machine, and the table."""
    listed = "\n".join(f"* {scenario.title}: {scenario.about}" for scenario in chosen)
    about = _ABOUT.format(options="" if size == "usual" else f" --{size}", scenarios=listed)
    measured = {row[0] for row in grid.rows}
    skipped = [scenario.title for scenario in chosen if scenario.title not in measured]
    conclusion = f"Not measured here: {', '.join(skipped)}." if skipped else "Every run did what it should."
    return markdown(about, facts, conclusion, [grid])


def _told(console: Console, measured: Iterator[tuple[Case, Cost]]) -> Iterator[tuple[Case, Cost]]:
    """Pass measurements on, and say each at once."""
    for case, cost in measured:
        spent = f"{cost.seconds:.2f} s, client {cost.client:.2f} CPU s, server {cost.server:.2f} CPU s"
        console.print(f"  {case.title}: {spent}", highlight=False)
        yield case, cost
