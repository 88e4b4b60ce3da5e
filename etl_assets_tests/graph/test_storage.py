"""Dagster's storage keeps its connections open, and stores what Dagster's own does."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
import yaml
from sqlalchemy import QueuePool, event, text

from etl_assets.graph.build import definitions
from etl_assets_tests.databases import fresh_database

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
    monkeypatch.setattr("etl_assets.graph.storage.IDLE_SECONDS", 0.0)
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
    monkeypatch.setattr("etl_assets.graph.storage.IDLE_SECONDS", 60.0)
    instance.get_runs()
    assert pings == []
    monkeypatch.setattr("etl_assets.graph.storage.IDLE_SECONDS", 0.0)
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


def test_other_processes_receive_the_name_of_the_variable_and_not_the_password(
    instance: dg.DagsterInstance, url: str
) -> None:
    password = url.split(":")[2].split("@", maxsplit=1)[0]
    sent = repr(instance.get_ref().to_dict())
    assert "ETL_ASSETS_DAGSTER_STORAGE_URL" in sent
    assert password not in sent
    with dg.DagsterInstance.from_ref(instance.get_ref()) as another:
        assert all(isinstance(engine.pool, QueuePool) for engine in _engines(another))


def _store_in(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETL_ASSETS_DAGSTER_STORAGE_URL", url.replace("postgresql:", "postgresql+psycopg2:"))


@contextmanager
def _instance(home: Path, module: str, name: str) -> Iterator[dg.DagsterInstance]:
    home.mkdir()
    config = {"postgres_url": {"env": "ETL_ASSETS_DAGSTER_STORAGE_URL"}}
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
