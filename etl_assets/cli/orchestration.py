"""Opens Dagster for a command: lists partitions, decides which are run and in what order, and has them run.

Only this module, `in_process_runs` and `killed_runs` of the command line use Dagster's jobs and runs.
`etl_assets.graph` defines what a run does.
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import click
import dagster as dg

from etl_assets.cli.environment import declared
from etl_assets.cli.in_process_runs import InProcessRuns, failed_check
from etl_assets.cli.killed_runs import outcomes_of_killed
from etl_assets.cli.outcome import Outcome
from etl_assets.cli.ranges import size_of_each
from etl_assets.graph import last_good
from etl_assets.graph.assets.checks import of_history
from etl_assets.graph.assets.touched import changed_materializations, waiting_materialization
from etl_assets.graph.keys import asset_keys, core_key, delivered_as
from etl_assets.graph.needed import of_wanted
from etl_assets.graph.partitions import add_files, in_load_order, neighbours, partitions_definition, stale_partitions
from etl_assets.graph.pools import set_limits
from etl_assets.graph.runs.one_by_one import Failures
from etl_assets.graph.runs.reaper import reap
from etl_assets.graph.runs.unchanged import UNCHANGED, report_if_unchanged
from etl_assets.graph.targets import newest_materializations
from etl_assets.graph.triggers.lineage import all_before
from etl_assets.model.partitions import Periods
from etl_assets.postgres.connection import in_session
from etl_assets.postgres.runs import results
from etl_assets.postgres.runs.due import due_partitions, failed_partitions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    from etl_assets.cli.environment import Environment
    from etl_assets.cli.run_options import RunOptions
    from etl_assets.graph.build import Location
    from etl_assets.graph.wanted import Wanted
    from etl_assets.postgres.connection import Connection
    from etl_assets.settings import Settings
    from etl_assets.source import Source

    Runnable: TypeAlias = Source | dg.AssetKey
    """A declared source, or the key of an asset that was written by hand."""


class Orchestration:
    """Dagster's definitions and instance, for the duration of a command.

    Attributes:
        broken: The files that do not load, or whose definitions are wrong, by the name of their asset.
        instance: Dagster's instance.
        empty: The names of sources and assets that have no partitions yet, of those that were planned.
        set_aside: By source whose files were listed: names of files that cannot be keys of partitions, and why.
    """

    def __init__(self, env: Environment, location: Location, instance: dg.DagsterInstance, log: str) -> None:
        self._url = env.url
        self._home = env.settings.home
        self._sources = declared(env.settings).sources
        self._location = location
        self._definitions = location.definitions
        self.broken = location.broken
        self.instance = instance
        self.empty: list[str] = []
        self.set_aside: dict[str, Mapping[str, str]] = {}
        self._runs = InProcessRuns(env.url, self._sources, location.definitions, instance, log)

    def prepare(self) -> None:
        """Set the limits of the pools; find the runs that have crashed, and enter that they did."""
        last_good.write(self._home, self._location.assets)
        set_limits(self.instance, self._sources.values())
        failures = Failures()
        reap(self.instance, self._url, self._sources, failures)
        if failures.errors:
            click.echo(f"The run history is not complete.{failures}", err=True)

    def run(
        self, what: Runnable, partitions: Sequence[str], options: RunOptions, run_id: str | None = None
    ) -> list[Outcome]:
        """Fetch, validate and load partitions of a source in one run, or materialize one of an asset written by hand.

        Args:
            what: The declaration of the source, or the key of the asset.
            partitions: A group that `ranges` returns; the key is the empty text if there are no partitions.
            options: How to run them.
            run_id: The id of the run; None lets it be chosen.

        Returns:
            The outcome of each partition, in the same order.
        """
        if isinstance(what, dg.AssetKey):
            return [self._runs.materialize_asset(what, partitions[0], run_id)]
        if len(partitions) == 1 and options.may_be_unchanged:
            unchanged = self._unchanged(what, partitions[0])
            if unchanged is not None:
                return [unchanged]
        return self._runs.materialize_source(what, partitions, options, run_id)

    def killed(self, what: Runnable, partitions: Sequence[str], run_id: str) -> list[Outcome]:
        """Enter that the process of a run is gone; return what the run history has of each of its partitions.

        Args:
            what: The declaration of the source, or the key of the asset.
            partitions: The partitions of the run.
            run_id: The id that `run` was given, in the process that is gone.
        """
        name = delivered_as(what) if isinstance(what, dg.AssetKey) else what.name
        return outcomes_of_killed(self.instance, self._url, self._sources, name, partitions, run_id)

    def ranges(self, what: Runnable, keys: Sequence[str], processes: int = 1) -> list[list[str]]:
        """Return partitions of a source, or of an asset, in groups: each has what one run takes.

        Args:
            what: The declaration of the source, or the key of the asset.
            keys: Keys of partitions, in the order in which they are to be run.
            processes: How many groups may run at the same time, so that there are as many of about the same size.
        """
        if isinstance(what, dg.AssetKey) or what.partitions is None or what.partitions.per_run == 1:
            return [[key] for key in keys]
        definition = partitions_definition(what.partitions, what.name)
        known = definition.get_partition_keys(dynamic_partitions_store=self.instance) if definition else []
        most = what.partitions.per_run
        if (at_once := min(processes, what.runs_at_once)) > 1:
            most = size_of_each(len(keys), most, at_once)
        return neighbours(keys, known, most)

    def all_before(self) -> dict[str, set[str]]:
        """Return the names of all sources that each source comes after, directly or not."""
        return all_before(self._sources)

    def _unchanged(self, source: Source, partition: str) -> Outcome | None:
        """Enter and return that there is nothing to do, without a run; None if there is something to do."""
        began = time.perf_counter()
        found = report_if_unchanged(source, partition, self._url, self.instance)
        if found is None:
            return None
        standing, results = found
        checks = of_history(source, results)
        failed = [failed_check(check.name, check.description) for check in checks if not check.passed]
        return Outcome(
            source=source.name,
            partition=partition or None,
            delivery=standing.delivery.id,
            status=UNCHANGED,
            took=time.perf_counter() - began,
            remarks=(*standing.delivery.manifest.notes, *failed),
            since=standing.delivery.fetched_at,
        )

    def replay(self, source: str, ids: Sequence[int] | None, *, released: bool) -> Outcome:
        """Replay records of the quarantine: those with some ids, all that wait, or those whose parents have arrived."""
        return self._runs.replay(source, ids, released=released)

    def audit(self, names: Sequence[str]) -> tuple[list[dg.AssetObservation], str]:
        """Check the stored tables of some sources against their declarations; of all sources if none is named.

        Returns:
            The observation of each table, and the error of the run; the empty text if the run succeeded.
        """
        return self._runs.audit(names)

    def partitions(self, what: Runnable) -> list[str]:
        """Return every partition that there is now, oldest first; add new files as partitions.

        A source or an asset without partitions has one, whose key is the empty text. Names of files that cannot be keys
        are entered in `set_aside`.
        """
        if isinstance(what, dg.AssetKey):
            definition = self._definitions.resolve_asset_graph().get(what).partitions_def
            store = self.instance
            return [""] if definition is None else list(definition.get_partition_keys(dynamic_partitions_store=store))
        if what.partitions is None:
            return [""]
        if what.has_file_partitions:
            names = add_files(what, self.instance, self._url)
            self.set_aside[what.name] = names.set_aside
            return list(names.keys)
        return list(what.partitions.keys(datetime.now(tz=UTC)))

    def withdrawn(self, what: Runnable, listed: Collection[str]) -> list[str]:
        """Return the partitions of files that the publisher no longer lists, by their keys; empty for other partitions.

        Args:
            what: The declaration of the source, or the key of the asset.
            listed: The keys of the files that it lists.
        """
        if isinstance(what, dg.AssetKey) or not what.has_file_partitions:
            return []
        return sorted({*self.instance.get_dynamic_partitions(what.name)} - {*listed})

    def plan(self, what: Runnable, *, everything: bool) -> list[str]:
        """Return the partitions to run, in the order of `in_load_order`.

        Of files that the publisher no longer lists, these are the partitions with frozen bytes to load.

        Args:
            what: The declaration of the source, or the key of the asset.
            everything: Whether to run complete partitions as well.
        """
        keys = self.partitions(what)
        withdrawn = self.withdrawn(what, keys)
        if not keys and not withdrawn:
            self.empty.append(what.to_user_string() if isinstance(what, dg.AssetKey) else what.name)
        if isinstance(what, dg.AssetKey):
            complete = self.instance.get_materialized_partitions(what)
        else:
            complete = self._complete(what)
        if not everything and keys != [""] and not _has_more_each_time(what):
            keys = [key for key in keys if key not in complete]
        if isinstance(what, dg.AssetKey):
            return keys

        def in_order(session: Connection) -> list[str]:
            due = due_partitions(session, what.name, what.fingerprint, what.verdict_fingerprint) if withdrawn else ()
            return in_load_order(session, what, [*keys, *(key for key in withdrawn if key in due)])

        return in_session(self._url, in_order)

    def stale(self, source: Source) -> set[str]:
        """Return the partitions with deliveries that must be reloaded."""
        return in_session(self._url, lambda session: stale_partitions(session, source))

    def _complete(self, source: Source) -> set[str]:
        """Return the partitions that are complete, not stale, and materialized in Dagster, by runs that succeeded."""

        def complete(session: Connection) -> set[str]:
            loaded = results.complete_partitions(session, source.name, source.fingerprint)
            return loaded - failed_partitions(session, source.name)

        return in_session(self._url, complete) & self.instance.get_materialized_partitions(core_key(source.name))

    def own_assets(self) -> list[dg.AssetKey]:
        """Return the assets that were written by hand; each comes after its inputs."""
        graph = self._definitions.resolve_asset_graph()
        others = {key for source in self._sources.values() for key in asset_keys(source.name)}
        others |= {core_key(name) for name in self.broken}
        return [key for key in graph.toposorted_asset_keys if key not in others and graph.get(key).is_materializable]

    def unchanged_asset(self, key: dg.AssetKey, partition: str) -> Outcome | None:
        """Return that an asset written by hand was materialized after all that it reads; None if it was not.

        Args:
            key: Of the asset. Nobody knows whether its code has changed since.
            partition: Key of the partition; the empty text if there are no partitions.
        """
        above = self._definitions.resolve_asset_graph().get(key).parent_keys
        own = newest_materializations(self.instance, key, [partition]).get(partition)
        read = [
            record.asset_entry.last_materialization_storage_id
            for record in self.instance.get_asset_records(list(above))
        ]
        if own is None or len(read) < len(above) or any(id_ is None or id_ > own.storage_id for id_ in read):
            return None
        return Outcome(delivered_as(key), partition or None, None, UNCHANGED)


def report_reviewed(connection: Connection, source: Source, partitions: Iterable[str]) -> None:
    """Materialize partitions of ``quarantine/x`` in which a person corrected or dismissed records."""
    with dg.DagsterInstance.get() as instance:
        for partition in partitions:
            event = waiting_materialization(source, connection, partition, str(uuid4()))
            instance.report_runless_asset_event(event)


def report_changed(
    connection: Connection, source: Source, run_id: str, partitions: Collection[str] | None = None
) -> None:
    """Materialize partitions of a source that a command changed; every loaded one when None."""
    with dg.DagsterInstance.get() as instance:
        for event in changed_materializations(source, connection, run_id, partitions):
            instance.report_runless_asset_event(event)


@contextmanager
def orchestration(env: Environment, *, verbose: bool, wanted: Wanted | None = None) -> Iterator[Orchestration]:
    """Open Dagster for the length of a block, and prepare it.

    Args:
        env: The settings and databases of the command.
        verbose: Whether Dagster's log goes to standard error.
        wanted: What the command runs; the code location has no more than that needs. None: it has everything.
    """
    with opened(env, verbose=verbose, wanted=wanted) as dagster:
        dagster.prepare()
        yield dagster


@contextmanager
def opened(env: Environment, *, verbose: bool, wanted: Wanted | None = None) -> Iterator[Orchestration]:
    """Open Dagster for the length of a block, as `orchestration` does, in a command that has prepared it already."""
    location = _location(env.settings, wanted)
    logging.getLogger("dagster").setLevel(logging.DEBUG if verbose else logging.CRITICAL)
    with dg.DagsterInstance.get() as instance:
        yield Orchestration(env, location, instance, "DEBUG" if verbose else "CRITICAL")


def _location(settings: Settings, wanted: Wanted | None) -> Location:
    """Return the code location of the files that are needed; that of everything if they are not known."""
    part = None if wanted is None else of_wanted(settings, wanted)
    if part is not None:
        return part
    from etl_assets.definitions import LOCATION

    return LOCATION


def _has_more_each_time(what: Runnable) -> bool:
    """Whether complete partitions may have more: those of an incremental source, unless each is a time that is over."""
    if isinstance(what, dg.AssetKey):
        return False
    return what.extractor.is_incremental and not isinstance(what.partitions, Periods)
