"""The job ``retention``: it drops the rows that are older than their sources keep, also if nothing is loaded.

It reports on ``core/x`` what it dropped. The annotations are not postponed here, because Dagster reads those of steps.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

import dagster as dg

from etl_assets import ingest
from etl_assets.graph.keys import RETENTION, RETENTION_STEP, WAREHOUSE, core_key
from etl_assets.graph.runs.failures import message_first
from etl_assets.graph.runs.retries import retrying
from etl_assets.source import Source

if TYPE_CHECKING:
    from etl_assets.landing import Warehouse

DAILY: Final = "15 0 * * *"


def retention_job(sources: Mapping[str, Source]) -> dg.JobDefinition:
    """Return the job that drops what is older than sources keep.

    Args:
        sources: All known sources, by name.
    """

    @dg.op(
        name=RETENTION_STEP,
        out={},
        description="Drop the child tables whose rows are all older than their sources keep.",
        required_resource_keys={WAREHOUSE},
    )
    def drop_expired_rows(context: dg.OpExecutionContext) -> Iterator[dg.AssetObservation]:
        warehouse: Warehouse = context.resources.warehouse.open()
        for name, source in expiring(sources).items():
            with message_first(context.log, context.retry_number), retrying(context.retry_number):
                dropped = ingest.drop_expired(source, warehouse)
            if dropped is not None:
                context.log.info("%d rows of %s were too old and are dropped.", dropped, source.table)
                yield dg.AssetObservation(
                    core_key(name),
                    description="Rows that are too old were dropped.",
                    metadata={"dropped rows": dropped},
                )

    @dg.job(
        name=RETENTION,
        description="Drop the rows that are older than their sources keep.",
        executor_def=dg.in_process_executor,
    )
    def retention() -> None:
        drop_expired_rows()

    return retention


def retention_schedule(job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Return the schedule that drops what is too old once a day, shortly after midnight UTC."""
    return dg.ScheduleDefinition(
        name=f"{RETENTION}_schedule",
        job=job,
        cron_schedule=DAILY,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Drops the rows that are older than their sources keep, once a day.",
    )


def expiring(sources: Mapping[str, Source]) -> dict[str, Source]:
    """Return the sources that do not keep every row, by name."""
    return {
        name: source
        for name, source in sources.items()
        if source.partition_by is not None and source.partition_by.keep is not None
    }
