"""The task of a run: what the process that a worker forks for it does."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
from celery.exceptions import Ignore
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import unpack_value
from dagster._utils.interrupts import setup_interrupt_handlers

from etl_assets import catalog, ingest
from etl_assets.graph.launcher.execution import execute
from etl_assets.graph.resource import open_warehouse
from etl_assets.graph.shares import HAND_OUT
from etl_assets.load import Share
from etl_assets.postgres.connection import connected
from etl_assets.postgres.runs import missed_runs
from etl_assets.settings import Settings

if TYPE_CHECKING:
    from celery import Celery, Task

LOAD_SHARE: Final = "etl_assets.load_share"
SHARE_PRIORITY: Final = 9
END_SECONDS: Final = 30.0
"""How long a run may go on after it was asked to end, before its process is killed: longer than most batches take, and
less than Dagster waits."""


def load_share(_task: Task[Any, Any], share: dict[str, Any]) -> int:
    """Load a share of a delivery whose run another worker executes.

    Args:
        share: The fields of `Share`.

    Returns:
        How many batches were written.
    """
    _end_at_signals()
    wanted = Share(**{**share, "missing": tuple(share["missing"])})
    known = catalog.of_settings(Settings.from_environment(), {wanted.source})
    return ingest.load_share(known.sources[wanted.source], wanted, open_warehouse(wait=True))


def execute_run(task: Task[Any, Any], execute_job_args_packed: Any) -> None:
    """Execute the run of a task in this process, which can be asked to end.

    Args:
        task: As a worker has it.
        execute_job_args_packed: What dagster-celery's launcher sends.

    Raises:
        Ignore: If another process executes the run.
    """
    _end_at_signals()
    queue = task.request.delivery_info["routing_key"]
    HAND_OUT.set(lambda share: _send(task.app, queue, share))
    execute_once(unpack_value(execute_job_args_packed, as_type=ExecuteRunArgs).run_id)


def execute_once(run_id: str) -> None:
    """Execute a run, unless it has ended, or a process has begun it.

    A task is delivered a second time if its worker is lost, but also if the worker loses its connection to the broker
    and goes on. A run that was asked to end before a worker had it is ended.

    Args:
        run_id: Dagster's.

    Raises:
        Ignore: If another process executes the run; the state of its task stays as it is.
    """
    with dg.DagsterInstance.get() as instance:
        run = instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return
        if run.status in {dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING} and _is_alive(run_id):
            raise Ignore
        if run.status == dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, "The run was asked to end, and no process executes it.")
            return
        execute(run, instance)


def _send(app: Celery, queue: str, share: Share) -> None:
    """Send a share to the queue of its run, before the runs that wait there."""
    app.send_task(LOAD_SHARE, kwargs={"share": asdict(share)}, queue=queue, priority=SHARE_PRIORITY)


def _is_alive(run_id: str) -> bool:
    """Return whether a process that executes a run holds a lock of it."""
    with connected(open_warehouse().url) as connection:
        return any(row.alive for row in missed_runs.find(connection, [run_id]) if row.key.run_id == run_id)


def _end_at_signals() -> None:
    """Let SIGTERM end the run as Dagster does it, and kill this process if the run has not ended some time later.

    The signal is noticed at once, also in a call of a library that does not return to Python.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    setup_interrupt_handlers()
    noticing, noticed = os.pipe()
    os.set_blocking(noticed, False)
    signal.set_wakeup_fd(noticed, warn_on_full_buffer=False)
    threading.Thread(target=_kill_later, args=[noticing], name="end of the run", daemon=True).start()


def _kill_later(noticing: int) -> None:
    while signal.SIGTERM not in os.read(noticing, 1):
        pass
    time.sleep(END_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
