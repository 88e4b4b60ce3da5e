"""``etl-assets run``: sources, partition by partition, through Dagster in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from etl_assets import ingest
from etl_assets.cli import FAILED
from etl_assets.cli.environment import declared, environment, named
from etl_assets.cli.outcome import print_outcomes
from etl_assets.cli.terminal import console, counted, emit, progress
from etl_assets.graph.triggers.lineage import comes_after
from etl_assets.postgres.connection import connected
from etl_assets.postgres.migrations.migrate import require_current
from etl_assets.postgres.runs.history import CANCELLED
from etl_assets.postgres.runs.results import waiting_by_source

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from etl_assets.cli.environment import Environment
    from etl_assets.cli.orchestration import Orchestration
    from etl_assets.cli.outcome import Outcome
    from etl_assets.source import Source

_HOPELESS: Final = frozenset({"SettingsError", "EnvironmentFaultError", "IncompatibleTableError", CANCELLED})
"""Errors that the next partition would meet as well; and that somebody wants the command to end."""


@click.command(name="run")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--partition", "wanted", metavar="K", multiple=True, help="Only this one; 2013-01 stands for 2013-01-01.")
@click.option("--all", "everything", is_flag=True, help="Every partition, complete or not.")
@click.option("--force", is_flag=True, help="Read deliveries anew that are complete.")
@click.option("--file", type=click.Path(exists=True, dir_okay=False), help="Take this file, not the publisher's.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each partition, one to a line.")
@click.pass_context
def command(
    ctx: click.Context,
    names: Sequence[str],
    wanted: Sequence[str],
    file: str | None,
    *,
    everything: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Fetch, validate and load sources, those that others refer to first.

    Of a source with partitions, all are run that are not complete; of one that takes files, all new files.
    """
    if wanted and (everything or len(names) > 1):
        raise click.UsageError("--partition goes with one NAME and without --all.")
    if file is not None and (everything or len(names) > 1 or len(wanted) > 1):
        raise click.UsageError("--file is a delivery of one NAME, and of one --partition where it has partitions.")
    with environment() as env:
        with connected(env.url) as connection:
            require_current(connection)
        sources = declared(env.settings)
        chosen = in_order(sources, {named(sources, name).name for name in names})
        from etl_assets.cli.orchestration import orchestration  # noqa: PLC0415 -- loads Dagster

        with orchestration(env, verbose=ctx.obj["verbose"]) as dagster:
            if file is not None and chosen[0].partitions is not None and not wanted:
                raise click.UsageError(f"Source {chosen[0].name!r} has partitions: say with --partition which it is.")
            plan = [
                (source, key)
                for source in chosen
                for key in _partitions(dagster, source, wanted, everything=everything or force)
            ]
            outcomes = []
            for outcome in work(dagster, plan, force=force, file=file, shown=not as_json):
                outcomes.append(outcome)
                if as_json:
                    emit(outcome.as_json())
        if not as_json:
            _report(outcomes, len(plan))
            _print_releasable(env, sources, {source.table for source in chosen})
    if any(outcome.error for outcome in outcomes):
        ctx.exit(FAILED)


def in_order(sources: Mapping[str, Source], names: Collection[str]) -> list[Source]:
    """The named sources, each after those of them that it refers to or that its trigger names."""
    above = comes_after(sources)
    ordered: list[str] = []

    def place(name: str) -> None:
        if name not in ordered:
            for parent in above[name]:
                place(parent)
            ordered.append(name)

    for name in names if isinstance(names, list) else sorted(names):
        place(name)
    return [sources[name] for name in ordered if name in names]


def work(
    dagster: Orchestration,
    plan: Sequence[tuple[Source, str]],
    *,
    force: bool = False,
    file: str | None = None,
    shown: bool = True,
) -> Iterator[Outcome]:
    """Run partitions in their order; go on after one that fails, unless the next would fail alike.

    Args:
        dagster: Runs them.
        plan: Sources and keys of partitions.
        force: Whether to read deliveries anew that are complete.
        file: What to take in the place of what the publisher has.
        shown: Whether a progress bar may be shown.

    Yields:
        What became of each.
    """
    with progress(shown=shown) as bar:
        task = bar.add_task("", total=len(plan))
        for source, key in plan:
            bar.update(task, description=f"{source.name} {key}".strip())
            outcome = dagster.run(source, key, force=force, file=file)
            bar.advance(task)
            yield outcome
            if outcome.error is not None and outcome.error.name in _HOPELESS:
                return


def match(key: str, known: Sequence[str], name: str) -> str:
    """The partition that a key, or the beginning of one, names.

    Raises:
        click.UsageError: If it names none, or more than one.
    """
    found = [key] if key in known else [each for each in known if each.startswith(key)]
    if len(found) == 1:
        return found[0]
    if found:
        raise click.UsageError(f"Partition {key!r} of {name} may be any of {len(found)}, {found[0]} to {found[-1]}.")
    told = f"It has {known[0]} to {known[-1]}" if known else "It has none now"
    raise click.UsageError(f"Source {name!r} has no partition {key!r}. {told}.")


def _partitions(dagster: Orchestration, source: Source, wanted: Sequence[str], *, everything: bool) -> Iterable[str]:
    if wanted and source.partitions is None:
        raise click.UsageError(f"Source {source.name!r} has no partitions: leave out --partition.")
    if wanted:
        known = dagster.partitions(source)
        return dict.fromkeys(match(key, known, source.name) for key in wanted)
    if source.partitions is None or everything:
        return dagster.partitions(source)
    return dagster.incomplete(source)


def _report(outcomes: Sequence[Outcome], planned: int) -> None:
    if not planned:
        console().print("Every partition is complete. --all runs them again.")
        return
    print_outcomes(outcomes)
    for outcome in outcomes:
        if outcome.error is not None:
            what = f"{outcome.source} {outcome.partition or ''}".strip()
            click.echo(f"{what}: {outcome.error.name}: {outcome.error.message}", err=True)
    if len(outcomes) < planned:
        error = outcomes[-1].error
        interrupted = error is not None and error.name == CANCELLED
        why = "the command was interrupted" if interrupted else "the next would fail alike"
        click.echo(f"{counted(planned - len(outcomes), 'run')} not tried: {why}.", err=True)


def _print_releasable(env: Environment, sources: Mapping[str, Source], arrived: Collection[str]) -> None:
    """Say which parked records may go on, now that tables they refer to were loaded."""
    with connected(env.url) as connection:
        parked = {name for name, counts in waiting_by_source(connection).items() if counts["parked"]}
    for name in sorted(parked & sources.keys()):
        source = sources[name]
        if (source.parents | {source.table}) & set(arrived) and (ids := ingest.releasable(source, env.warehouse)):
            console().print(
                f"{name}: {counted(len(ids), 'parked record')} can go on, the parents are there now: "
                f"etl-assets quarantine replay {name} --parked"
            )
