"""``etl-assets run``: runs sources, partition by partition, through Dagster, in this process or in several."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from etl_assets import project
from etl_assets.cli import FAILED
from etl_assets.cli.completion import PARTITIONS, SOURCES
from etl_assets.cli.environment import declared, environment, source_named
from etl_assets.cli.outcome import print_outcomes
from etl_assets.cli.partition_runs import run_partitions
from etl_assets.cli.run_options import RunOptions
from etl_assets.cli.suggestions import did_you_mean
from etl_assets.cli.terminal import console, count_text, emit, error
from etl_assets.model.text import escape_control_characters, escape_lines, quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from etl_assets.catalog import Catalog
    from etl_assets.cli.environment import Environment
    from etl_assets.cli.orchestration import Orchestration, Runnable
    from etl_assets.cli.outcome import Outcome
    from etl_assets.source import Source

STALE: Final = (
    "to reload: the declaration or a correction changed, or another delivery changed rows that may be here too"
)


@click.command(name="run")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=SOURCES)
@click.option(
    "--partition",
    "wanted",
    metavar="K",
    multiple=True,
    shell_complete=PARTITIONS,
    help="Only this one; 2013-01 means 2013-01-01.",
)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Run every partition, complete or not, and fetch what a poll finds unchanged.",
)
@click.option("--force", is_flag=True, help="Reload the newest delivery of a partition, even if it is complete.")
@click.option(
    "--full", is_flag=True, help="Fetch everything, not only what has changed since the last fetch; compare keys now."
)
@click.option("--accept-deletes", is_flag=True, help="Let a snapshot delete any number of rows.")
@click.option("--file", type=click.Path(exists=True, dir_okay=False), help="Load this file instead of the publisher's.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each partition.")
@click.option(
    "-j",
    "--jobs",
    metavar="N",
    type=click.IntRange(1),
    help="Execute so many runs at the same time, each in a process; of a source, at most its runs_at_once. "
    "Default: the number of processors, and at most 4.",
)
@click.pass_context
def command(
    ctx: click.Context,
    names: Sequence[str],
    wanted: Sequence[str],
    file: str | None,
    *,
    everything: bool,
    force: bool,
    full: bool,
    accept_deletes: bool,
    as_json: bool,
    jobs: int | None,
) -> None:
    """Fetch, validate and load sources, parents first; then materialize assets that were written by hand.

    NAME is the name of a source, or the key of an asset, as marts/x. For a source with partitions, run every partition
    that is not complete, or that was read under another declaration. For a source of files, run every new file.
    """
    if wanted and (everything or len(names) > 1):
        raise click.UsageError("--partition needs exactly one NAME, and excludes --all.")
    if file is not None and (everything or len(names) > 1 or len(wanted) > 1):
        raise click.UsageError("--file needs exactly one NAME, at most one --partition, and excludes --all.")
    file = file and str(Path(file).absolute() if project.current() else file)
    from etl_assets.cli.processes import forked, usual_number

    with ExitStack() as stack:
        env = stack.enter_context(environment())
        env.require_current()
        processes = stack.enter_context(forked(1 if file else jobs or usual_number(), env, verbose=ctx.obj["verbose"]))
        known = declared(env.settings)
        import dagster as dg

        from etl_assets.cli.orchestration import orchestration
        from etl_assets.graph.needed import named

        with orchestration(env, verbose=ctx.obj["verbose"], wanted=named(known, names)) as dagster:
            chosen = _chosen(dagster, known, names)
            if file is not None:
                _require_file_for_one(chosen[0], wanted)
            plan = [
                (what, key)
                for what in chosen
                for key in _partitions(dagster, what, wanted, everything=everything or force or full)
            ]
            if not as_json:
                _print_stale(dagster, chosen)
            outcomes = []
            options = RunOptions(force, file, full, accept_deletes, fetch=everything)
            for outcome in run_partitions(dagster, plan, options, processes, shown=not as_json):
                outcomes.append(outcome)
                if as_json:
                    emit(outcome.as_json())
            set_aside = {} if wanted else {name: names for name, names in dagster.set_aside.items() if names}
        if not as_json:
            _report(outcomes, len(plan), dagster.empty)
            arrived = {what.table for what in chosen if not isinstance(what, dg.AssetKey)}
            _print_releasable(env, known.sources, arrived)
        _report_set_aside(set_aside)
    if set_aside or any(outcome.error for outcome in outcomes):
        ctx.exit(FAILED)


def in_order(sources: Mapping[str, Source], names: Collection[str]) -> list[Source]:
    """Return the named sources; each comes after those of them that it refers to or that its trigger names."""
    from etl_assets.graph.triggers.lineage import comes_after

    predecessors = comes_after(sources)
    ordered: list[str] = []

    def place(name: str) -> None:
        if name not in ordered:
            for parent in predecessors[name]:
                place(parent)
            ordered.append(name)

    for name in names if isinstance(names, list) else sorted(names):
        place(name)
    return [sources[name] for name in ordered if name in names]


def matching_partition(key: str, known: Sequence[str], name: str) -> str:
    """Return the one partition whose key is, or begins with, a text.

    Args:
        key: A key, or the beginning of one.
        known: Every key of the source.
        name: Name of the source.

    Raises:
        click.UsageError: If there is no such partition, or more than one.
    """
    matching = [key] if key in known else [candidate for candidate in known if candidate.startswith(key)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        first, last = escape_control_characters(matching[0]), escape_control_characters(matching[-1])
        raise click.UsageError(f"{key!r} matches {len(matching)} partitions of {name}: {first} … {last}.")
    first, last = (escape_control_characters(edge) for edge in (known[0], known[-1])) if known else ("", "")
    existing = f"It has {first} to {last}" if known else "It has no partitions yet"
    raise click.UsageError(f"Source {name!r} has no partition {key!r}.{did_you_mean(key, reversed(known))} {existing}.")


def _chosen(dagster: Orchestration, known: Catalog, names: Sequence[str]) -> list[Runnable]:
    """Return the named sources, parents first, and then the named assets, inputs first.

    Raises:
        BrokenFileError: If the file of one does not load.
        click.UsageError: If there is no source and no asset of a name.
    """
    own = {key.to_user_string(): key for key in dagster.own_assets()}
    sources = set()
    for name in names:
        if name in own:
            continue
        of_file = name.rpartition("/")[2]
        if of_file in dagster.broken:
            raise dagster.broken[of_file].error
        if of_file != name:
            raise click.UsageError(f"There is no asset {name!r}.{did_you_mean(name, own)}")
        sources.add(source_named(known, name).name)
    return [*in_order(known.sources, sources), *(key for name, key in own.items() if name in names)]


def _require_file_for_one(what: Runnable, wanted: Sequence[str]) -> None:
    """Raise unless a file that was brought by hand can be loaded: into a source, and into one partition of it."""
    import dagster as dg

    if isinstance(what, dg.AssetKey):
        raise click.UsageError(f"Asset {_name(what)} was written by hand and loads no file: leave out --file.")
    if what.partitions is not None and not wanted:
        raise click.UsageError(f"Source {what.name!r} has partitions: name one with --partition.")


def _name(what: Runnable) -> str:
    import dagster as dg

    return what.to_user_string() if isinstance(what, dg.AssetKey) else what.name


def _partitions(dagster: Orchestration, what: Runnable, wanted: Sequence[str], *, everything: bool) -> Iterable[str]:
    if not wanted:
        return dagster.plan(what, everything=everything)
    known = dagster.partitions(what)
    known += dagster.withdrawn(what, known)
    if known == [""]:
        raise click.UsageError(f"{_name(what)} has no partitions: leave out --partition.")
    return dict.fromkeys(matching_partition(key, known, _name(what)) for key in wanted)


def _print_stale(dagster: Orchestration, chosen: Sequence[Runnable]) -> None:
    """Print how many partitions of sources must be reloaded."""
    import dagster as dg

    for what in chosen:
        if not isinstance(what, dg.AssetKey) and (stale := len(dagster.stale(what))):
            console().print(f"{what.name}: {count_text(stale, 'partition')} {STALE}.")


def _report(outcomes: Sequence[Outcome], planned: int, empty: Sequence[str]) -> None:
    for name in empty:
        where = "`etl-assets sources` shows where it fetches."
        click.echo(f"{name} has no partitions yet, so that nothing of it was run. {where}", err=True)
    if not planned:
        if not empty:
            console().print("Every partition is complete. To run them again, use --all.")
        return
    print_outcomes(outcomes)
    for outcome in outcomes:
        if outcome.error is not None:
            name = f"{outcome.source} {outcome.partition or ''}".strip()
            error(escape_lines(f"{name}: {outcome.error.name}: {outcome.error.message}"))
    if len(outcomes) < planned:
        interrupted = any(outcome.is_cancelled for outcome in outcomes)
        why = "the command was interrupted" if interrupted else "they would fail for the same reason"
        click.echo(f"{count_text(planned - len(outcomes), 'run')} not started: {why}.", err=True)


def _report_set_aside(set_aside: Mapping[str, Mapping[str, str]]) -> None:
    """Print which files are not loaded because their names cannot be keys of partitions."""
    for source, names in set_aside.items():
        files = count_text(len(names), "file is", "files are")
        click.echo(f"{source}: {files} set aside because of the name, and not loaded. Have it renamed:", err=True)
        for name, why in names.items():
            click.echo(f"  {quoted(name)} {why}", err=True)


def _print_releasable(env: Environment, sources: Mapping[str, Source], arrived: Collection[str]) -> None:
    """Print how many parked records can be replayed, because their parents have been loaded."""
    from etl_assets import ingest
    from etl_assets.postgres.connection import in_session
    from etl_assets.postgres.runs.results import waiting_by_source

    parked = {name for name, counts in in_session(env.url, waiting_by_source).items() if counts["parked"]}
    for name in sorted(parked & sources.keys()):
        source = sources[name]
        if (source.parents | {source.table}) & set(arrived) and (ids := ingest.releasable_ids(source, env.warehouse)):
            console().print(
                f"{name}: {count_text(len(ids), 'parked record')} can be replayed, because the parents have arrived: "
                f"etl-assets quarantine replay {name} --parked"
            )
