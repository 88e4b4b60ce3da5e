"""Runs Dagster's jobs in this process, and reads from the database how each partition of a run has ended."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import dagster as dg

from etl_assets.cli.outcome import Failure, Outcome
from etl_assets.cli.run_origin import in_code_location
from etl_assets.errors import REFUSALS, LoadError
from etl_assets.graph.keys import REPLAY, SOURCE_TAG, asset_keys, core_key, delivered_as, landing_key
from etl_assets.graph.partitions import RANGE_TAGS
from etl_assets.graph.run_config import SourceConfig, audit_config, replay_config
from etl_assets.graph.runs.ended_runs import reconcile, rules_of
from etl_assets.graph.runs.run_record import RunRecord
from etl_assets.graph.runs.unchanged import UNCHANGED
from etl_assets.model.checks import AUDIT
from etl_assets.model.counts import Counts
from etl_assets.postgres.connection import in_session
from etl_assets.postgres.ledger import deliveries
from etl_assets.postgres.runs import results

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.cli.run_options import RunOptions
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.source import Source

NO_RETRIES_TAG: Final = "dagster/max_retries"
"""The daemon cannot retry a run that a command started: the user repeats the command instead."""
_ASSET_EVENTS: Final = (dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_CHECK_EVALUATION)


class InProcessRuns:
    """Runs jobs and materializes assets in this process.

    Args:
        url: URL of the warehouse.
        sources: All known sources, by name.
        definitions: Dagster's definitions of everything.
        instance: Dagster's instance.
        log: The level of Dagster's log on standard error.
    """

    def __init__(
        self,
        url: str,
        sources: Mapping[str, Source],
        definitions: dg.Definitions,
        instance: dg.DagsterInstance,
        log: str,
    ) -> None:
        self._url = url
        self._sources = sources
        self._definitions = definitions
        self._instance = instance
        self._log = {"loggers": {"console": {"config": {"log_level": log}}}}

    def materialize_source(
        self, source: Source, partitions: Sequence[str], options: RunOptions, run_id: str | None = None
    ) -> list[Outcome]:
        """Materialize partitions of a source in one run.

        Args:
            source: The declaration.
            partitions: Keys that are a range of partitions, or the empty text if the source has none.
            options: How to run them.
            run_id: The id of the run; None lets it be chosen.
        """
        config = SourceConfig(
            file=str(Path(options.file).absolute()) if options.file is not None else None,
            full=options.full,
            fetch=options.fetch,
            force=options.force,
            accept_deletes=options.accept_deletes,
            compare_keys=options.full,
        )
        run = _Run(source.name, tuple(partitions), core_key(source.name), config.as_run_config(source.name), run_id)
        return self._execute(self._all_assets(), run, asset_keys(source.name), {SOURCE_TAG: source.name})

    def materialize_asset(self, key: dg.AssetKey, partition: str, run_id: str | None = None) -> Outcome:
        """Materialize a partition of an asset that was written by hand; the empty text if it has none."""
        run = _Run(delivered_as(key), (partition,), key, {}, run_id)
        (outcome,) = self._execute(self._all_assets(), run, [key])
        return outcome

    def replay(self, source: str, ids: Sequence[int] | None, *, released: bool) -> Outcome:
        """Replay records of the quarantine: those with some ids, all that wait, or those whose parents have arrived."""
        run = _Run(source, ("",), None, replay_config(source, ids, released=released))
        tags = {SOURCE_TAG: source}
        (outcome,) = self._execute(self._definitions.resolve_job_def(REPLAY), run, tags=tags)
        return outcome

    def audit(self, names: Sequence[str]) -> tuple[list[dg.AssetObservation], str]:
        """Check the stored tables of some sources against their declarations; of all sources if none is named.

        Returns:
            The observation of each table, and the error of the run; the empty text if the run succeeded.
        """
        with in_code_location(self._instance):
            result = self._definitions.resolve_job_def(AUDIT).execute_in_process(
                run_config={**audit_config(names), **self._log},
                instance=self._instance,
                raise_on_error=False,
                tags={NO_RETRIES_TAG: "0"},
            )
        observations = [
            event.asset_observation_data.asset_observation
            for event in result.all_events
            if event.event_type == dg.DagsterEventType.ASSET_OBSERVATION
        ]
        return observations, "" if result.success else _failure(result, None).message

    def _all_assets(self) -> dg.JobDefinition:
        return self._definitions.resolve_implicit_global_asset_job_def()

    def _execute(
        self,
        job: dg.JobDefinition,
        run: _Run,
        selection: Sequence[dg.AssetKey] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> list[Outcome]:
        """Run a job, or the selected assets of it; read how each partition has ended."""
        began = time.perf_counter()
        rules = rules_of(self._sources, run.name)
        record = RunRecord(self._url, run.id or str(uuid4()), run.name, run.partitions[0], rules, job=job.name)
        record.start()  # before Dagster knows the run, so that the reaper can find the process of every run
        with record.entering_errors(), in_code_location(self._instance):
            result = job.execute_in_process(
                run_config={**run.config, **self._log},
                instance=self._instance,
                partition_key=run.partition_key,
                asset_selection=selection,
                raise_on_error=False,
                run_id=record.run_id,
                tags={NO_RETRIES_TAG: "0", **(tags or {}), **self._range_tags(run)},
            )
        took = time.perf_counter() - began
        try:
            self._reconcile(record.run_id)
            ends = in_session(self._url, lambda connection: _ends(connection, run, result))
        except LoadError:
            if result.success:
                raise
            ends = [(None, None)] * len(run.partitions)  # the database is away, and the failure of the run says so
        shown = _Shown(run, result, self._instance)
        pairs = zip(run.partitions, ends, strict=True)
        return [shown.outcome(partition, *end, took / len(run.partitions)) for partition, end in pairs]

    def _range_tags(self, run: _Run) -> dict[str, str]:
        """Return the tags by which Dagster knows the range of many partitions."""
        if not run.is_range:
            return {}
        partitions = self._definitions.resolve_asset_graph().get(core_key(run.name)).partitions_def
        known = partitions.get_partition_keys(dynamic_partitions_store=self._instance) if partitions else []
        first, last = sorted((run.partitions[0], run.partitions[-1]), key=known.index)
        return dict(zip(RANGE_TAGS, (first, last), strict=True))

    def _reconcile(self, run_id: str) -> None:
        """Complete the run history of a run, as the sensor does where a daemon runs."""
        (record,) = self._instance.get_run_records(dg.RunsFilter(run_ids=[run_id]))
        in_session(self._url, lambda connection: reconcile(connection, self._instance, record, self._sources))


@dataclass(frozen=True)
class _Run:
    """What a run is about.

    Attributes:
        name: Name of the source, or of the deliveries of an asset.
        partitions: Keys of the partitions; one empty text if there are none.
        key: Of the asset that is the table; None for a replay.
        config: The run configuration.
        id: Dagster's id of the run; None lets it be chosen.
    """

    name: str
    partitions: tuple[str, ...]
    key: dg.AssetKey | None
    config: Mapping[str, Any]
    id: str | None = None

    @property
    def is_range(self) -> bool:
        """Whether there are many partitions."""
        return len(self.partitions) > 1

    @property
    def partition_key(self) -> str | None:
        """The only partition; None if there is none, or if there are many."""
        return None if self.is_range else self.partitions[0] or None

    def place(self, partition: str | None) -> str:
        """Return the partition that an event is about; events of a run of one may not name it."""
        return partition or "" if self.is_range else self.partitions[0]


def _ends(
    connection: Connection, run: _Run, result: dg.ExecuteInProcessResult
) -> list[tuple[results.RunSummary | None, Delivery | None]]:
    """Return how each partition of a run has ended, and its newest delivery."""
    ends = []
    for partition in run.partitions:
        summary = results.run_summary(connection, result.run_id, run.name, partition)
        # a run that failed may have landed none
        loaded = run.key is not None and (summary.status == "succeeded" if summary and run.is_range else result.success)
        ends.append((summary, deliveries.newest(connection, run.name, partition) if loaded else None))
    return ends


class _Shown:
    """What Dagster shows of a run, by partition."""

    def __init__(self, run: _Run, result: dg.ExecuteInProcessResult, instance: dg.DagsterInstance) -> None:
        self._run = run
        self._result = result
        self._statuses: dict[str, str] = {}
        self._remarks: defaultdict[str, list[str]] = defaultdict(list)
        for event in _asset_events(run, result, instance):
            if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION:
                if event.asset_key == landing_key(run.name):
                    self._remarks[run.place(event.partition)] += _of_names(event.materialization.metadata)
                status = event.materialization.metadata.get("status")
                if event.asset_key == run.key and status is not None:
                    self._statuses.setdefault(run.place(event.partition), str(status.value).rpartition(", ")[2])
                continue
            evaluation = event.asset_check_evaluation_data
            if not evaluation.passed and not evaluation.blocking:
                remark = failed_check(evaluation.check_name, evaluation.description)
                self._remarks[run.place(evaluation.partition)].append(remark)

    def outcome(
        self, partition: str, summary: results.RunSummary | None, newest: Delivery | None, took: float
    ) -> Outcome:
        """Return the outcome of a partition.

        Args:
            partition: Key of the partition.
            summary: Of the run history; None if the partition never began.
            newest: The newest delivery of the partition; None if there is none, or if the partition failed.
            took: Seconds of the run, divided among its partitions.
        """
        failure = self._failure(summary)
        since = summary.unchanged_since if summary else None
        return Outcome(
            source=self._run.name,
            partition=partition or None,
            delivery=(summary.delivery_id if summary else None) or (newest.id if newest else None),
            status=UNCHANGED if since is not None else self._status(partition, failure),
            counts=summary.counts if summary else Counts(),
            took=took,
            seconds=summary.seconds if summary else {},
            error=failure,
            remarks=(*(newest.manifest.notes if newest else ()), *self._remarks[partition]),
            since=since,
        )

    def _failure(self, summary: results.RunSummary | None) -> Failure | None:
        if self._result.success or (self._run.is_range and summary is not None and summary.status == "succeeded"):
            return None
        return _failure(self._result, summary)

    def _status(self, partition: str, failure: Failure | None) -> str:
        """Return how the load ended, as the metadata of the asset say for the newest delivery."""
        if failure is not None:
            return "refused" if failure.name in REFUSALS else "failed"
        if self._run.key is None:
            return "replayed"
        return self._statuses.get(partition, "loaded")


def _asset_events(run: _Run, result: dg.ExecuteInProcessResult, instance: dg.DagsterInstance) -> list[dg.DagsterEvent]:
    """Return the materializations and the results of checks of a run.

    The result lacks those of a step that failed, in which a range may have partitions that did not.
    """
    if result.success or not run.is_range:
        return [event for event in result.all_events if event.event_type in _ASSET_EVENTS]
    records = instance.get_records_for_run(result.run_id, of_type=set(_ASSET_EVENTS)).records
    events = (record.event_log_entry.dagster_event for record in records)
    return [event for event in events if event is not None]


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


def _of_names(metadata: Mapping[str, dg.MetadataValue]) -> list[str]:
    """Return, as a sentence, which columns a delivery lacks while it has names that no column takes."""
    missing, unmapped = (metadata.get(what) for what in ("missing columns", "unmapped columns"))
    if missing is None or unmapped is None:
        return []
    remark = (
        f"the delivery lacks these columns, which have NULL or their default: {missing.value}. No column takes what it "
        f"publishes as {unmapped.value}. If they are the same, correct published_as."
    )
    return [remark]


def failed_check(name: str, description: str | None) -> str:
    """Return that a check failed, as a sentence."""
    return f"check {name} failed: {description or 'see its metadata'}"
