"""A run has its status before others can read that it failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent, DagsterEventType, JobFailureData, RunFailureReason
from dagster._daemon.auto_run_reexecution.auto_run_reexecution import filter_runs_to_should_retry
from sqlalchemy import event, text

from etl_assets_tests.databases import fresh_database
from etl_assets_tests.graph.stored import stored_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RETRIES = {"enabled": True, "max_retries": 1, "retry_on_asset_or_op_failure": False}
OWN = ("dagster_postgres", "DagsterPostgresStorage")


@pytest.fixture
def instance(database_url: str, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance that tries runs again whose process died."""
    with stored_in(database_url, tmp_path, run_retries=RETRIES) as pooled:
        yield pooled


def test_a_run_that_died_is_tried_again_by_a_daemon_that_looks_as_soon_as_its_failure_is_stored(
    instance: dg.DagsterInstance,
) -> None:
    run = _started(instance)
    retried: list[str] = []

    def look(_: object, __: object, statement: str, *___: object) -> None:
        if statement.startswith("INSERT INTO event_logs"):
            retried.extend(each.run_id for each in filter_runs_to_should_retry(instance.get_runs(), instance))

    storage: Any = instance.event_log_storage
    event.listen(storage._engine, "after_cursor_execute", look)
    instance.report_run_failed(run, "Its process is gone.")
    assert retried == [run.run_id]


@pytest.mark.parametrize("reason", [None, RunFailureReason.STEP_FAILURE])
@pytest.mark.parametrize("retries", [RETRIES, {"enabled": False}])
def test_a_run_that_failed_is_as_dagsters_own_storage_has_it(
    database_url: str, tmp_path: Path, reason: RunFailureReason | None, retries: dict[str, object]
) -> None:
    with stored_in(database_url, tmp_path, run_retries=retries) as pooled:
        ours = _failed(pooled, reason)
    with fresh_database(database_url) as url, stored_in(url, tmp_path, *OWN, run_retries=retries) as own:
        assert _failed(own, reason) == ours
    assert ours["status"] == "FAILURE"
    assert ours.get("dagster/will_retry") == (str(reason is None).lower() if retries["enabled"] else None)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (DagsterEventType.RUN_STARTING, "STARTING"),
        (DagsterEventType.RUN_START, "STARTED"),
        (DagsterEventType.RUN_SUCCESS, "SUCCESS"),
        (DagsterEventType.RUN_CANCELED, "CANCELED"),
    ],
)
def test_a_run_has_the_status_that_its_event_says(
    instance: dg.DagsterInstance, kind: DagsterEventType, status: str
) -> None:
    run = instance.create_run_for_job(_job())
    instance.report_dagster_event(DagsterEvent(kind.value, "job"), run.run_id)
    assert _run(instance, run.run_id)["status"] == status


def _job() -> dg.JobDefinition:
    @dg.job(name="job")
    def job() -> None:
        pass

    return job


def _started(instance: dg.DagsterInstance) -> dg.DagsterRun:
    return instance.create_run_for_job(_job(), status=dg.DagsterRunStatus.STARTED)


def _failed(instance: dg.DagsterInstance, reason: RunFailureReason | None) -> dict[str, str]:
    """Return the status and the tags of a run that has failed."""
    run = _started(instance)
    failure = DagsterEvent(
        DagsterEventType.RUN_FAILURE.value, "job", event_specific_data=JobFailureData(None, failure_reason=reason)
    )
    instance.report_dagster_event(failure, run.run_id)
    return _run(instance, run.run_id)


def _run(instance: dg.DagsterInstance, run_id: str) -> dict[str, str]:
    """Return the status of a run in its row, and its tags."""
    storage: Any = instance.run_storage
    with storage._engine.connect() as connection:
        status = connection.execute(text("SELECT status FROM runs WHERE run_id = :id"), {"id": run_id}).scalar()
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status.value == status
    return {"status": status, **run.tags}
