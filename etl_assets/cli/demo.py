"""``etl-assets demo``: ingests every bundled feed and computes the marts, through Dagster in this process."""

from __future__ import annotations

import shlex
import shutil
import sysconfig
from collections import defaultdict
from typing import TYPE_CHECKING, Final

import click

from etl_assets.cli import FAILED, WRONG_SETTINGS
from etl_assets.cli.environment import environment
from etl_assets.cli.migrate import migrate_databases
from etl_assets.cli.partition_runs import run_partitions
from etl_assets.cli.run import in_order
from etl_assets.cli.run_options import RunOptions
from etl_assets.cli.terminal import console, count_text, table
from etl_assets.model.counts import Counts
from etl_assets.model.text import escape_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from etl_assets.cli.orchestration import Orchestration, Runnable
    from etl_assets.cli.outcome import Outcome

_COLUMNS: Final = (
    "table", "runs", "read", "rejected", "parked now", "filtered", "produced", "inserted", "updated", "unchanged",
    "duplicate", "seconds",
)  # fmt: skip
_MARTS: Final = "marts"
_NEXT: Final = """
What to look at next:{path}
  etl-assets dev               the same data in the Dagster UI: lineage, checks, runs
  etl-assets status            how each table is, and what to run next
  etl-assets quarantine list   rejected records: flights to BQN, PSE, SJU and STT wait for airports
                               that are missing from the list of airports
  etl-assets audit             check the tables against their declarations with Great Expectations
  etl-assets doctor            check every invariant of the warehouse
"""


@click.command(name="demo")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Ingest every bundled feed through Dagster, compute the marts from them, and print a summary.

    Run it twice: the second run writes nothing, and does nothing but look.
    """
    from etl_assets import catalog
    from etl_assets.postgres.connection import connected
    from etl_assets.postgres.runs.results import waiting_by_source

    with environment(creates=True) as env:
        migrate_databases(env)
        bundled = catalog.load()
        from etl_assets.cli.orchestration import orchestration

        with orchestration(env, verbose=ctx.obj["verbose"]) as dagster:
            sources = in_order(bundled.sources, bundled.sources)
            outcomes = list(run_partitions(dagster, _every_partition(dagster, sources), RunOptions()))
            if not any(outcome.error for outcome in outcomes):
                outcomes += _marts(dagster)
        with connected(env.url) as connection:
            parked = {name: counts["parked"] for name, counts in waiting_by_source(connection).items()}
    _print(outcomes, parked)
    for file in bundled.broken.values():
        click.echo(f"Not loaded: {file.error}", err=True)
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    for outcome in failed:
        if outcome.error is not None:
            click.echo(escape_lines(f"{outcome.source} {outcome.partition or ''}: {outcome.error.message}"), err=True)
    if failed or bundled.broken:
        ctx.exit(FAILED if failed else WRONG_SETTINGS)
    click.echo(_NEXT.format(path=_path_to_set()))


def _path_to_set() -> str:
    """Return the line that lets the shell find this command, if it does not, as after ``make demo``."""
    if shutil.which("etl-assets") is not None:
        return ""
    return f'\n  export PATH={shlex.quote(sysconfig.get_path("scripts"))}:"$PATH"'


def _marts(dagster: Orchestration) -> Iterator[Outcome]:
    """Compute the marts, without those partitions that were computed after all that they read."""
    for key in dagster.own_assets():
        if key.path[0] != _MARTS:
            continue
        plan: list[tuple[Runnable, str]] = []
        for partition in dagster.partitions(key):
            if (unchanged := dagster.unchanged_asset(key, partition)) is not None:
                yield unchanged
            else:
                plan.append((key, partition))
        yield from run_partitions(dagster, plan, RunOptions())


def _every_partition(dagster: Orchestration, chosen: Iterable[Runnable]) -> list[tuple[Runnable, str]]:
    return [(what, key) for what in chosen for key in dagster.partitions(what)]


def _print(outcomes: Iterable[Outcome], parked: Mapping[str, int]) -> None:
    grouped: defaultdict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        grouped[outcome.source].append(outcome)
    rows = [_row(name, runs, parked.get(name, 0)) for name, runs in grouped.items()]
    all_runs = [outcome for runs in grouped.values() for outcome in runs]
    rows.append(_row("total", all_runs, sum(parked.get(name, 0) for name in grouped)))
    table(_COLUMNS, rows, total=True)
    counts = sum((outcome.counts for outcome in all_runs), Counts())
    written = counts.inserted + counts.updated + counts.deleted
    console().print(f"\n{count_text(written, 'row')} written." if written else "\nNothing was written: nothing is new.")


def _row(name: str, runs: Sequence[Outcome], parked: int) -> list[object]:
    counts = sum((run.counts for run in runs), Counts())
    return [
        name,
        len(runs),
        counts.read,
        counts.rejected,
        parked,
        counts.filtered,
        counts.produced,
        counts.inserted,
        counts.updated,
        counts.unchanged,
        counts.duplicate,
        sum(run.took for run in runs),
    ]
