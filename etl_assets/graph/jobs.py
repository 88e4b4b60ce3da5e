"""One job for each source, and one that replays quarantined records of any.

They run in one process: a run is one partition, and starting a process for each step would cost more than the step.
Dagster reads the annotations of steps, which is why they are not postponed here.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from etl_assets import ingest
from etl_assets.graph.assets.metadata import counts_table
from etl_assets.graph.keys import REPLAY, REPLAY_STEP, SOURCE_TAG, WAREHOUSE, asset_keys, core_key
from etl_assets.graph.runs.retries import retried, retrying
from etl_assets.graph.runs.run_record import RunRecord
from etl_assets.source import Source

if TYPE_CHECKING:
    from etl_assets.landing import Warehouse


def source_job(source: Source) -> UnresolvedAssetJobDefinition:
    """The job that takes a partition of a source all the way, named like it."""
    return dg.define_asset_job(
        name=source.name,
        selection=dg.AssetSelection.assets(*asset_keys(source)),
        description=f"Fetch, validate and load {source.name}.",
        tags={SOURCE_TAG: source.name},
        executor_def=dg.in_process_executor,
    )


def replay_job(sources: Mapping[str, Source]) -> dg.JobDefinition:
    """The job that takes quarantined records through the declaration as it is now.

    Args:
        sources: All that are known, by name.
    """

    @dg.op(
        name=REPLAY_STEP,
        description="Replay quarantined records of a source.",
        required_resource_keys={WAREHOUSE},
        config_schema={
            "source": dg.Field(str, description="Name of the source."),
            "ids": dg.Field([int], is_required=False, description="Only these records; all that wait by default."),
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
    def replaying() -> None:
        replay_records()

    return replaying


def _replay(context: dg.OpExecutionContext, source: Source, ids: Sequence[int] | None, *, released: bool) -> None:
    warehouse: Warehouse = context.resources.warehouse.open()
    record = RunRecord.of(warehouse.url, context.run, source, "", REPLAY, context.retry_number)
    record.start()
    with retrying(context.retry_number), record.watching(retried(context.retry_number)):
        wanted = ingest.releasable(source, warehouse) if released else ids
        report = ingest.replay(source, warehouse, context.run_id, wanted)
    record.end()
    context.log_event(
        dg.AssetObservation(
            core_key(source.name),
            description=f"{report.replayed} records left the quarantine; {report.counts.rejected} still break rules.",
            metadata={
                "replayed": report.replayed,
                "still rejected": report.counts.rejected,
                "deliveries": report.deliveries,
                "counts": counts_table({"replayed": report.counts}),
            },
        )
    )
