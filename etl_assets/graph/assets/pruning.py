"""The job ``prune``: it prunes Dagster's own event log by age.

The annotations are not postponed here, because Dagster reads those of steps.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg
from dagster_postgres import PostgresEventLogStorage

from etl_assets.graph.keys import PRUNE, PRUNE_STEP
from etl_assets.graph.storage.pruning import prune
from etl_assets.settings import event_days

NIGHTLY: Final = "45 2 * * *"


def pruning_job() -> dg.JobDefinition:
    """Return the job that prunes the event log; ``ETL_ASSETS_EVENT_DAYS`` says what is old."""

    @dg.op(name=PRUNE_STEP, description="Delete old events from Dagster's storage.")
    def prune_event_log(context: dg.OpExecutionContext) -> None:
        days = event_days()
        storage = context.instance.event_log_storage
        if not days:
            context.log.info("ETL_ASSETS_EVENT_DAYS is 0. Every event stays.")
        elif not isinstance(storage, PostgresEventLogStorage):
            context.log.info("Dagster's storage is not in PostgreSQL. Every event stays.")
        else:
            pruned = prune(storage, datetime.now(UTC) - timedelta(days=days))
            context.log.info(
                "%d events and %d executions of checks were older than %d days and are deleted.",
                pruned.events,
                pruned.executions,
                days,
            )

    @dg.job(
        name=PRUNE,
        description="Delete old events from Dagster's storage, never the latest of a partition.",
        executor_def=dg.in_process_executor,
    )
    def prune_() -> None:
        prune_event_log()

    return prune_


def pruning_schedule(job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Return the schedule that prunes the event log once a night."""
    return dg.ScheduleDefinition(
        name=f"{PRUNE}_schedule",
        job=job,
        cron_schedule=NIGHTLY,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Deletes old events from Dagster's storage, once a night.",
    )
