"""The sensor that watches the code servers of the other locations, and the location that it belongs to."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
import yaml

from etl_assets.graph.runs.location_sensor import location_sensor, locations_away
from etl_assets.graph.runs.run_record import RunRecord
from etl_assets_tests.ports import free_port, is_listening

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from etl_assets_tests.graph.conftest import Bench

_ALERTS = "SELECT subject, severity, status FROM etl.alert WHERE rule = 'location_lost' ORDER BY id"


@contextmanager
def _served(folder: Path, text: str, port: int) -> Iterator[None]:
    """Serve a file of definitions as Dagster's code server does, until it answers and to the end of a block."""
    file = folder / f"served_{port}.py"
    file.write_text(text)
    command = [sys.executable, "-m", "dagster", "code-server", "start", "-h", "127.0.0.1", "-p", str(port)]
    log = (folder / "log").open("w")
    with log, subprocess.Popen([*command, "-f", str(file)], cwd=folder, stdout=log, stderr=log) as server:
        try:
            until = time.monotonic() + 90
            while not is_listening(port):
                assert time.monotonic() < until
                assert server.poll() is None, (folder / "log").read_text()
                time.sleep(0.2)
            yield
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:  # a code server that loads its code may miss the signal
                server.kill()


def _workspace(folder: Path, locations: Mapping[str, int], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the file that names the locations, and let the settings name it."""
    servers = [
        {"grpc_server": {"host": "127.0.0.1", "port": port, "location_name": name}} for name, port in locations.items()
    ]
    file = folder / "workspace.yaml"
    file.write_text(yaml.safe_dump({"load_from": servers}))
    monkeypatch.setenv("ETL_ASSETS_WORKSPACE", str(file))
    return file


def _tick(bench: Bench, cursor: str | None = None) -> dg.SensorExecutionData:
    return location_sensor().evaluate_tick(dg.build_sensor_context(instance=bench.instance, cursor=cursor))


@pytest.mark.slow
def test_a_location_that_answers_is_not_away_and_one_whose_code_does_not_load_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad, gone = free_port(), free_port(), free_port()
    file = _workspace(tmp_path, {"good": good, "bad": bad, "gone": gone}, monkeypatch)
    secret = "import dagster as dg\nraise LookupError('secret-word')\n"
    with _served(tmp_path, "import dagster as dg\ndefs = dg.Definitions()\n", good), _served(tmp_path, secret, bad):
        until = time.monotonic() + 60
        while "good" in locations_away(file):
            assert time.monotonic() < until
        away = locations_away(file)
    assert away == {
        "bad": "Its definitions do not load: LookupError.",
        "gone": f"Its code server at 127.0.0.1:{gone} does not answer.",
    }


def test_a_location_that_is_away_for_two_ticks_is_an_alert_until_it_answers(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _workspace(tmp_path, {"team": free_port()}, monkeypatch)
    first = _tick(bench)
    assert bench.query(_ALERTS) == []
    second = _tick(bench, first.cursor)
    assert second.cursor == json.dumps(["team"])
    assert "team: Its code server at" in str(second.skip_message)
    _tick(bench, second.cursor)
    assert bench.query(_ALERTS) == [("team", "error", "open")]
    _workspace(tmp_path, {}, monkeypatch)
    last = _tick(bench, second.cursor)
    assert last.skip_message == "Every location answers."
    assert bench.query(_ALERTS) == [("team", "error", "resolved")]


def test_the_crashed_run_of_a_lost_location_is_entered(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = RunRecord(bench.url, "crashed", "people", "", ())
    record.start()
    bench.query("UPDATE etl.run SET host = 'another', process = NULL")
    bench.query(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
    )
    _workspace(tmp_path, {"team": free_port()}, monkeypatch)
    first = _tick(bench)
    _tick(bench, first.cursor)
    bench.query("UPDATE etl.run SET missed_at = missed_at - interval '1 hour'")
    assert bench.query("SELECT status FROM etl.run") == [("started",)]
    _tick(bench, first.cursor)
    assert bench.query("SELECT status FROM etl.run") == [("crashed",)]


def test_the_location_of_operations_has_no_assets_and_its_sensors_run_from_the_start() -> None:
    from etl_assets.operations import defs

    sensors: list[Any] = list(defs.sensors or ())
    assert {sensor.name for sensor in sensors} == {"alerts", "code_locations"}
    assert {sensor.default_status for sensor in sensors} == {dg.DefaultSensorStatus.RUNNING}
    assert not defs.assets


def test_the_location_of_operations_imports_no_source() -> None:
    script = "import sys, etl_assets.operations; print([name for name in sys.modules if 'etl_assets.sources' in name])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
