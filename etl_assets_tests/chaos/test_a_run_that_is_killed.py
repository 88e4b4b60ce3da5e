"""Kill or interrupt the process of a run: the history and Dagster have its end, and the next run resumes the load."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from etl_assets.cli.environment import declared, environment
from etl_assets.graph.runs.watch_sensor import watch_sensor
from etl_assets_tests.chaos.halted import RECORDS, declare_counters, halted

if TYPE_CHECKING:
    from etl_assets_tests.cli.desk import Desk

_RUNS = "SELECT status, step, error_class, read, read = inserted FROM etl.run ORDER BY id"


def _tick(cursor: str | None = None) -> dg.SensorExecutionData:
    """Evaluate one tick of the sensor, as the daemon does."""
    with environment() as env, dg.DagsterInstance.get() as instance:
        context = dg.build_sensor_context(instance=instance, cursor=cursor)
        return watch_sensor(declared(env.settings).sources).evaluate_tick(context)


def _dagster_runs() -> list[tuple[str, dict[str, str]]]:
    with environment(), dg.DagsterInstance.get() as instance:
        return [(run.status.value, dict(run.tags)) for run in instance.get_runs()]


@pytest.mark.slow
def test_a_killed_run_is_entered_as_crashed_once_and_the_next_run_resumes_it(desk: Desk) -> None:
    declare_counters(desk)
    with halted(desk) as process:
        _tick()
        _tick()
        ((status, step, *_),) = desk.query(_RUNS)
        assert (status, step) == ("started", "core"), "a run that is alive stays unchanged"
        assert desk.query("SELECT missed_at FROM etl.run") == [(None,)]
        process.kill()
        process.wait()
    first = _tick()
    ((status, step, error_class, read, all_inserted),) = desk.query(_RUNS)
    assert (status, step, error_class, all_inserted) == ("crashed", "core", "Crashed", True)
    assert 0 < read < RECORDS
    ((text,),) = desk.query("SELECT error FROM etl.run")
    assert f"Committed batches: 1, with {read} records" in text
    assert "Run it again" in text
    ((dagster_status, tags),) = _dagster_runs()
    assert dagster_status == "FAILURE"
    assert tags["dagster/will_retry"] == "false"
    opened = desk.query("SELECT rule, times FROM etl.alert")
    assert opened == [("run_failed", 1)]
    _tick(first.cursor)
    assert desk.query("SELECT rule, times FROM etl.alert") == opened
    desk.execute("DROP TRIGGER halt ON etl.batch")
    desk.succeed("run", "counters")
    assert [status for (status, *_) in desk.query(_RUNS)] == ["crashed", "succeeded"]
    assert desk.query("SELECT sum(read) FROM etl.run") == [(RECORDS,)]
    assert desk.query("SELECT status FROM etl.alert") == [("resolved",)]


@pytest.mark.slow
def test_an_interrupted_run_is_cancelled_and_the_next_command_finds_a_killed_one(desk: Desk) -> None:
    declare_counters(desk)
    with halted(desk) as process:
        os.kill(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "1 run not started: the command was interrupted." in output
    ((status, step, error_class, read, _),) = desk.query(_RUNS)
    assert (status, step, error_class) == ("cancelled", "core", "Cancelled")
    assert 0 < read < RECORDS
    with halted(desk) as process:
        process.kill()
        process.wait()
    desk.execute("DROP TRIGGER halt ON etl.batch")
    desk.succeed("run", "counters")
    assert [status for (status, *_) in desk.query(_RUNS)] == ["cancelled", "crashed", "succeeded"]
