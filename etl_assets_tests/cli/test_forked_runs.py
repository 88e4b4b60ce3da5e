"""Runs that the launcher forks from its parent: they end like any run, and no process outlives its reason."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import dagster as dg
import psutil
import pytest
from dagster._core.launcher.base import WorkerStatus

from etl_assets.graph.keys import asset_keys
from etl_assets_tests.cli.desk import prepare_published
from etl_assets_tests.cli.launches import launching, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk
    from etl_assets_tests.cli.launches import Launches

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks runs"), pytest.mark.slow]
_SLOW = dg.AssetKey(["marts", "slow"])
_SLOW_FILE = """
import time
import dagster as dg

@dg.asset(key=["marts", "slow"])
def slow():
    time.sleep(120)
"""


@pytest.fixture
def desk(prepared: Prepared) -> Desk:
    return prepared(prepare_published)


@pytest.fixture
def launches(desk: Desk) -> Iterator[Launches]:
    (desk.folder / "declared" / "slow.py").write_text(_SLOW_FILE)
    with launching() as launches:
        yield launches


def test_a_forked_run_loads_its_source(launches: Launches, desk: Desk) -> None:
    run = launches.launch(*asset_keys("stations"))
    launches.ends_as(run, dg.DagsterRunStatus.SUCCESS)
    assert desk.query("SELECT code FROM core.stations ORDER BY 1") == [("A",), ("B",)]
    until(lambda: not launches.process(run).is_alive)


def test_a_run_that_is_terminated_ends_as_canceled(launches: Launches) -> None:
    run, process = launches.start(_SLOW)
    assert launches.launcher.check_run_worker_health(launches.now(run)).status == WorkerStatus.RUNNING
    assert launches.launcher.terminate(run.run_id)
    launches.ends_as(run, dg.DagsterRunStatus.CANCELED)
    until(lambda: not process.is_alive)
    assert not launches.launcher.terminate(run.run_id)


def test_a_run_whose_process_was_killed_is_found_dead_and_the_parent_forks_the_next(launches: Launches) -> None:
    run, process = launches.start(_SLOW)
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: not process.is_alive)
    assert launches.launcher.check_run_worker_health(launches.now(run)).status == WorkerStatus.FAILED
    assert launches.is_forked(launches.create(_SLOW))


def test_a_parent_that_was_killed_takes_its_forks_along_and_is_replaced(launches: Launches) -> None:
    run, process = launches.start(_SLOW)
    os.kill(psutil.Process(process.pid).ppid(), signal.SIGKILL)
    launches.ends_as(run, dg.DagsterRunStatus.FAILURE)
    until(lambda: not process.is_alive)
    next_ = launches.create(*asset_keys("stations"))
    assert not launches.is_forked(next_)
    until(lambda: launches.is_forked(next_))
    launches.ends_as(next_, dg.DagsterRunStatus.SUCCESS)


def test_forks_end_with_the_daemon(launches: Launches) -> None:
    run, process = launches.start(_SLOW)
    launches.launcher.dispose()
    launches.ends_as(run, dg.DagsterRunStatus.FAILURE)
    until(lambda: not process.is_alive)


def test_a_fork_loads_the_sources_as_they_are(launches: Launches, desk: Desk) -> None:
    launches.ends_as(launches.launch(*asset_keys("stations")), dg.DagsterRunStatus.SUCCESS)
    file = desk.folder / "declared" / "stations.py"
    file.write_text(file.read_text().replace("/stations.csv", "/others.csv"))
    desk.publish("others.csv", "code\nC\n")
    launches.ends_as(launches.launch(*asset_keys("stations")), dg.DagsterRunStatus.SUCCESS)
    assert ("C",) in desk.query("SELECT code FROM core.stations")


@pytest.mark.parametrize("elsewhere", [{"host": "code-server"}, {"executable": "/opt/other/bin/python"}])
def test_a_run_of_another_machine_or_python_is_left_to_dagster(launches: Launches, elsewhere: dict[str, Any]) -> None:
    launches.ends_as(launches.launch(*asset_keys("stations")), dg.DagsterRunStatus.SUCCESS)
    assert not launches.is_forked(launches.create(*asset_keys("stations"), **elsewhere))
