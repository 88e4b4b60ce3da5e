"""The command line of the benchmark: ``python -m benchmarks``.

Ends with 0 however slow anything was, and with 1 if the two sides ever held different rows or not just
the bad records were rejected.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

import click
from rich.console import Console

from benchmarks import reading
from benchmarks.daily_feed import Keys
from benchmarks.outcome import Measured, grids, loads_markdown, machine, show
from benchmarks.outcome_parts import write_part
from benchmarks.partition_outcome import order_grid, parallel_grid
from benchmarks.partitions import FULL, QUICK, PartitionBench
from benchmarks.processor_outcome import processor_grid
from benchmarks.scenarios import Bench
from benchmarks.server import Databases
from etl_assets.local import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.ingest_run import Report
    from benchmarks.outcome import Grid
    from benchmarks.partitions import Loads

DEFAULT_PAIRS: Final = {1_000_000: 3, 5_000_000: 1}
QUICK_PAIRS: Final = {100_000: 1}
WIDTH: Final = 150
RESULTS: Final = Path(__file__).parent / "RESULTS.md"
FORMATS: Final = Path(__file__).parent / "FORMATS.md"


@click.command()
@click.option("--records", type=int, multiple=True, help="Size of the feed; may be given several times.")
@click.option("--pairs", type=click.IntRange(min=1), help="How often each scenario is measured, at every size.")
@click.option("--quick", is_flag=True, help="100,000 records, one pair, no results file unless --output is given.")
@click.option(
    "--only",
    type=click.Choice(["all", "psql", "formats"]),
    default="all",
    help="psql: the reference alone, no results file. formats: the reading of formats alone.",
)
@click.option("--work", type=click.Path(path_type=Path), default=Path(".etl_assets/benchmarks"), show_default=True)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Where the results of the loads are written  [default: RESULTS.md here].",
)
def main(
    records: tuple[int, ...], pairs: int | None, only: str, work: Path, output: Path | None, *, quick: bool
) -> None:
    """Measure this package's ingest against a hand-written psql load of the same rows, and its formats."""
    plan = QUICK_PAIRS if quick else DEFAULT_PAIRS
    if records:
        plan = {size: plan.get(size, 1) for size in sorted(records)}
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    work = work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    same = only == "formats" or _loads(console, work, plan, pairs, output, with_ours=only == "all", quick=quick)
    if only != "psql":
        same &= _formats(console, work, quick=quick)
    sys.exit(0 if same else 1)


def _loads(
    console: Console,
    work: Path,
    plan: dict[int, int],
    pairs: int | None,
    output: Path | None,
    *,
    with_ours: bool,
    quick: bool,
) -> bool:
    """Measure the loads and write their results; return whether both sides always held the same rows."""
    with EmbeddedServer.start(work) as server:
        databases = Databases(server.superuser_url())
        measured: list[Measured] = []
        parts: dict[int, Report] = {}
        for size, usual in plan.items():
            bench = Bench(databases, size, work, with_ours=with_ours)
            measured += _measure(console, bench, pairs or usual)
            if with_ours:
                with _step(console, f"{size:,} records: the parts of the client"):
                    parts[size] = bench.client_parts()
            bench.clean_up()
        made = grids(measured, parts)
        if with_ours:
            made.insert(1, processor_grid(measured))
            made += _measure_partitions(console, PartitionBench(databases, work, QUICK if quick else FULL))
        facts = [*machine(), databases.facts()]
    same = all(pair.same for one in measured for pair in one.pairs)
    show(console, made, facts)
    target = output or (None if quick else RESULTS)
    if target is not None and with_ours:
        write_part(target, loads_markdown(made, facts, same=same))
    return same


def _formats(console: Console, work: Path, *, quick: bool) -> bool:
    """Measure the formats and write their results; return whether both sides always read as many records."""
    grid, same = reading.measured(work, reading.QUICK if quick else reading.FULL, partial(_step, console))
    show(console, [grid], machine())
    if not quick:
        FORMATS.write_text(reading.formats_markdown(grid, machine(), same=same))
    return same


def _measure(console: Console, bench: Bench, pairs: int) -> Iterator[Measured]:
    """Every scenario at one size, saying how it goes."""
    with _step(console, f"{bench.records:,} records: files and starting states"):
        bench.prepare()
    for scenario in bench.scenarios():
        done = []
        for number in range(1, pairs + 1):
            with _step(console, f"{bench.records:,} records: {scenario.title}, pair {number} of {pairs}"):
                pair = bench.pair(scenario)
            done.append(pair)
            psql = f"psql {pair.psql.process.seconds:.2f} s"
            ours = f"ours {pair.ours.report.seconds:.2f} s, ratio {pair.ratio:.2f}, " if pair.ours else ""
            console.print(f"  {scenario.title} {number}: {ours}{psql}", highlight=False)
            if not pair.same:
                console.print("  [bold red]Wrong: the tables hold different rows, or too many or few were rejected.[/]")
        yield Measured(scenario, bench.records, tuple(done))


def _measure_partitions(console: Console, bench: PartitionBench) -> list[Grid]:
    """Days in any order, and several at once."""
    orders: list[Loads] = []
    parallel: list[Loads] = []
    for keys in get_args(Keys):
        for days in bench.plan.days:
            with _step(console, f"{days} days, {keys}: newest first, reloaded, corrected"):
                orders += bench.orders(days, keys)
        with _step(console, f"{bench.plan.parallel_days} days, {keys}: at once"):
            parallel += bench.at_once(keys)
    orders.sort(key=lambda loads: (loads.title, loads.keys, loads.days))
    return [order_grid(orders), parallel_grid(parallel)]


@contextmanager
def _step(console: Console, text: str) -> Iterator[None]:
    with console.status(text):
        yield
    if not console.is_terminal:
        console.print(text, highlight=False)


if __name__ == "__main__":
    main()
