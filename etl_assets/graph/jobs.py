"""One job for each source, and one that replays quarantined records of any.

They run in one process: a run is one partition, and starting a process for each step would cost more than the step.
Dagster reads the annotations of steps, which is why they are not postponed here.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from etl_assets import replay
from etl_assets.graph.keys import WAREHOUSE, asset_keys, core_key
from etl_assets.graph.metadata import counts_table
from etl_assets.graph.retries import retried, retrying
from etl_assets.graph.run_record import RunRecord
from etl_assets.source import Source

if TYPE_CHECKING:
    from etl_assets.ingest import Warehouse

REPLAY: Final = "replay"
REPLAY_STEP: Final = "replay_records"
"""Dagster takes no step that is called like its job."""
SOURCE_TAG: Final = "etl_assets/source"
RUNS_PER_TICK: Final = 100
"""So many partitions of a source at most are asked for at once; the next tick asks for the rest."""


def source_job(source: Source) -> UnresolvedAssetJobDefinition:
    """The job that takes a partition of a source all the way, named like it."""
    return dg.define_asset_job(
        name=source.name,
        selection=dg.AssetSelection.assets(*asset_keys(source)),
        description=f"Fetch, validate and load {source.name}.",
        tags={SOURCE_TAG: source.name},
        executor_def=dg.in_process_executor,
    )


def replay_config(source: str, ids: Sequence[int] | None = None, *, released: bool = False) -> dict[str, Any]:
    """The run configuration of a replay.

    Args:
        source: Name of the source.
        ids: Only these records of the quarantine; all that wait when None.
        released: Only parked records whose parents have arrived; `ids` is then left out.
    """
    config: dict[str, Any] = {"source": source, "released": released}
    if ids is not None:
        config["ids"] = list(ids)
    return {"ops": {REPLAY_STEP: {"config": config}}}


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
        wanted = replay.releasable(source, warehouse) if released else ids
        report = replay.replay(source, warehouse, context.run_id, wanted)
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
