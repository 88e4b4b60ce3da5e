"""The jobs: one for each source, and one that replays quarantined records of any source.

Each run stays in one process: it loads one partition, and a process for each step would cost more than the step. The
annotations are not postponed here, because Dagster reads those of steps.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from etl_assets import ingest
from etl_assets.graph.assets.touched import log_touched
from etl_assets.graph.keys import REPLAY, REPLAY_STEP, SOURCE_TAG, WAREHOUSE, asset_keys
from etl_assets.graph.runs.retries import retried_errors, retrying
from etl_assets.graph.runs.run_record import RunRecord
from etl_assets.source import Source

if TYPE_CHECKING:
    from etl_assets.landing import Warehouse


def source_job(source: Source) -> UnresolvedAssetJobDefinition:
    """Return the job that fetches, validates and loads a partition of a source; it has the name of the source."""
    return dg.define_asset_job(
        name=source.name,
        selection=dg.AssetSelection.assets(*asset_keys(source)),
        description=f"Fetch, validate and load {source.name}.",
        tags={SOURCE_TAG: source.name},
        executor_def=dg.in_process_executor,
    )


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
        if config["source"] not in sources:
            raise dg.Failure(
                f"There is no source {config['source']!r}. Nothing was replayed. "
                f"Known are {', '.join(sorted(sources))}.",
                allow_retries=False,
            )
        _replay(context, sources[config["source"]], config.get("ids"), released=config["released"])

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
