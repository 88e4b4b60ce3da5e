"""Dagster's storage keeps its connections open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
import yaml
from sqlalchemy import QueuePool, event

from etl_assets.graph.build import definitions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from etl_assets_tests.graph.conftest import Bench


@pytest.fixture
def instance(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """An instance whose dagster.yaml names the pooled storage."""
    monkeypatch.setenv("ETL_ASSETS_DAGSTER_STORAGE_URL", database_url.replace("postgresql:", "postgresql+psycopg2:"))
    home = tmp_path / "dagster"
    home.mkdir()
    storage = {
        "module": "etl_assets.graph.storage",
        "class": "PooledPostgresStorage",
        "config": {"postgres_url": {"env": "ETL_ASSETS_DAGSTER_STORAGE_URL"}},
    }
    (home / "dagster.yaml").write_text(
        yaml.safe_dump({"storage": {"custom": storage}, "telemetry": {"enabled": False}})
    )
    with dg.DagsterInstance.from_config(str(home)) as configured:
        yield configured


def test_a_run_opens_few_connections_to_dagsters_storage(bench: Bench, instance: dg.DagsterInstance) -> None:
    opened: list[object] = []
    for engine in _engines(instance):
        event.listen(engine, "connect", lambda connection, _: opened.append(connection))
    assert bench.run_job(definitions({"people": bench.people("1,Ada,36")}), "people").success
    assert len(opened) < 12


def test_a_connection_that_the_server_closed_is_replaced(bench: Bench, instance: dg.DagsterInstance) -> None:
    assert instance.get_runs() == []
    bench.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
        "AND datname = current_database()"
    )
    assert instance.get_runs() == []


def test_other_processes_receive_the_name_of_the_variable_and_not_the_password(
    instance: dg.DagsterInstance, url: str
) -> None:
    password = url.split(":")[2].split("@", maxsplit=1)[0]
    sent = repr(instance.get_ref().to_dict())
    assert "ETL_ASSETS_DAGSTER_STORAGE_URL" in sent
    assert password not in sent
    with dg.DagsterInstance.from_ref(instance.get_ref()) as another:
        assert all(isinstance(engine.pool, QueuePool) for engine in _engines(another))


def _engines(instance: dg.DagsterInstance) -> list[Engine]:
    parts: list[Any] = [instance.run_storage, instance.event_log_storage, instance.schedule_storage]
    return [part._engine for part in parts]
