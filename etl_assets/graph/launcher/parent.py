"""The process that has the libraries and this package imported, and forks once for each run.

It reads ids of runs from a socket, a line for each, and answers with a line of JSON: the process that it forked, or why
it forked none. It ends when the other end of the socket is closed, and its forks end with it.

It loads no source, and computes nothing with Polars: a fork cannot use the threads that Polars starts for the first
computation, and would wait for them for ever. So each fork loads the sources as they are, and the process is replaced
only if this package or a library changes.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import dagster as dg
from dagster._utils.interrupts import setup_interrupt_handlers

from etl_assets.graph.launcher.execution import execute, import_libraries
from etl_assets.graph.launcher.forks import end_with, foreign_threads
from etl_assets.graph.launcher.process import Process

if TYPE_CHECKING:
    from collections.abc import Mapping

READY: Final = "ready"
CHANGED: Final = "a file that it imported has changed"
_STANDARD_ERROR: Final = 2
_END_SECONDS: Final = 60.0
"""How long forks may take to end after they were asked to."""


def main(descriptor: int) -> None:
    """Import what runs need, then fork for each run that is asked for.

    Args:
        descriptor: Number of the socket.
    """
    import_libraries()
    files = _files()
    gc.collect()
    gc.freeze()
    control = socket.socket(fileno=descriptor)
    if problem := _unfit(descriptor):
        control.sendall(f"{json.dumps({'problem': problem})}\n".encode())
        return
    forks: set[int] = set()
    signal.signal(signal.SIGCHLD, lambda *_: _reap(forks))
    control.sendall(f"{json.dumps({READY: True})}\n".encode())
    with control.makefile("rb") as lines:
        for line in lines:
            if _files() != files:
                control.sendall(f"{json.dumps({'problem': CHANGED})}\n".encode())
                break
            pid = _noted_fork(line.decode().strip(), control, forks)
            control.sendall(f"{json.dumps({'process': Process.of(pid).text})}\n".encode())
    _end(forks)


def _noted_fork(run_id: str, control: socket.socket, forks: set[int]) -> int:
    """Fork, and enter the number of the new process before it can be found to have ended."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    try:
        forks.add(pid := _fork(run_id, control))
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    return pid


def _fork(run_id: str, control: socket.socket) -> int:
    """Return the number of a new process that executes a run."""
    parent = os.getpid()
    if pid := os.fork():
        return pid
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        signal.signal(signal.SIGINT, signal.default_int_handler)
        setup_interrupt_handlers()
        end_with(parent)
        os.close(control.fileno())
        _execute(run_id)
        os._exit(0)
    except BaseException:  # noqa: BLE001 -- the fork must never go on in the code of its parent
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(1)


def _execute(run_id: str) -> None:
    with dg.DagsterInstance.get() as instance:
        run = instance.get_run_by_id(run_id)
        if run is None:
            raise LookupError(f"Run {run_id} is not in Dagster's storage. Nothing was executed.")
        execute(run, instance)
    sys.stdout.flush()


def _unfit(descriptor: int) -> str:
    """Return why this process may not fork: it has threads or connections; the empty text if it has neither."""
    if threads := foreign_threads():
        return f"it has threads: {', '.join(threads)}"
    links = {int(link.name): _target(link) for link in Path("/proc/self/fd").iterdir()}
    sockets = [number for number, target in links.items() if target.startswith("socket:") and number > _STANDARD_ERROR]
    return "" if sockets == [descriptor] else f"it has {len(sockets) - 1} connections"


def _target(link: Path) -> str:
    with suppress(FileNotFoundError):  # the listing's own descriptor is closed by now
        return str(link.readlink())
    return ""


def _files() -> Mapping[str, tuple[int, int]]:
    """Return time and size of every file that was imported."""
    paths = {file for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))}
    found: dict[str, tuple[int, int]] = {}
    for path in paths:
        with suppress(OSError):
            status = Path(path).stat()
            found[path] = (status.st_mtime_ns, status.st_size)
    return found


def _reap(forks: set[int]) -> None:
    """Take note of the forks that have ended."""
    with suppress(ChildProcessError):
        while pid := os.waitpid(-1, os.WNOHANG)[0]:
            forks.discard(pid)


def _end(forks: set[int]) -> None:
    """Ask the forks to end; kill those that do not."""
    until = time.monotonic() + _END_SECONDS
    for pid in list(forks):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    while forks and time.monotonic() < until:
        time.sleep(0.05)
    for pid in list(forks):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]))
