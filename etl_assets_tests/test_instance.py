"""The files at the root of the repository that Dagster reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import yaml

if TYPE_CHECKING:
    import pytest

_ROOT = Path(__file__).parents[1]


def test_dagster_accepts_the_instance_file_and_stores_in_postgres(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETL_ASSETS_DAGSTER_URL", database_url)
    with dg.DagsterInstance.from_config(str(_ROOT)) as instance:
        assert type(instance.run_storage).__name__ == "RepeatingRunStorage"
        assert instance.get_runs() == []
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
        assert instance.run_monitoring_enabled
        assert instance.run_retries_enabled
        assert instance.run_retries_max_retries == 1
        assert instance.freshness_enabled


def test_the_instance_file_contains_no_url() -> None:
    storage = yaml.safe_load((_ROOT / "dagster.yaml").read_text())["storage"]
    assert storage["custom"]["config"] == {}


def test_the_workspace_loads_the_definitions() -> None:
    workspace = yaml.safe_load((_ROOT / "workspace.yaml").read_text())
    assert workspace == {"load_from": [{"python_module": "etl_assets.definitions"}]}


def test_the_instance_file_of_the_command_line_is_the_same() -> None:
    assert (_ROOT / "etl_assets" / "cli" / "dagster.yaml").read_text() == (_ROOT / "dagster.yaml").read_text()
