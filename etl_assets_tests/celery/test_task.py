"""What the process of a run does: with a run that another has begun, and at a signal."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from celery.exceptions import Ignore
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin

from etl_assets.graph.celery.task import execute_once
from etl_assets.graph.keys import PRUNE
from etl_assets.postgres.connection import connected
from etl_assets.postgres.runs import liveness
from etl_assets_tests.cli.launches import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers run on Linux")
_WAITS = """
import threading
from etl_assets.graph.celery import task
task.END_SECONDS = 2.0
task._end_at_signals()
try:
    print("ready", flush=True)
    threading.Event().wait()
finally:
    {finally_}
"""


def _signalled(finally_: str) -> tuple[int, float]:
    """Return how a process ends that is asked to, and after how many seconds."""
    command: Any = [sys.executable, "-c", _WAITS.format(finally_=finally_)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        until(lambda: process.poll() is not None)
        return process.returncode, time.monotonic() - began


def test_a_run_that_does_not_end_when_it_was_asked_to_is_killed() -> None:
    status, took = _signalled("threading.Event().wait()")
    assert status == -signal.SIGKILL
    assert took >= 2.0


def test_a_signal_interrupts_a_run() -> None:
    status, _ = _signalled("task.os._exit(7)")
    assert status == 7  # not killed


class Begun:
    """A run that was launched once and is in a state; whether a process executes it is chosen."""

    def __init__(self, instance: dg.DagsterInstance, url: str) -> None:
        self.instance = instance
        self._url = url

    def create(self, status: dg.DagsterRunStatus) -> dg.DagsterRun:
        from etl_assets.definitions import defs

        pointer = ModuleCodePointer("etl_assets.definitions", "defs")
        origin = JobPythonOrigin(PRUNE, RepositoryPythonOrigin(sys.executable, pointer, None, None, None))
        job = defs.get_repository_def().get_job(PRUNE)
        run = self.instance.create_run_for_job(job, status=status, job_code_origin=origin)
        with connected(self._url) as connection:
            connection.execute(
                "INSERT INTO etl.run (run_id, source, partition, status) VALUES (%s, 'feed', '', 'started')",
                (run.run_id,),
            )
        return run

    def is_executed_elsewhere(self, run: dg.DagsterRun) -> None:
        liveness.appear(self._url, run.run_id, ("feed", ""))

    def now(self, run: dg.DagsterRun) -> dg.DagsterRunStatus:
        found = self.instance.get_run_by_id(run.run_id)
        assert found is not None
        return found.status


@pytest.fixture
def begun(migrated_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begun]:
    (tmp_path / "dagster.yaml").write_text("run_monitoring: {enabled: true}\ntelemetry: {enabled: false}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("ETL_ASSETS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ETL_ASSETS_DATABASE_URL", migrated_url)
    monkeypatch.delitem(sys.modules, "etl_assets.definitions", raising=False)
    with dg.DagsterInstance.get() as instance:
        yield Begun(instance, migrated_url)


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING])
def test_a_task_that_comes_again_leaves_a_run_alone_that_is_alive(begun: Begun, status: dg.DagsterRunStatus) -> None:
    run = begun.create(status)
    begun.is_executed_elsewhere(run)
    with pytest.raises(Ignore):
        execute_once(run.run_id)
    assert begun.now(run) == status


def test_a_task_that_comes_again_executes_no_run_that_had_begun(begun: Begun) -> None:
    run = begun.create(dg.DagsterRunStatus.STARTED)
    execute_once(run.run_id)
    assert begun.now(run) == dg.DagsterRunStatus.STARTED  # the reaper says what became of it
    assert not begun.instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_START).records


def test_a_run_that_was_asked_to_end_before_a_worker_had_it_is_canceled(begun: Begun) -> None:
    run = begun.create(dg.DagsterRunStatus.CANCELING)
    execute_once(run.run_id)
    assert begun.now(run) == dg.DagsterRunStatus.CANCELED
