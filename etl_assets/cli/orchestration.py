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

import dagster as dg

from etl_assets.cli.environment import declared_sources
from etl_assets.cli.outcome import Failure, Outcome
from etl_assets.errors import LoadError
from etl_assets.graph.assets.touched import waiting_materialization
from etl_assets.graph.keys import REPLAY, core_key, delivered_as, landing_key
from etl_assets.graph.partitions import add_files
from etl_assets.graph.pools import set_limits
from etl_assets.graph.run_config import audit_config, replay_config
from etl_assets.graph.runs.ended_runs import reconcile, rules_of
from etl_assets.graph.runs.reaper import reap
from etl_assets.graph.runs.run_record import RunRecord
from etl_assets.model.checks import AUDIT
from etl_assets.model.counts import Counts
from etl_assets.postgres.connection import in_session
from etl_assets.postgres.ledger import deliveries
from etl_assets.postgres.runs import results

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from etl_assets.cli.environment import Environment
    from etl_assets.postgres.connection import Connection
    from etl_assets.source import Source

REFUSING: Final = ("TooManyRejectedError", "ShapeError")
MARTS: Final = "marts"
NO_RETRIES_TAG: Final = "dagster/max_retries"
"""The daemon cannot retry a run that a command started: the user repeats the command instead."""


class Orchestration:
    """Dagster's definitions and instance, for the duration of a command.

    Attributes:
        instance: The instance.
        set_aside: By source whose files were listed: names of files that cannot be keys of partitions, and why.
    """

    def __init__(self, env: Environment, definitions: dg.Definitions, instance: dg.DagsterInstance, log: str) -> None:
        self._url = env.url
        self._sources = declared_sources(env.settings)
        self._definitions = definitions
        self.instance = instance
        self.set_aside: dict[str, Mapping[str, str]] = {}
        self._log = {"loggers": {"console": {"config": {"log_level": log}}}}

    def run(self, source: Source, partition: str, *, force: bool = False, file: str | None = None) -> Outcome:
        """Fetch, validate and load a partition of a source.

        Args:
            source: Its declaration.
            partition: Key of the partition; the empty text for a source without partitions.
            force: Whether to reload a complete delivery.
            file: Path of a file to load instead of the publisher's.
        """
        ops: dict[str, Any] = {core_key(source.name).to_python_identifier(): {"config": {"force": force}}}
        if file is not None:
            ops[landing_key(source.name).to_python_identifier()] = {"config": {"file": str(Path(file).absolute())}}
        return self._outcome(source.name, source.name, partition, core_key(source.name), {"ops": ops})

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

    def compute(self, key: dg.AssetKey, partition: str) -> Outcome:
        """Materialize a partition of an asset that is written by hand."""
        return self._outcome(None, delivered_as(key), partition, key, {})

    def partitions(self, source: Source) -> list[str]:
        """Return every partition that a source has now, oldest first; add new files as partitions.

        Names of files that cannot be keys are entered in `set_aside`.
        """
        if source.partitions is None:
            return [""]
        if source.has_file_partitions:
            names = add_files(source, self.instance, self._url)
            self.set_aside[source.name] = names.set_aside
            return list(names.keys)
        return list(source.partitions.keys(datetime.now(tz=UTC)))

    def plan(self, source: Source, *, everything: bool) -> list[str]:
        """Return the partitions to run: those that are stale last and newest first, the others oldest first.

        What a newer delivery no longer yields may be in an older one, which is therefore reloaded after it.

        Args:
            source: Its declaration.
            everything: Whether to run complete partitions as well.
        """
        keys = self.partitions(source)
        stale = self.stale(source)
        if not everything and source.partitions is not None:
            complete = self._complete(source)
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

    def marts(self) -> list[tuple[dg.AssetKey, list[str]]]:
        """Return the assets computed from tables, with their partitions; each asset comes after its inputs."""
        graph = self._definitions.resolve_asset_graph()
        marts = []
        for key in graph.toposorted_asset_keys:
            node = graph.get(key)
            if key.path[0] == MARTS and node.is_materializable:
                definition = node.partitions_def
                keys = (
                    [""]
                    if definition is None
                    else list(definition.get_partition_keys(dynamic_partitions_store=self.instance))
                )
                marts.append((key, keys))
        return marts

    def _outcome(
        self, job: str | None, name: str, partition: str, key: dg.AssetKey | None, config: Mapping[str, Any]
    ) -> Outcome:
        """Run a job, or materialize one asset if there is no job, and read what the run did."""
        began = time.perf_counter()
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
                asset_selection=[key] if job is None and key is not None else None,
                raise_on_error=False,
                run_id=record.run_id,
                tags={NO_RETRIES_TAG: "0"},
            )
        took = time.perf_counter() - began
        try:
            self._reconcile(record.run_id)
            summary, newest = in_session(
                self._url,
                lambda connection: (
                    results.run_summary(connection, result.run_id, name, partition),
                    deliveries.newest(connection, name, partition) if job != REPLAY else None,
                ),
            )
        except LoadError:
            if result.success:
                raise
            summary = newest = None  # the database is away, and the failure of the run says so
        failure = None if result.success else _failure(result, summary)
        return Outcome(
            source=name,
            partition=partition or None,
            delivery=(summary.delivery_id if summary else None) or (newest.id if newest else None),
            status=_status(result, key, failure),
            counts=summary.counts if summary else Counts(),
            took=took,
            seconds=summary.seconds if summary else {},
            error=failure,
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


@contextmanager
def orchestration(env: Environment, *, verbose: bool) -> Iterator[Orchestration]:
    """Open Dagster for the length of a block. First find the runs that have crashed, and enter that they did.

    Args:
        env: The settings and databases of the command.
        verbose: Whether Dagster's log goes to standard error.
    """
    from etl_assets.definitions import defs  # noqa: PLC0415 -- its contents depend on the environment

    logging.getLogger("dagster").setLevel(logging.DEBUG if verbose else logging.CRITICAL)
    with dg.DagsterInstance.get() as instance:
        sources = declared_sources(env.settings)
        set_limits(instance, sources.values())
        reap(instance, env.url, sources)
        yield Orchestration(env, defs, instance, "DEBUG" if verbose else "CRITICAL")


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
