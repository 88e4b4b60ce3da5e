"""Dagster's storage keeps its connections open, and stores what Dagster's own does."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg
import psycopg
import pytest
import yaml
from sqlalchemy import QueuePool, event, text

from etl_assets.graph.build import definitions
from etl_assets_tests.databases import fresh_database
from etl_assets_tests.graph.stored import stored_in
from etl_assets_tests.proxy import proxied

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from etl_assets_tests.graph.conftest import Bench


@pytest.fixture
def instance(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """An instance whose dagster.yaml names the pooled storage."""
    _store_in(database_url, monkeypatch)
    with _instance(tmp_path / "pooled", "etl_assets.graph.storage", "PooledPostgresStorage") as pooled:
        yield pooled


def test_a_run_opens_few_connections_to_dagsters_storage(bench: Bench, instance: dg.DagsterInstance) -> None:
    opened: list[object] = []
    for engine in _engines(instance):
        event.listen(engine, "connect", lambda connection, _: opened.append(connection))
    assert bench.run_job(definitions({"people": bench.people("1,Ada,36")}), "people").success
    assert len(opened) < 12


def test_an_idle_connection_that_the_server_closed_is_replaced(
    bench: Bench, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etl_assets.graph.storage.connections.IDLE_SECONDS", 0.0)
    assert instance.get_runs() == []
    bench.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
        "AND datname = current_database()"
    )
    assert instance.get_runs() == []


def test_a_connection_that_was_just_used_is_not_pinged(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance.get_runs()
    pings: list[object] = []
    runs, _, _ = _engines(instance)
    monkeypatch.setattr(runs.dialect, "do_ping", pings.append)
    monkeypatch.setattr("etl_assets.graph.storage.connections.IDLE_SECONDS", 60.0)
    instance.get_runs()
    assert pings == []
    monkeypatch.setattr("etl_assets.graph.storage.connections.IDLE_SECONDS", 0.0)
    instance.get_runs()
    assert len(pings) == 1


def test_the_second_run_of_a_process_reads_no_catalog_and_notifies_nobody(
    bench: Bench, instance: dg.DagsterInstance
) -> None:
    statements: list[str] = []
    _, events, _ = _engines(instance)
    event.listen(events, "before_cursor_execute", lambda *given: statements.append(given[2]))
    built = definitions({"people": bench.people("1,Ada,36")})
    assert bench.run_job(built, "people").success
    assert [each for each in statements if "pg_catalog" in each]
    statements.clear()
    assert bench.run_job(built, "people").success
    assert [each for each in statements if "INSERT INTO event_logs" in each]
    assert [each for each in statements if "pg_catalog" in each or "NOTIFY" in each] == []


def test_an_event_is_stored_once_although_the_server_closed_the_connection_between_two_events(
    instance: dg.DagsterInstance, database_url: str
) -> None:
    _report(instance, "first")
    with psycopg.connect(database_url) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND datname = current_database()"
        )
    _report(instance, "second")
    assert _reported(instance) == ["first", "second"]


@pytest.mark.parametrize("answer_lost", [False, True])
def test_an_event_is_stored_once_although_its_connection_broke(
    instance: dg.DagsterInstance,
    answer_lost: bool,  # noqa: FBT001 -- a parameter of the test
) -> None:
    _, events, _ = _engines(instance)
    _break(events, "INSERT INTO event_logs", answer_lost=answer_lost)
    _report(instance, "first")
    assert _reported(instance) == ["first"]


@pytest.mark.parametrize("statement", ["INSERT INTO asset_keys", "INSERT INTO event_logs"])
@pytest.mark.parametrize("answer_lost", [False, True])
def test_a_materialization_is_complete_although_its_connection_broke(
    instance: dg.DagsterInstance,
    statement: str,
    answer_lost: bool,  # noqa: FBT001 -- a parameter of the test
) -> None:
    _, events, _ = _engines(instance)
    _break(events, statement, answer_lost=answer_lost)
    instance.report_runless_asset_event(dg.AssetMaterialization("people"))
    assert instance.get_latest_materialization_event(dg.AssetKey("people")) is not None
    with events.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM event_logs WHERE asset_key IS NOT NULL")).scalar() == 1


@pytest.mark.parametrize("statement", ["INSERT INTO runs", "INSERT INTO run_tags"])
@pytest.mark.parametrize("answer_lost", [False, True])
def test_a_run_is_stored_with_its_tags_although_its_connection_broke(
    instance: dg.DagsterInstance,
    statement: str,
    answer_lost: bool,  # noqa: FBT001 -- a parameter of the test
) -> None:
    runs, _, _ = _engines(instance)
    _break(runs, statement, answer_lost=answer_lost)
    instance.add_run(dg.DagsterRun("people", run_id="6b8b0c5c-0000-4000-8000-000000000001", tags={"a": "b"}))
    assert [run.tags["a"] for run in instance.get_runs(dg.RunsFilter(tags={"a": "b"}))] == ["b"]


def test_a_query_whose_connection_breaks_is_sent_again(instance: dg.DagsterInstance) -> None:
    runs, _, _ = _engines(instance)
    _break(runs, "SELECT", answer_lost=True)
    assert instance.get_runs() == []


def test_dagsters_storage_is_waited_for(
    database_url: str,
    tmp_path: Path,
    quick_waits: None,  # noqa: ARG001 -- sets the waits
) -> None:
    with proxied(database_url) as proxy, stored_in(proxy.url, tmp_path) as instance:
        assert instance.get_runs() == []
        proxy.go_away(returns_after=8)
        assert instance.get_runs() == []
        assert proxy.refused == 8


def test_a_run_stores_what_dagsters_own_storage_stores(
    bench: Bench, instance: dg.DagsterInstance, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = definitions({"people": bench.people("1,Ada,36", "2,Eve,1")})
    assert bench.run_job(built, "people").success
    pooled = _stored(instance)
    with fresh_database(database_url) as url:
        _store_in(url, monkeypatch)
        with _instance(tmp_path / "own", "dagster_postgres", "DagsterPostgresStorage") as own:
            bench.instance = own
            assert bench.run_job(built, "people").success
            assert _stored(own) == pooled
    assert len(pooled["asset_check_executions"]) > 5


def test_other_processes_do_not_receive_the_password(instance: dg.DagsterInstance, url: str) -> None:
    password = url.split(":")[2].split("@", maxsplit=1)[0]
    sent = repr(instance.get_ref().to_dict())
    assert password not in sent
    with dg.DagsterInstance.from_ref(instance.get_ref()) as another:
        assert all(isinstance(engine.pool, QueuePool) for engine in _engines(another))


def _report(instance: dg.DagsterInstance, message: str) -> None:
    entry: Any = dg.EventLogEntry
    instance.event_log_storage.store_event(entry(None, 20, message, "one", 0.0))


def _reported(instance: dg.DagsterInstance) -> list[str]:
    return [entry.user_message for entry in instance.event_log_storage.get_logs_for_run("one")]


def _break(engine: Engine, statement: str, *, answer_lost: bool) -> None:
    """Break the connection of an engine once, before or after it executes a statement."""
    broken: list[object] = []

    def break_once(connection: Any, _: object, sent: str, *__: object) -> None:
        if sent.startswith(statement) and not broken:
            broken.append(connection)
            connection.connection.dbapi_connection.close()
            raise engine.dialect.loaded_dbapi.OperationalError("server closed the connection unexpectedly")

    event.listen(engine, "after_cursor_execute" if answer_lost else "before_cursor_execute", break_once)


def _store_in(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETL_ASSETS_DAGSTER_URL", url)


@contextmanager
def _instance(home: Path, module: str, name: str) -> Iterator[dg.DagsterInstance]:
    home.mkdir()
    pooled = name == "PooledPostgresStorage"
    url = os.environ["ETL_ASSETS_DAGSTER_URL"].replace("postgresql:", "postgresql+psycopg2:")
    config = {} if pooled else {"postgres_url": url}
    storage = {"custom": {"module": module, "class": name, "config": config}}
    (home / "dagster.yaml").write_text(yaml.safe_dump({"storage": storage, "telemetry": {"enabled": False}}))
    with dg.DagsterInstance.from_config(str(home)) as configured:
        yield configured


def _engines(instance: dg.DagsterInstance) -> list[Engine]:
    parts: list[Any] = [instance.run_storage, instance.event_log_storage, instance.schedule_storage]
    return [part._engine for part in parts]


def _stored(instance: dg.DagsterInstance) -> dict[str, list[tuple[Any, ...]]]:
    """Return what a run has stored, without ids and times."""
    questions = {
        "event_logs": "SELECT dagster_event_type, step_key, asset_key, partition FROM event_logs ORDER BY id",
        "asset_keys": "SELECT asset_key, last_materialization IS NULL, last_run_id IS NULL FROM asset_keys ORDER BY 1",
        "asset_event_tags": "SELECT asset_key, key FROM asset_event_tags ORDER BY 1, 2, event_id",
        "asset_check_executions": "SELECT asset_key, check_name, partition, execution_status, "
        "materialization_event_storage_id IS NULL FROM asset_check_executions ORDER BY id",
    }
    _, events, _ = _engines(instance)
    with events.connect() as connection:
        return {
            table: [tuple(row) for row in connection.execute(text(question))] for table, question in questions.items()
        }
