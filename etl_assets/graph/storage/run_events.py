"""Enters in a run what an event says of it, as `DagsterInstance` does for storages that leave it to the instance."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dagster._core.events import RunFailureReason
from dagster._core.execution.retries import auto_reexecution_should_retry_run
from dagster._core.storage.tags import RUN_FAILURE_REASON_TAG, WILL_RETRY_TAG

if TYPE_CHECKING:
    from dagster import DagsterInstance, EventLogEntry


def enter_in_run(instance: DagsterInstance, event: EventLogEntry) -> None:
    """Enter the status that a run has by an event; of one that failed, also whether it will be tried again.

    Args:
        instance: The instance of Dagster that has the run.
        event: Of a run as a whole: that it was enqueued, started or ended, for example.
    """
    happened = event.get_dagster_event()
    instance.run_storage.handle_run_event(event.run_id, happened, datetime.fromtimestamp(event.timestamp, UTC))
    if not happened.is_run_failure or not instance.run_retries_enabled:
        return
    run = instance.get_run_by_id(event.run_id)
    if run is not None:
        reason = run.tags.get(RUN_FAILURE_REASON_TAG)
        will_retry = auto_reexecution_should_retry_run(instance, run, RunFailureReason(reason) if reason else None)
        instance.add_run_tags(event.run_id, {WILL_RETRY_TAG: str(will_retry).lower()})
