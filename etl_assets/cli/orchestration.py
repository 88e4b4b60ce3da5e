"""Runs Dagster's jobs in this process, lists partitions, and reads the outcome of each run from the database.

Only this module of the command line uses Dagster's jobs and runs. `etl_assets.graph` defines what a run does.
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import click
import dagster as dg

from etl_assets.cli.environment import declared
from etl_assets.cli.outcome import Failure, Outcome
from etl_assets.errors import LoadError
from etl_assets.graph import last_good
from etl_assets.graph.assets.checks import of_history
from etl_assets.graph.assets.touched import swapped_materializations, waiting_materialization
from etl_assets.graph.keys import REPLAY, SOURCE_TAG, asset_keys, core_key, delivered_as, landing_key
from etl_assets.graph.needed import of_wanted
from etl_assets.graph.partitions import add_files
from etl_assets.graph.pools import set_limits
from etl_assets.graph.run_config import audit_config, replay_config
from etl_assets.graph.runs.ended_runs import reconcile, rules_of
from etl_assets.graph.runs.one_by_one import Failures
from etl_assets.graph.runs.reaper import reap
from etl_assets.graph.runs.run_record import RunRecord
from etl_assets.graph.runs.unchanged import UNCHANGED, report_if_unchanged
from etl_assets.graph.targets import newest_materializations
from etl_assets.model.checks import AUDIT
from etl_assets.model.counts import Counts
from etl_assets.model.partitions import Periods
from etl_assets.postgres.connection import in_session
from etl_assets.postgres.ledger import deliveries
from etl_assets.postgres.runs import results

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
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

REFUSING: Final = ("TooManyRejectedError", "TooManyDeletedError", "ShapeError")
NO_RETRIES_TAG: Final = "dagster/max_retries"
"""The daemon cannot retry a run that a command started: the user repeats the command instead."""


class Orchestration:
    """Dagster's definitions and instance, for the duration of a command.

    Attributes:
        broken: The files that do not load, or whose definitions are wrong, by the name of their asset.
        instance: Dagster's instance.
        set_aside: By source whose files were listed: names of files that cannot be keys of partitions, and why.
    """

    def __init__(self, env: Environment, location: Location, instance: dg.DagsterInstance, log: str) -> None:
        self._url = env.url
        self._sources = declared(env.settings).sources
        self._definitions = location.definitions
        self.broken = location.broken
        self.instance = instance
        self.set_aside: dict[str, Mapping[str, str]] = {}
        self._log = {"loggers": {"console": {"config": {"log_level": log}}}}

    def run(self, what: Runnable, partition: str, options: RunOptions) -> Outcome:
        """Fetch, validate and load a partition of a source, or materialize one of an asset written by hand.

        Args:
            what: The declaration of the source, or the key of the asset.
            partition: Key of the partition; the empty text if there are no partitions.
            options: How to run it.
        """
        if isinstance(what, dg.AssetKey):
            return self._outcome(None, delivered_as(what), partition, what, {})
        if options.may_be_unchanged and (unchanged := self._unchanged(what, partition)) is not None:
            return unchanged
        core = {"force": options.force, "compare_keys": options.full, "accept_deletes": options.accept_deletes}
        ops: dict[str, Any] = {core_key(what.name).to_python_identifier(): {"config": core}}
        landing: dict[str, Any] = {"file": str(Path(options.file).absolute())} if options.file is not None else {}
        landing |= {name: True for name in ("full", "fetch") if getattr(options, name)}
        if landing:
            ops[landing_key(what.name).to_python_identifier()] = {"config": landing}
        return self._outcome(None, what.name, partition, core_key(what.name), {"ops": ops})

    def _unchanged(self, source: Source, partition: str) -> Outcome | None:
        """Enter and return that there is nothing to do, without a run; None if there is something to do."""
        began = time.perf_counter()
        found = report_if_unchanged(source, partition, self._url, self.instance)
        if found is None:
            return None
        standing, results = found
        checks = of_history(source, results)
        failed = [_failed_check(check.name, check.description) for check in checks if not check.passed]
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
        return self._outcome(REPLAY, source, "", None, replay_config(source, ids, released=released))

    def audit(self, names: Sequence[str]) -> tuple[list[dg.AssetObservation], str]:
        """Check the stored tables of some sources against their declarations; of all sources if none is named.

        Returns:
            The observation of each table, and the error of the run; the empty text if the run succeeded.
        """
        result = self._definitions.resolve_job_def(AUDIT).execute_in_process(
            run_config={**audit_config(names), **self._log},
            instance=self.instance,
            raise_on_error=False,
            tags={NO_RETRIES_TAG: "0"},
        )
        observations = [
            event.asset_observation_data.asset_observation
            for event in result.all_events
            if event.event_type == dg.DagsterEventType.ASSET_OBSERVATION
        ]
        return observations, "" if result.success else _failure(result, None).message

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

    def plan(self, what: Runnable, *, everything: bool) -> list[str]:
        """Return the partitions to run: those that are stale last and newest first, the others oldest first.

        What a newer delivery no longer yields may be in an older one, which is therefore reloaded after it.

        Args:
            what: The declaration of the source, or the key of the asset.
            everything: Whether to run complete partitions as well.
        """
        keys = self.partitions(what)
        if isinstance(what, dg.AssetKey):
            complete, stale = self.instance.get_materialized_partitions(what), set[str]()
        else:
            complete, stale = self._complete(what), self.stale(what)
        if not everything and keys != [""] and not _has_more_each_time(what):
            keys = [key for key in keys if key not in complete]
        return [*(key for key in keys if key not in stale), *(key for key in reversed(keys) if key in stale)]

    def stale(self, source: Source) -> set[str]:
        """Return the partitions with deliveries that must be reloaded."""
        stale = partial(deliveries.stale, source=source.name, fingerprint=source.fingerprint)
        return {delivery.partition for delivery in in_session(self._url, stale)}

    def _complete(self, source: Source) -> set[str]:
        """Return the partitions that are complete, not stale, and materialized in Dagster."""
        complete = partial(results.complete_partitions, source=source.name, fingerprint=source.fingerprint)
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

    def _outcome(
        self, job: str | None, name: str, partition: str, key: dg.AssetKey | None, config: Mapping[str, Any]
    ) -> Outcome:
        """Run a job, or materialize the assets of a source or one asset if there is no job; read what the run did."""
        began = time.perf_counter()
        selection, tags = None, {NO_RETRIES_TAG: "0"}
        if name in self._sources and job is None:
            selection, tags = list(asset_keys(name)), {**tags, SOURCE_TAG: name}
        elif job is None and key is not None:
            selection = [key]
        if job is None:
            definition = self._definitions.resolve_implicit_global_asset_job_def()
        else:
            definition = self._definitions.resolve_job_def(job)
        rules = rules_of(self._sources, name)
        record = RunRecord(self._url, str(uuid4()), name, partition, rules, job=definition.name)
        record.start()  # before Dagster knows the run, so that the reaper can find the process of every run
        with record.entering_errors():
            result = definition.execute_in_process(
                run_config={**config, **self._log},
                instance=self.instance,
                partition_key=partition or None,
                asset_selection=selection,
                raise_on_error=False,
                run_id=record.run_id,
                tags=tags,
            )
        took = time.perf_counter() - began
        try:
            self._reconcile(record.run_id)
            summary, newest = in_session(
                self._url,
                lambda connection: (
                    results.run_summary(connection, result.run_id, name, partition),
                    # a run that failed may have landed none
                    deliveries.newest(connection, name, partition) if job != REPLAY and result.success else None,
                ),
            )
        except LoadError:
            if result.success:
                raise
            summary = newest = None  # the database is away, and the failure of the run says so
        failure = None if result.success else _failure(result, summary)
        since = summary.unchanged_since if summary else None
        return Outcome(
            source=name,
            partition=partition or None,
            delivery=(summary.delivery_id if summary else None) or (newest.id if newest else None),
            status=UNCHANGED if since is not None else _status(result, key, failure),
            counts=summary.counts if summary else Counts(),
            took=took,
            seconds=summary.seconds if summary else {},
            error=failure,
            remarks=(*(newest.manifest.notes if newest else ()), *_failed_checks(result)),
            since=since,
        )

    def _reconcile(self, run_id: str) -> None:
        """Complete the run history of a run, as the sensor does where a daemon runs."""
        (record,) = self.instance.get_run_records(dg.RunsFilter(run_ids=[run_id]))
        in_session(self._url, lambda connection: reconcile(connection, self.instance, record, self._sources))


def report_reviewed(connection: Connection, source: Source, partitions: Iterable[str]) -> None:
    """Materialize partitions of ``quarantine/x`` in which a person corrected or dismissed records."""
    with dg.DagsterInstance.get() as instance:
        for partition in partitions:
            event = waiting_materialization(source, connection, partition, str(uuid4()))
            instance.report_runless_asset_event(event)


def report_swapped(connection: Connection, source: Source, run_id: str) -> None:
    """Materialize the partitions of a source whose table was replaced by a rebuild."""
    with dg.DagsterInstance.get() as instance:
        for event in swapped_materializations(source, connection, run_id):
            instance.report_runless_asset_event(event)


@contextmanager
def orchestration(env: Environment, *, verbose: bool, wanted: Wanted | None = None) -> Iterator[Orchestration]:
    """Open Dagster for the length of a block. First find the runs that have crashed, and enter that they did.

    Args:
        env: The settings and databases of the command.
        verbose: Whether Dagster's log goes to standard error.
        wanted: What the command runs; the code location has no more than that needs. None: it has everything.
    """
    location = _location(env.settings, wanted)
    logging.getLogger("dagster").setLevel(logging.DEBUG if verbose else logging.CRITICAL)
    with dg.DagsterInstance.get() as instance:
        last_good.write(env.settings.home, location.assets)
        sources = declared(env.settings).sources
        set_limits(instance, sources.values())
        failures = Failures()
        reap(instance, env.url, sources, failures)
        if failures.errors:
            click.echo(f"The run history is not complete.{failures}", err=True)
        yield Orchestration(env, location, instance, "DEBUG" if verbose else "CRITICAL")


def _location(settings: Settings, wanted: Wanted | None) -> Location:
    """Return the code location of the files that are needed; that of everything if they are not known."""
    part = None if wanted is None else of_wanted(settings, wanted)
    if part is not None:
        return part
    from etl_assets.definitions import LOCATION

    return LOCATION


def _status(result: dg.ExecuteInProcessResult, key: dg.AssetKey | None, failure: Failure | None) -> str:
    """Return how the load ended, as the metadata of the asset say for the newest delivery."""
    if failure is not None:
        return "refused" if failure.name in REFUSING else "failed"
    if key is None:
        return "replayed"
    for event in result.get_asset_materialization_events():
        if event.asset_key == key and (status := event.materialization.metadata.get("status")) is not None:
            return str(status.value).rpartition(", ")[2]
    return "loaded"


def _failure(result: dg.ExecuteInProcessResult, summary: results.RunSummary | None) -> Failure:
    """Return why a run failed: the error of the run history, or else the first error of a step in Dagster."""
    if summary is not None and summary.error_class is not None:
        return Failure(summary.error_class, summary.error or "")
    for event in result.get_step_failure_events():
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        if error is not None:
            return Failure(error.cls_name or "Failure", error.message.strip())
    return Failure("Failure", "The run failed, and Dagster has no error of a step. Run it again with --verbose.")


def _failed_checks(result: dg.ExecuteInProcessResult) -> Iterator[str]:
    """Yield what the checks found that failed without stopping the run, each as a sentence."""
    for evaluation in result.get_asset_check_evaluations():
        if not evaluation.passed and not evaluation.blocking:
            yield _failed_check(evaluation.check_name, evaluation.description)


def _failed_check(name: str, description: str | None) -> str:
    return f"check {name} failed: {description or 'see its metadata'}"


def _has_more_each_time(what: Runnable) -> bool:
    """Whether complete partitions may have more: those of an incremental source, unless each is a time that is over."""
    if isinstance(what, dg.AssetKey):
        return False
    return what.extractor.is_incremental and not isinstance(what.partitions, Periods)
