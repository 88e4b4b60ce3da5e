"""Launches runs as the daemon does, and waits for what becomes of them."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg
import psutil
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.errors import DagsterInvariantViolationError
from dagster._core.launcher.base import LaunchRunContext
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.tags import PARTITION_NAME_TAG
from dagster._grpc.types import ExecuteRunArgs

from etl_assets.graph.keys import ALL_ASSETS
from etl_assets.graph.launcher.forking_launcher import PROCESS_TAG, ForkingRunLauncher
from etl_assets.graph.launcher.process import Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
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

    def create(
        self,
        *keys: dg.AssetKey,
        job: str = ALL_ASSETS,
        partition: str | None = None,
        run_config: Mapping[str, Any] | None = None,
        host: str = "localhost",
        executable: str = sys.executable,
    ) -> dg.DagsterRun:
        """Create a run of some assets, or else of a job."""
        from etl_assets.definitions import defs

        repository = RepositoryPythonOrigin(
            executable, ModuleCodePointer("etl_assets.definitions", "defs"), None, None, None
        )
        location = GrpcServerCodeLocationOrigin(host=host, port=1, location_name="etl_assets.definitions")
        whole = defs.get_repository_def().get_job(job)
        return self.instance.create_run_for_job(
            whole.get_subset(asset_selection=set(keys)) if keys else whole,
            status=dg.DagsterRunStatus.STARTING,
            asset_selection=frozenset(keys) or None,
            run_config=run_config,
            tags={PARTITION_NAME_TAG: partition} if partition is not None else {},
            job_code_origin=JobPythonOrigin(job, repository),
            remote_job_origin=RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), job),
        )

    def is_forked(self, run: dg.DagsterRun) -> bool:
        """Launch a run; return whether it was forked, and not left to Dagster's launcher, which misses a workspace."""
        try:
            self.launcher.launch_run(LaunchRunContext(run, None))
        except DagsterInvariantViolationError:
            return False
        return True

    def launch(self, *keys: dg.AssetKey, **given: Any) -> dg.DagsterRun:
        """Launch a run, by a fork as soon as the parent can; for the arguments see `create`."""
        run = self.create(*keys, **given)
        until(lambda: self.is_forked(run))
        return run

    def execute(self, run: dg.DagsterRun) -> None:
        """Execute a run as Dagster's launchers do, in a process that they start."""
        assert run.job_code_origin is not None
        arguments = ExecuteRunArgs(run.job_code_origin, run.run_id, self.instance.get_ref()).get_command_args()
        subprocess.run(arguments, check=True, capture_output=True)

    def start(self, *keys: dg.AssetKey) -> tuple[dg.DagsterRun, Process]:
        """Launch a run, and wait until it is in a step."""
        run = self.launch(*keys)
        until(lambda: self._is_in_its_step(run))
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
        until(lambda: self.now(run).is_finished)
        assert self.now(run).status == status


@contextmanager
def launching() -> Iterator[Launches]:
    """Launch runs for the length of a block, after which the parent ends."""
    with dg.DagsterInstance.get() as instance:
        yield Launches(instance)
    until(lambda: not [child for child in psutil.Process().children() if "launcher.parent" in _command(child)])


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
