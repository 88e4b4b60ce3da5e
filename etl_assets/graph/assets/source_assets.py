"""Builds the three assets of a source: ``landing/x``, ``core/x`` and ``quarantine/x``.

This module has the order of the steps of a run, and what a step records when it fails. Package `ingest` processes
deliveries and batches. The annotations are not postponed here, because Dagster reads those of steps.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final

import dagster as dg

from etl_assets import ingest, watch
from etl_assets.errors import DeliveryError, LoadError, ShapeError, TooManyRejectedError
from etl_assets.extract import progress
from etl_assets.graph.assets import checks, metadata
from etl_assets.graph.assets.check_results import asset_check_evaluation, asset_check_result, in_order
from etl_assets.graph.assets.stream import OnRefusal, Stream
from etl_assets.graph.assets.touched import log_touched
from etl_assets.graph.assets.unchanged import land_if_new, log_unchanged
from etl_assets.graph.keys import WAREHOUSE, core_key, landing_key, quarantine_key
from etl_assets.graph.partitions import partition_of, partitions_definition
from etl_assets.graph.runs.retries import TRANSIENT_FETCH, retried_errors, retrying
from etl_assets.graph.runs.run_record import RunRecord, record_of_asset
from etl_assets.graph.triggers.conditions import Upstream, in_the_same_run
from etl_assets.landing import Warehouse
from etl_assets.load.loader import stopwatch
from etl_assets.model.check_result import CheckResult
from etl_assets.model.checks import SHAPE
from etl_assets.model.delivery import Delivery
from etl_assets.model.partitions import Partition
from etl_assets.model.trigger import After
from etl_assets.postgres.connection import Connection, in_session
from etl_assets.postgres.ledger import deliveries, entries, quarantine
from etl_assets.postgres.runs.asset_metadata import sample_places
from etl_assets.postgres.runs.standing import Standing
from etl_assets.source import Source

RELOAD = "reload"
_LANDING_VERSION = "1"
"""Which bytes are landed does not depend on the declaration of what they become."""
_MOST_LOGGED: Final = 20
"""A run logs so many changes of what is published one by one."""


def source_assets(
    source: Source, parents: Iterable[str] = (), upstream: Upstream | None = None, file: str | None = None
) -> list[dg.AssetsDefinition]:
    """Return the three assets of a source.

    Args:
        source: The declaration.
        parents: Names of the sources whose tables it refers to; they are materialized before it.
        upstream: The assets that its trigger names; None if the trigger names none.
        file: The file of the declaration, for a link; None for no link.
    """
    link = metadata.declared_in(file)
    return [_landing(source, link, upstream), _core(source, tuple(parents), link), _quarantine(source)]


def _landing(source: Source, link: metadata.Link, upstream: Upstream | None) -> dg.AssetsDefinition:
    partitions = partitions_definition(source.partitions, source.name)

    @dg.asset(
        key=landing_key(source.name),
        code_version=_LANDING_VERSION,
        deps=upstream.deps if upstream is not None else (),
        automation_condition=upstream.condition if upstream is not None else None,
        description=f"Frozen deliveries of {source.name}, as published.\n\n{source.description.strip()}",
        group_name=source.name,
        owners=[source.owner],
        tags=source.tags,
        kinds={source.extractor.format.name},
        pool=source.name,
        partitions_def=partitions,
        check_specs=checks.landing_specs(source, partitions),
        output_required=False,
        metadata=link,
        config_schema={
            "file": dg.Field(
                str, is_required=False, description="Land this file, brought by hand, and not the publisher's."
            ),
            "full": dg.Field(
                bool,
                default_value=False,
                description="Fetch everything, if a fetch usually begins where the one before ended.",
            ),
            "fetch": dg.Field(
                bool,
                default_value=False,
                description="Fetch even if a poll finds nothing new, and compare the bytes by their hash.",
            ),
        },
        required_resource_keys={WAREHOUSE},
    )
    def landing(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        warehouse, record = _begin(source, context)
        partition = partition_of(source, context)
        tries = context.op_execution_context.retry_number
        with retrying(tries, TRANSIENT_FETCH), record.entering_errors(retried_errors(tries, TRANSIENT_FETCH)):
            with progress.shown(context.log.info):
                landed = land_if_new(source, partition, context, warehouse)
            if isinstance(landed, Standing):
                yield log_unchanged(context, source, landed, record)
                return
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
                record.checks(None, [failed, drift_result])
                context.log_event(asset_check_evaluation(drift_result, core_key(source.name), partition.key or None))
                yield asset_check_result(failed)
                raise
            passed = CheckResult(SHAPE, passed=True, blocking=True, records=landed.delivery.manifest.records)
            record.checks(landed.delivery.id, [passed])
            record.end(landed.delivery.id)
        yield dg.MaterializeResult(
            metadata=metadata.landed(landed, shape, drift),
            check_results=[asset_check_result(passed)],
            data_version=dg.DataVersion(landed.delivery.manifest.sha256),
        )

    return landing


def _core(source: Source, parents: tuple[str, ...], link: metadata.Link) -> dg.AssetsDefinition:
    partitions = partitions_definition(source.partitions, source.name)

    @dg.asset(
        key=core_key(source.name),
        code_version=source.fingerprint,
        deps=[landing_key(source.name), *(_parent_dep(name) for name in parents)],
        automation_condition=_automation_condition(source, landing_key(source.name)),
        description=metadata.description(source),
        group_name=source.name,
        owners=[source.owner],
        tags=source.tags,
        kinds={"postgres", source.extractor.format.name},
        pool=source.name,
        partitions_def=partitions,
        check_specs=checks.core_specs(source, partitions),
        metadata={
            "dagster/column_schema": metadata.column_schema(source.schema),
            "dagster/table_name": source.table,
            **link,
        },
        freshness_policy=_freshness(source),
        config_schema={
            "force": dg.Field(bool, default_value=False, description="Reload a delivery that is complete."),
            "batches": dg.Field(
                [int], default_value=[], description="Reload only these batches of a complete delivery, by number."
            ),
            "accept_deletes": dg.Field(
                bool, default_value=False, description="Consent to the deletion of any number of rows by a snapshot."
            ),
            "compare_keys": dg.Field(
                bool, default_value=False, description="Compare keys with those of the source even if it is not due."
            ),
        },
        required_resource_keys={WAREHOUSE},
    )
    def core(context: dg.AssetExecutionContext) -> Iterator[dg.Output[Stream] | dg.AssetCheckResult]:
        warehouse, record = _begin(source, context)
        stream = Stream(
            source=source,
            partition=partition_of(source, context),
            run_id=context.run.run_id,
            force=context.op_execution_context.op_config["force"],
            batches=tuple(context.op_execution_context.op_config["batches"]),
            accept_deletes=context.op_execution_context.op_config["accept_deletes"],
            on_refusal=_report_refusal(source, context, warehouse, record),
        )
        yield dg.Output(stream)
        with record.entering_errors():
            seconds = defaultdict[str, float](float, metadata.seconds(stream.reports))
            with stopwatch(seconds, "checks"):
                if stream.touched:
                    log_touched(context, source, warehouse.url, stream.touched, RELOAD)
                results = in_session(
                    warehouse.url, lambda session: checks.loaded_results(source, session, stream.reports)
                )
            if source.extractor.compares_keys is not None:
                with stopwatch(seconds, "keys"):
                    results += _keys_results(source, stream.partition, context, warehouse)
            newest, results = stream.reports[-1], in_order(results)
            record.checks(newest.delivery.id, results)
            yield from map(asset_check_result, results)
            if failed := [result for result in results if result.blocking and not result.passed]:
                raise LoadError(
                    f"{newest.delivery} was loaded, but blocking checks failed: "
                    f"{'; '.join(result.description for result in failed)}. The written rows stay. Run "
                    "`etl-assets doctor` to see what is wrong."
                )
            source.extractor.after_load(stream.partition, newest.delivery.manifest.validators)
            record.end(newest.delivery.id, seconds)

    return core


def _keys_results(
    source: Source, partition: Partition, context: dg.AssetExecutionContext, warehouse: Warehouse
) -> list[CheckResult]:
    """Compare keys if that is due; a failure of the source does not fail the run, whose rows are committed."""
    force = context.op_execution_context.op_config["compare_keys"]
    try:
        with progress.shown(context.log.info):
            comparison = ingest.compare_keys(source, partition, warehouse, context.run.run_id, force=force)
    except DeliveryError as error:
        results = [checks.keys_not_listed_result(error)]
    else:
        results = [] if comparison is None else [checks.keys_result(source, comparison)]
    for result in results:
        if not result.passed:
            context.log.warning("%s: %s", source.name, result.description)
    return results


def _quarantine(source: Source) -> dg.AssetsDefinition:
    @dg.asset(
        key=quarantine_key(source.name),
        code_version=source.fingerprint,
        deps=[core_key(source.name)],
        automation_condition=_automation_condition(source, core_key(source.name)),
        description=f"Records of {source.name} that broke a rule and wait to be corrected, replayed or dismissed.",
        group_name=source.name,
        owners=[source.owner],
        tags=source.tags,
        kinds={"postgres"},
        pool=source.name,
        partitions_def=partitions_definition(source.partitions, source.name),
        metadata={"dagster/table_name": "etl.rejected"},
        required_resource_keys={WAREHOUSE},
    )
    def waiting(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        warehouse, record = _begin(source, context)
        with record.entering_errors():
            counts, reasons = in_session(
                warehouse.url,
                lambda session: (
                    quarantine.count_waiting(session, source.name, record.partition),
                    quarantine.counts(session, source.name),
                ),
            )
            record.end()
        return dg.MaterializeResult(metadata=metadata.waiting(counts, reasons))

    return waiting


def _begin(source: Source, context: dg.AssetExecutionContext) -> tuple[Warehouse, RunRecord]:
    warehouse: Warehouse = context.resources.warehouse.open()
    record = record_of_asset(warehouse.url, context, source, partition_of(source, context).key)
    record.start()
    return warehouse, record


def _refused(
    source: Source, connection: Connection, delivery: Delivery
) -> tuple[Delivery, dict[str, int], dict[str, list[str]], CheckResult]:
    """Return a refused delivery as it is now, its broken rules, places of rejected records, and the result of drift."""
    delivery = deliveries.by_id(connection, delivery.id) or delivery
    _, rules = entries.sum_entries(entries.find_all(connection, delivery))
    places = sample_places(connection, [delivery.id])
    return delivery, rules, places, checks.drift_result(source, connection, delivery.manifest.records)


def _report_refusal(
    source: Source, context: dg.AssetExecutionContext, warehouse: Warehouse, record: RunRecord
) -> OnRefusal:
    """Return a function that reports the check results of a refused delivery, whose asset is not materialized."""

    def report(delivery: Delivery, error: TooManyRejectedError) -> None:
        delivery, rules, places, drift = in_session(warehouse.url, lambda session: _refused(source, session, delivery))
        for rule, broken in error.rules.items():
            rules[rule] = rules.get(rule, 0) + broken
        results = [*checks.refused_results(source, delivery, error.rejected, rules, places), drift]
        record.checks(delivery.id, results)
        partition = context.partition_key if context.has_partition_key else None
        for result in results:
            context.log_event(asset_check_evaluation(result, core_key(source.name), partition))

    return report


def _parent_dep(name: str) -> dg.AssetDep:
    """Return the dependency on all partitions of a parent's table."""
    return dg.AssetDep(core_key(name), partition_mapping=dg.AllPartitionMapping())


def _automation_condition(source: Source, before: dg.AssetKey) -> dg.AutomationCondition[Any] | None:
    """Return the condition that requests an asset together with the one before it, if the trigger is `After`.

    The trigger of such a source requests all its assets, and nothing else requests them.
    """
    return in_the_same_run(before) if isinstance(source.trigger, After) else None


def _freshness(source: Source) -> dg.FreshnessPolicy | None:
    return None if source.freshness is None else dg.FreshnessPolicy.time_window(fail_window=source.freshness)
