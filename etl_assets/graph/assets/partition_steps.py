"""What the steps of a source do with one partition: land it, load it, count what waits in the quarantine.

This module has the order of the parts of a run, and what a step records when it fails. Package `ingest` processes
deliveries and batches. The steps yield what Dagster must know; who runs them hands it on.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import dagster as dg

from etl_assets import ingest, watch
from etl_assets.errors import DeliveryError, LoadError, ShapeError
from etl_assets.extract import progress
from etl_assets.graph.assets import checks, metadata
from etl_assets.graph.assets.check_results import asset_check_evaluation, in_order
from etl_assets.graph.assets.stream import Stream
from etl_assets.graph.assets.touched import log_touched
from etl_assets.graph.assets.unchanged import land_if_new, log_unchanged
from etl_assets.graph.keys import core_key
from etl_assets.graph.partitions import check_key
from etl_assets.graph.run_config import SourceConfig
from etl_assets.graph.runs.retries import TRANSIENT_FETCH, retried_errors, retrying
from etl_assets.graph.runs.run_record import record_of_asset
from etl_assets.load.loader import stopwatch
from etl_assets.model.check_result import CheckResult
from etl_assets.model.checks import SHAPE
from etl_assets.postgres.connection import in_session
from etl_assets.postgres.ledger import deliveries, entries, quarantine
from etl_assets.postgres.runs.asset_metadata import sample_places
from etl_assets.postgres.runs.standing import Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from etl_assets.errors import TooManyRejectedError
    from etl_assets.graph.assets.stream import OnRefusal
    from etl_assets.graph.runs.run_record import RunRecord
    from etl_assets.landing import Warehouse
    from etl_assets.model.delivery import Delivery
    from etl_assets.model.partitions import Partition
    from etl_assets.postgres.connection import Connection
    from etl_assets.source import Source

RELOAD: Final = "reload"
_MOST_LOGGED: Final = 20
"""A run logs so many changes of what is published one by one."""


@dataclass(frozen=True)
class PartitionStep:
    """One step of a run, for one partition.

    Attributes:
        source: The declaration.
        partition: The partition.
        context: Of Dagster's step.
        warehouse: Where the partition is landed and loaded.
        record: Of the step in the run history; it has begun.
    """

    source: Source
    partition: Partition
    context: dg.AssetExecutionContext
    warehouse: Warehouse
    record: RunRecord

    @property
    def config(self) -> SourceConfig:
        """The configuration of the run."""
        return SourceConfig.of(self.context.run, self.source.name)

    @property
    def tries(self) -> int:
        """How often Dagster has tried its step before."""
        return self.context.op_execution_context.retry_number


Report: TypeAlias = dg.MaterializeResult[None] | dg.Output[Stream] | CheckResult
"""What a step yields. A stream is loaded before the step goes on."""
Materialize: TypeAlias = "Callable[[PartitionStep], Iterator[Report]]"


def step_of_run(source: Source, context: dg.AssetExecutionContext, key: dg.AssetKey) -> PartitionStep:
    """Begin a step of a run that has one partition, or none because its source has none.

    Args:
        source: The declaration.
        context: Of Dagster's step.
        key: Of the asset that the step materializes.
    """
    partition = source.partition(check_key(context.partition_key) if context.has_partition_key else None)
    warehouse: Warehouse = context.resources.warehouse.open()
    record = record_of_asset(warehouse.url, context, source, partition.key, key)
    record.start()
    return PartitionStep(source, partition, context, warehouse, record)


def land_or_retry(step: PartitionStep) -> Iterator[Report]:
    """Land what is published for the partition; let Dagster retry the step after an error that may pass."""
    with retrying(step.tries, TRANSIENT_FETCH):
        yield from land(step)


def land(step: PartitionStep) -> Iterator[Report]:
    """Land what is published for the partition, observe how it has changed, and judge its shape.

    If there is nothing to do, no materialization is yielded, and the later steps have nothing to do either.
    """
    source, context, warehouse, record = step.source, step.context, step.warehouse, step.record
    with record.entering_errors(retried_errors(step.tries, TRANSIENT_FETCH)):
        with progress.shown(context.log.info):
            landed = land_if_new(step)
        if isinstance(landed, Standing):
            yield log_unchanged(step, landed)
            return
        if landed.withdrawn:
            context.log.warning("%s is published no longer; it is loaded from its frozen bytes.", landed.delivery)
        for note in landed.delivery.manifest.notes:
            context.log.warning("%s: %s", landed.delivery, note)
        drift = watch.observe_delivery(source, landed.delivery, warehouse)
        for event in drift.unforeseen[:_MOST_LOGGED]:
            context.log.warning("%s: %s. See `etl-assets drift show %d`.", landed.delivery, event, event.id)
        if more := len(drift.unforeseen[_MOST_LOGGED:]):
            text = "%s: %d more changes. See `etl-assets drift list --source %s`."
            context.log.warning(text, landed.delivery, more, source.name)
        try:
            shape = ingest.admit(source, landed.delivery, warehouse)
        except ShapeError as error:
            failed = CheckResult(SHAPE, passed=False, blocking=True, description=str(error))
            drift_result = in_session(warehouse.url, lambda session: checks.drift_result(source, session, 0))
            record.refused(landed.delivery.id, [failed, drift_result])
            partition = step.partition.key or None
            context.log_event(asset_check_evaluation(drift_result, core_key(source.name), partition))
            yield failed
            raise
        passed = CheckResult(SHAPE, passed=True, blocking=True, records=landed.delivery.manifest.records)
        record.end(landed.delivery.id, results=[passed])
    yield dg.MaterializeResult(
        metadata=metadata.landed(landed, shape, drift), data_version=dg.DataVersion(landed.delivery.manifest.sha256)
    )
    yield passed


def load(step: PartitionStep) -> Iterator[Report]:
    """Load the deliveries of the partition that wait, then evaluate the checks of the table."""
    source, context, warehouse, record = step.source, step.context, step.warehouse, step.record
    config = step.config
    stream = Stream(
        source=source,
        partition=step.partition,
        run_id=context.run.run_id,
        force=config.force,
        batches=config.batches,
        accept_deletes=config.accept_deletes,
        on_refusal=_report_refusal(step),
    )
    yield dg.Output(stream, core_key(source.name).to_python_identifier())
    with record.entering_errors():
        seconds = defaultdict[str, float](float, metadata.seconds(stream.reports))
        with stopwatch(seconds, "checks"):
            if stream.touched:
                log_touched(context, source, warehouse.url, stream.touched, RELOAD)
            results = in_session(warehouse.url, lambda session: checks.loaded_results(source, session, stream.reports))
        if source.extractor.compares_keys is not None:
            with stopwatch(seconds, "keys"):
                results += _keys_results(step, force=config.compare_keys)
        newest, results = stream.reports[-1], in_order(results)
        record.checks(newest.delivery.id, results)
        yield from results
        if failed := [result for result in results if result.blocking and not result.passed]:
            raise LoadError(
                f"{newest.delivery} was loaded, but blocking checks failed: "
                f"{'; '.join(result.description for result in failed)}. The written rows stay. Run "
                "`etl-assets doctor` to see what is wrong."
            )
        source.extractor.after_load(stream.partition, newest.delivery.manifest.validators)
        record.end(newest.delivery.id, seconds)


def count_waiting(step: PartitionStep) -> Iterator[Report]:
    """Count the records of the partition that wait in the quarantine."""
    source, record = step.source, step.record
    with record.entering_errors():
        counts, reasons = in_session(
            step.warehouse.url,
            lambda session: (
                quarantine.count_waiting(session, source.name, record.partition),
                quarantine.counts(session, source.name),
            ),
        )
        record.end()
    yield dg.MaterializeResult(metadata=metadata.waiting(counts, reasons))


def _keys_results(step: PartitionStep, *, force: bool) -> list[CheckResult]:
    """Compare keys if that is due; a failure of the source does not fail the run, whose rows are committed."""
    source, context = step.source, step.context
    try:
        with progress.shown(context.log.info):
            comparison = ingest.compare_keys(source, step.partition, step.warehouse, context.run.run_id, force=force)
    except DeliveryError as error:
        results = [checks.keys_not_listed_result(error)]
    else:
        results = [] if comparison is None else [checks.keys_result(source, comparison)]
    for result in results:
        if not result.passed:
            context.log.warning("%s: %s", source.name, result.description)
    return results


def _report_refusal(step: PartitionStep) -> OnRefusal:
    """Return a function that reports the check results of a refused delivery, whose asset is not materialized."""
    source, url = step.source, step.warehouse.url

    def report(delivery: Delivery, error: TooManyRejectedError) -> None:
        delivery, rules, places, drift = in_session(url, lambda session: _refused(source, session, delivery))
        for rule, broken in error.rules.items():
            rules[rule] = rules.get(rule, 0) + broken
        results = [*checks.refused_results(source, delivery, error.rejected, rules, places), drift]
        step.record.checks(delivery.id, results)
        for result in results:
            step.context.log_event(asset_check_evaluation(result, core_key(source.name), step.partition.key or None))

    return report


def _refused(
    source: Source, connection: Connection, delivery: Delivery
) -> tuple[Delivery, dict[str, int], dict[str, list[str]], CheckResult]:
    """Return a refused delivery as it is now, its broken rules, places of rejected records, and the result of drift."""
    delivery = deliveries.by_id(connection, delivery.id) or delivery
    _, rules = entries.sum_entries(entries.find_all(connection, delivery))
    places = sample_places(connection, [delivery.id])
    return delivery, rules, places, checks.drift_result(source, connection, delivery.manifest.records)
