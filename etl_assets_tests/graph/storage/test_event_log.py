"""What a run stores is seen by whoever reads through its storage, and is stored once."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster_postgres import PostgresEventLogStorage
from sqlalchemy import event, text

from etl_assets_tests.graph.storage.toys import CORE, toy_job
from etl_assets_tests.graph.stored import stored_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def instance(database_url: str, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with stored_in(database_url, tmp_path) as pooled:
        yield pooled


def test_a_step_reads_the_events_that_wait_and_other_processes_do_not_see_them_yet(
    instance: dg.DagsterInstance,
) -> None:
    seen: list[object] = []

    @dg.op
    def report(context) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 -- Dagster reads the annotation
        context.log_event(dg.AssetMaterialization(CORE))
        with _engine(instance).connect() as connection:
            seen.append(connection.execute(text(_MATERIALIZATIONS)).scalar())
        seen.append(instance.get_latest_materialization_event(CORE) is not None)

    @dg.job(executor_def=dg.in_process_executor)
    def reporting() -> None:
        report()

    assert reporting.execute_in_process(instance=instance).success
    assert seen == [0, True]


def test_that_a_step_started_is_seen_while_it_works(instance: dg.DagsterInstance) -> None:
    seen: list[object] = []

    @dg.op
    def work() -> None:
        with _engine(instance).connect() as connection:
            seen.extend(connection.execute(text("SELECT dagster_event_type FROM event_logs ORDER BY id")).scalars())

    @dg.job(executor_def=dg.in_process_executor)
    def working() -> None:
        work()

    assert working.execute_in_process(instance=instance).success
    assert seen[-1] == "STEP_START"


@pytest.mark.parametrize("statement", ["INSERT INTO event_logs", "INSERT INTO asset_keys", "WITH given AS"])
@pytest.mark.parametrize("answer_lost", [False, True])
def test_a_run_stores_each_event_once_although_its_connection_breaks(
    instance: dg.DagsterInstance,
    statement: str,
    answer_lost: bool,  # noqa: FBT001 -- a parameter of the test
) -> None:
    job = toy_job(3)
    assert job.execute_in_process(instance=instance).success
    expected = _events(instance)
    breaks = _break_once(_engine(instance), statement, answer_lost=answer_lost)
    result = job.execute_in_process(instance=instance)
    assert result.success
    assert breaks
    assert _events(instance)[len(expected) :] == expected
    history = instance.event_log_storage.get_asset_check_execution_history(dg.AssetCheckKey(CORE, "check_2"), 9)
    assert [execution.status.value for execution in history] == ["SUCCEEDED", "SUCCEEDED"]


def test_the_parts_of_dagster_that_events_are_written_with_are_as_they_are_used() -> None:
    used: dict[Any, tuple[str, ...]] = {
        SqlEventLogStorage._event_to_row: ("self", "event"),
        SqlEventLogStorage._store_asset_event_tags: ("self", "conn", "events", "event_ids"),
        PostgresEventLogStorage._store_asset_event: ("self", "conn", "event", "event_id"),
        PostgresEventLogStorage._connect: ("self",),
        PostgresEventLogStorage.index_transaction: ("self",),
        PostgresEventLogStorage.run_connection: ("self", "run_id"),
        PostgresEventLogStorage.fetch_materializations: ("self", "records_filter", "limit", "cursor", "ascending"),
        PostgresEventLogStorage.store_event: ("self", "event"),
        PostgresEventLogStorage.store_event_batch: ("self", "events"),
        PostgresEventLogStorage.dispose: ("self",),
    }
    for method, parameters in used.items():
        assert tuple(inspect.signature(method).parameters) == parameters, method


_MATERIALIZATIONS = "SELECT count(*) FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION'"


def _engine(instance: dg.DagsterInstance) -> Any:
    storage: Any = instance.event_log_storage
    return storage._engine


def _events(instance: dg.DagsterInstance) -> list[tuple[Any, ...]]:
    with _engine(instance).connect() as connection:
        question = "SELECT dagster_event_type, step_key, asset_key FROM event_logs ORDER BY id"
        return [tuple(row) for row in connection.execute(text(question))]


def _break_once(engine: Any, statement: str, *, answer_lost: bool) -> list[str]:
    """Break the connection at the first statement that has these words, which is returned then."""
    broken: list[str] = []

    def break_it(connection: Any, _: object, given: str, *__: object) -> None:
        if statement in given and not broken:
            broken.append(given)
            connection.connection.dbapi_connection.close()
            raise engine.dialect.loaded_dbapi.OperationalError("server closed the connection unexpectedly")

    event.listen(engine, "after_cursor_execute" if answer_lost else "before_cursor_execute", break_it)
    return broken
