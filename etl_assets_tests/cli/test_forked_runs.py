"""Runs that the launcher forks from its parent: they end like any run, and no process outlives its reason."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import dagster as dg
import psutil
import pytest
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.errors import DagsterInvariantViolationError
from dagster._core.launcher.base import LaunchRunContext, WorkerStatus
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from etl_assets.graph.keys import ALL_ASSETS, asset_keys
from etl_assets.graph.launcher.forking_launcher import PROCESS_TAG, ForkingRunLauncher
from etl_assets.graph.launcher.process import Process
from etl_assets_tests.cli.desk import prepare_published

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks runs"), pytest.mark.slow]
_SLOW = dg.AssetKey(["marts", "slow"])
_SLOW_FILE = """
import time
import dagster as dg

@dg.asset(key=["marts", "slow"])
def slow():
    time.sleep(120)
"""


def _until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


class Launches:
    """Launches runs as the daemon does."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.launcher = instance.run_launcher
        assert isinstance(self.launcher, ForkingRunLauncher)

    def create(self, *keys: dg.AssetKey, host: str = "localhost", executable: str = sys.executable) -> dg.DagsterRun:
        from etl_assets.definitions import defs

        repository = RepositoryPythonOrigin(
            executable, ModuleCodePointer("etl_assets.definitions", "defs"), None, None, None
        )
        location = GrpcServerCodeLocationOrigin(host=host, port=1, location_name="etl_assets.definitions")
        job = defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection=set(keys))
        return self.instance.create_run_for_job(
            job,
            status=dg.DagsterRunStatus.STARTING,
            asset_selection=frozenset(keys),
            job_code_origin=JobPythonOrigin(ALL_ASSETS, repository),
            remote_job_origin=RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), ALL_ASSETS),
        )

    def is_forked(self, run: dg.DagsterRun) -> bool:
        """Launch a run; return whether it was forked, and not left to Dagster's launcher, which misses a workspace."""
        try:
            self.launcher.launch_run(LaunchRunContext(run, None))
        except DagsterInvariantViolationError:
            return False
        return True

    def launch(self, *keys: dg.AssetKey) -> dg.DagsterRun:
        """Launch a run, by a fork as soon as the parent can."""
        run = self.create(*keys)
        _until(lambda: self.is_forked(run))
        return run

    def start_slow(self) -> tuple[dg.DagsterRun, Process]:
        run = self.launch(_SLOW)
        _until(lambda: self._is_in_its_step(run))
        return run, self.process(run)

    def _is_in_its_step(self, run: dg.DagsterRun) -> bool:
        return bool(self.instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_START).records)

    def process(self, run: dg.DagsterRun) -> Process:
        return Process.read(self.now(run).tags[PROCESS_TAG])

    def now(self, run: dg.DagsterRun) -> dg.DagsterRun:
        now = self.instance.get_run_by_id(run.run_id)
        assert now is not None
        return now

    def ends_as(self, run: dg.DagsterRun, status: dg.DagsterRunStatus) -> None:
        _until(lambda: self.now(run).is_finished)
        assert self.now(run).status == status


@pytest.fixture
def desk(prepared: Prepared) -> Desk:
    return prepared(prepare_published)


@pytest.fixture
def launches(desk: Desk) -> Iterator[Launches]:
    (desk.folder / "declared" / "slow.py").write_text(_SLOW_FILE)
    with dg.DagsterInstance.get() as instance:
        yield Launches(instance)
    _until(lambda: not [child for child in psutil.Process().children() if "launcher.parent" in _command(child)])


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def test_a_forked_run_loads_its_source(launches: Launches, desk: Desk) -> None:
    run = launches.launch(*asset_keys("stations"))
    launches.ends_as(run, dg.DagsterRunStatus.SUCCESS)
    assert desk.query("SELECT code FROM core.stations ORDER BY 1") == [("A",), ("B",)]
    _until(lambda: not launches.process(run).is_alive)


def test_a_run_that_is_terminated_ends_as_canceled(launches: Launches) -> None:
    run, process = launches.start_slow()
    assert launches.launcher.check_run_worker_health(launches.now(run)).status == WorkerStatus.RUNNING
    assert launches.launcher.terminate(run.run_id)
    launches.ends_as(run, dg.DagsterRunStatus.CANCELED)
    _until(lambda: not process.is_alive)
    assert not launches.launcher.terminate(run.run_id)


def test_a_run_whose_process_was_killed_is_found_dead_and_the_parent_forks_the_next(launches: Launches) -> None:
    run, process = launches.start_slow()
    os.kill(process.pid, signal.SIGKILL)
    _until(lambda: not process.is_alive)
    assert launches.launcher.check_run_worker_health(launches.now(run)).status == WorkerStatus.FAILED
    assert launches.is_forked(launches.create(_SLOW))


def test_a_parent_that_was_killed_takes_its_forks_along_and_is_replaced(launches: Launches) -> None:
    run, process = launches.start_slow()
    os.kill(psutil.Process(process.pid).ppid(), signal.SIGKILL)
    launches.ends_as(run, dg.DagsterRunStatus.FAILURE)
    _until(lambda: not process.is_alive)
    next_ = launches.create(*asset_keys("stations"))
    assert not launches.is_forked(next_)
    _until(lambda: launches.is_forked(next_))
    launches.ends_as(next_, dg.DagsterRunStatus.SUCCESS)


def test_forks_end_with_the_daemon(launches: Launches) -> None:
    run, process = launches.start_slow()
    launches.launcher.dispose()
    launches.ends_as(run, dg.DagsterRunStatus.FAILURE)
    _until(lambda: not process.is_alive)


def test_a_fork_loads_the_sources_as_they_are(launches: Launches, desk: Desk) -> None:
    launches.ends_as(launches.launch(*asset_keys("stations")), dg.DagsterRunStatus.SUCCESS)
    file = desk.folder / "declared" / "stations.py"
    file.write_text(file.read_text().replace("/stations.csv", "/others.csv"))
    desk.publish("others.csv", "code\nC\n")
    launches.ends_as(launches.launch(*asset_keys("stations")), dg.DagsterRunStatus.SUCCESS)
    assert ("C",) in desk.query("SELECT code FROM core.stations")


@pytest.mark.parametrize("elsewhere", [{"host": "code-server"}, {"executable": "/opt/other/bin/python"}])
def test_a_run_of_another_machine_or_python_is_left_to_dagster(launches: Launches, elsewhere: dict[str, str]) -> None:
    launches.ends_as(launches.launch(*asset_keys("stations")), dg.DagsterRunStatus.SUCCESS)
    assert not launches.is_forked(launches.create(*asset_keys("stations"), **elsewhere))
