"""The jobs: to run a source, to replay its quarantined records, and to rebuild its table.

Each run stays in one process: it loads one partition, and a process for each step would cost more than the step. The
annotations are not postponed here, because Dagster reads those of steps.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from etl_assets import ingest, rebuild
from etl_assets.errors import RebuildError
from etl_assets.graph.assets.touched import changed_materializations, log_touched
from etl_assets.graph.keys import REBUILD, REBUILD_STEP, REPLAY, REPLAY_STEP, WAREHOUSE, asset_keys
from etl_assets.graph.runs.failures import message_first
from etl_assets.graph.runs.retries import retried_errors, retrying
from etl_assets.graph.runs.run_record import RunRecord
from etl_assets.postgres.connection import connected
from etl_assets.source import Source

if TYPE_CHECKING:
    from etl_assets.landing import Warehouse


def source_job(definitions: dg.Definitions, name: str) -> dg.JobDefinition:
    """Return the job that fetches, validates and loads a partition of a source.

    It is a part of Dagster's own job of all assets. A job for each source would cost every process that loads the code
    location more than everything else: each is found among all assets, and described in full.

    Args:
        definitions: Those of all sources.
        name: Name of the source.
    """
    return definitions.resolve_implicit_global_asset_job_def().get_subset(asset_selection=set(asset_keys(name)))


def replay_job(sources: Mapping[str, Source]) -> dg.JobDefinition:
    """Return the job that loads quarantined records again, by the present declaration.

    Args:
        sources: All known sources, by name.
    """

    @dg.op(
        name=REPLAY_STEP,
        description="Replay quarantined records of a source.",
        required_resource_keys={WAREHOUSE},
        config_schema={
            "source": dg.Field(str, description="Name of the source."),
            "ids": dg.Field([int], is_required=False, description="Only these records; by default all that wait."),
            "released": dg.Field(
                bool, default_value=False, description="Only parked records whose parents have arrived."
            ),
        },
    )
    def replay_records(context: dg.OpExecutionContext) -> None:
        config = context.op_config
        with message_first(context.log, context.retry_number):
            _replay(context, _named(config["source"], sources), config.get("ids"), released=config["released"])

    @dg.job(
        name=REPLAY,
        description="Replay quarantined records, corrected or as they came.",
        executor_def=dg.in_process_executor,
    )
    def replay() -> None:
        replay_records()

    return replay


def _replay(context: dg.OpExecutionContext, source: Source, ids: Sequence[int] | None, *, released: bool) -> None:
    warehouse: Warehouse = context.resources.warehouse.open()
    record = RunRecord.of(warehouse.url, context.run, source, "", REPLAY, context.retry_number)
    record.start()
    with retrying(context.retry_number), record.entering_errors(retried_errors(context.retry_number)):
        record_ids = ingest.releasable_ids(source, warehouse) if released else ids
        report = ingest.replay(source, warehouse, context.run_id, record_ids)
    record.end()
    context.log.info("%d records left the quarantine; %d still break rules.", report.replayed, report.counts.rejected)
    log_touched(context, source, warehouse.url, report.by_partition, REPLAY)


def rebuild_job(sources: Mapping[str, Source]) -> dg.JobDefinition:
    """Return the job that builds the table of a source again, and may compare it and put it in place.

    Args:
        sources: All known sources, by name.
    """

    @dg.op(
        name=REBUILD_STEP,
        description="Build the table of a source again from its frozen deliveries.",
        required_resource_keys={WAREHOUSE},
        config_schema={
            "source": dg.Field(str, description="Name of the source."),
            "verify": dg.Field(
                bool, default_value=False, description="Compare it with the table in use; fail if they differ."
            ),
            "swap": dg.Field(bool, default_value=False, description="Then put it in place of the table in use."),
        },
    )
    def rebuild_table(context: dg.OpExecutionContext) -> None:
        config = context.op_config
        with message_first(context.log, context.retry_number):
            _rebuild(context, _named(config["source"], sources), verify=config["verify"], swap=config["swap"])

    @dg.job(
        name=REBUILD,
        description="Build the table of a source again, beside the one in use.",
        executor_def=dg.in_process_executor,
    )
    def rebuild_() -> None:
        rebuild_table()

    return rebuild_


def _named(name: str, sources: Mapping[str, Source]) -> Source:
    """Return the source with a name.

    Raises:
        dg.Failure: If there is none.
    """
    if name not in sources:
        raise dg.Failure(
            f"There is no source {name!r}. Nothing was done. Known are {', '.join(sorted(sources))}.",
            allow_retries=False,
        )
    return sources[name]


def _rebuild(context: dg.OpExecutionContext, source: Source, *, verify: bool, swap: bool) -> None:
    warehouse: Warehouse = context.resources.warehouse.open()
    record = RunRecord.of(warehouse.url, context.run, source, "", REBUILD, context.retry_number)
    record.start()

    def show(done: int, total: int) -> None:
        context.log.info("%d of %d deliveries are loaded.", done, total)

    with retrying(context.retry_number), record.entering_errors(retried_errors(context.retry_number)):
        if verify:
            _verify(context, source, warehouse)
        built = (rebuild.swap if swap else rebuild.build)(source, warehouse, context.run_id, show)
        table = source.table if swap else built.table
        context.log.info("%s has %d rows, built from %d deliveries.", table, built.rows, built.deliveries)
        for refused in built.refused:
            context.log.warning("Delivery %d was refused: %s", refused.id, refused.reason)
        if swap:
            with connected(warehouse.url) as connection:
                for event in changed_materializations(source, connection, context.run_id):
                    context.log_event(event)
    record.end()


def _verify(context: dg.OpExecutionContext, source: Source, warehouse: "Warehouse") -> None:
    """Compare the tables; raise if they differ."""
    found = rebuild.verify(source, warehouse, context.run_id)
    for text in found.texts():
        context.log.info(text)
    if found.differing:
        raise RebuildError(
            f"{found.differing} rows of {source.table} differ from what its deliveries yield; the log of the run has "
            "the reasons. Nothing was put in place. See the rows with "
            f"`etl-assets rebuild {source.name} --verify`, and put the new table in place without verify."
        )
