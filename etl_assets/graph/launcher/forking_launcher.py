"""The run launcher that forks run processes from a process that has everything imported.

A process of a run otherwise begins with seconds of imports. Runs that cannot be forked are launched as Dagster does it:
on other systems than Linux, if the code location is on another machine or has another Python, and as long as the parent
is not ready.
"""

from __future__ import annotations

import json
import logging
import os
import select
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin

from etl_assets.graph.launcher.process import Process

if TYPE_CHECKING:
    import dagster as dg
    from dagster._core.launcher.base import LaunchRunContext

PROCESS_TAG: Final = "etl_assets/process"
_MODULE: Final = "etl_assets.definitions"
_PARENT: Final = "etl_assets.graph.launcher.parent"
_HERE: Final = frozenset({None, "", "localhost", "127.0.0.1", "::1"})
_ANSWER_SECONDS: Final = 10.0
_RESTART_SECONDS: Final = 60.0
"""A parent that ended before it was ready is not replaced sooner."""
_LOG: Final = logging.getLogger(__name__)


class ForkingRunLauncher(DefaultRunLauncher):
    """A run launcher that forks run processes; ``dagster.yaml`` names it.

    ```yaml
    run_launcher:
      module: etl_assets.graph.launcher.forking_launcher
      class: ForkingRunLauncher
    ```

    The tag `PROCESS_TAG` of a run has its process. Any process of the machine can terminate it.
    """

    def __init__(self, **settings: Any) -> None:
        """Create the launcher with the settings of `DefaultRunLauncher`."""
        super().__init__(**settings)
        self._lock = threading.Lock()
        self._parent: _Parent | None = None

    def launch_run(self, context: LaunchRunContext) -> None:
        """Fork a process for a run, or launch it as `DefaultRunLauncher` does."""
        run = context.dagster_run
        process = self._fork(run.run_id) if sys.platform == "linux" and _can_be_forked(run) else None
        if process is None:
            super().launch_run(context)
            return
        self._instance.add_run_tags(run.run_id, {PROCESS_TAG: process.text})

    def terminate(self, run_id: str) -> bool:
        """Ask the process of a run to end; return whether there was one."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished or PROCESS_TAG not in run.tags:
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        process = Process.read(run.tags[PROCESS_TAG])
        self._instance.report_run_canceling(run)
        if not process.is_here:
            text = f"The process of the run is on {process.host}. It was not asked to end; do it there."
            self._instance.report_engine_event(text, run, cls=type(self))
            return False
        if process.ask_to_end():
            return True
        self._instance.report_run_canceled(run, "The process of the run was gone already.")
        return False

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether the process of a run can be looked for."""
        return sys.platform == "linux"

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Look for the process of a run. One that was not forked here counts as running: nothing is known of it."""
        text = run.tags.get(PROCESS_TAG)
        process = Process.read(text) if text else None
        if process is None or not process.is_here or process.is_alive:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"Process {process.pid} of the run is gone.")

    def dispose(self) -> None:
        """End the parent; its forks end, too."""
        with self._lock:
            if self._parent is not None:
                self._parent.close()
                self._parent = None
        super().dispose()

    def _fork(self, run_id: str) -> Process | None:
        """Return the new process of a run; None if the parent cannot fork now. A parent that is gone is replaced."""
        with self._lock:
            if self._parent is not None and self._parent.is_gone:
                if not self._parent.may_be_replaced:
                    return None
                self._parent.close()
                self._parent = None
            if self._parent is None:
                self._parent = _Parent()
            return self._parent.fork(run_id)


class _Parent:
    """The parent, seen from the launcher."""

    def __init__(self) -> None:
        """Start it; it is ready some seconds later."""
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 -- composed here
                [sys.executable, "-P", "-m", _PARENT, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the process that started it
            )
        self._socket.settimeout(_ANSWER_SECONDS)
        self._lines = self._socket.makefile("rb")
        self._began = time.monotonic()
        self._ready = False
        self._broken = False

    @property
    def is_gone(self) -> bool:
        return self._broken or self._process.poll() is not None

    @property
    def may_be_replaced(self) -> bool:
        return self._ready or time.monotonic() - self._began > _RESTART_SECONDS

    def fork(self, run_id: str) -> Process | None:
        """Return the new process of a run; None if the parent is not ready or forks none."""
        try:
            if not self._ready:
                if not select.select([self._socket], [], [], 0)[0]:
                    return None
                self._ready = self._answer() == {"ready": True}
                if not self._ready:
                    return None
            self._socket.sendall(f"{run_id}\n".encode())
            answer = self._answer()
        except OSError as error:
            self._broken = True
            _LOG.warning("The process that forks runs does not answer (%s). It is replaced.", error)
            return None
        return Process.read(answer["process"]) if "process" in answer else None

    def close(self) -> None:
        """Let it end, and take note of its end."""
        self._lines.close()
        self._socket.close()
        threading.Thread(target=self._process.wait, daemon=True).start()

    def _answer(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._lines.readline() or b'{"problem": "it has ended"}')
        if "problem" in answer:
            self._broken = True
            _LOG.warning("The process that forks runs cannot: %s. Dagster starts a new one.", answer["problem"])
        return answer


def _can_be_forked(run: dg.DagsterRun) -> bool:
    """Return whether a run is of our code location, which is on this machine and has this Python."""
    if run.job_code_origin is None or run.remote_job_origin is None:
        return False
    code = run.job_code_origin.repository_origin
    location = run.remote_job_origin.repository_origin.code_location_origin
    return (
        isinstance(code.code_pointer, ModuleCodePointer)
        and code.code_pointer.module == _MODULE
        and os.path.realpath(code.executable_path) == os.path.realpath(sys.executable)
        and not (isinstance(location, GrpcServerCodeLocationOrigin) and location.host not in _HERE)
    )
