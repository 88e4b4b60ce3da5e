"""The process that owns one embedded PostgreSQL server: starts it, and stops it when no process holds it any more.

This file runs as a script, isolated and detached, so it imports only the standard library. It gets all its input in one
JSON argument (``SupervisorInput``). It answers with one line of JSON on its standard output: ``{"ready": true}``, or
``{"ready": false}`` if the server did not become ready. Then the log of the server says why.

Only locks show which processes are alive, never process ids. The kernel releases the lock of a process that ends:

=================== ===================================================================================================
``holders.lock``    shared by every process that uses the server; exclusive for the supervisor, from the moment that no
                    holder is left until the server has stopped: a new holder waits until then, and starts a new server
``supervisor.lock`` exclusive for the supervisor
``server.lock``     exclusive, inherited by every process of the server: if it is free, no such process is left
=================== ===================================================================================================
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TypedDict

_PR_SET_PDEATHSIG = 1
_START_SECONDS = 60.0
_STOP_SECONDS = 60.0
_ORPHAN_SECONDS = 30.0
_LOG_BYTES = 10_000_000
_LOG_CHECK_SECONDS = 60.0


class SupervisorInput(TypedDict):
    """The input of a supervisor. Paths are absolute."""

    folder: str
    data: str
    command: list[str]
    user: int | None
    group: int | None


def lock(path: Path, operation: int) -> int | None:
    """Open a lock file and lock it.

    Returns:
        The file descriptor that holds the lock until it is closed, or None if ``operation`` has ``LOCK_NB`` and
        another process holds the lock.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, operation)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def supervise(orders: SupervisorInput) -> None:
    """Start the server and print the answer. Stop it when its last holder is gone, on SIGTERM, or when it has ended."""
    events: queue.SimpleQueue[str] = queue.SimpleQueue()
    signal.signal(signal.SIGTERM, lambda *_: events.put("stop"))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    folder = Path(orders["folder"])
    _trim(_log(folder))
    marker = folder / "ready"
    marker.unlink(missing_ok=True)
    own_lock = lock(folder / "supervisor.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
    server_lock = _take_server_lock(folder / "server.lock")
    server = _start(orders, server_lock) if own_lock is not None and server_lock is not None else None
    ready = server is not None and _is_ready(server, Path(orders["data"]))
    if ready:
        marker.touch(0o600)
    sys.stdout.write(json.dumps({"ready": ready}) + "\n")
    sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if server is not None:
        if ready:
            _watch(server, folder, events)
        marker.unlink(missing_ok=True)
        _stop(server)
        end_processes(Path(orders["data"]))
    if server_lock is not None:
        os.close(server_lock)
        if (free := _take_server_lock(folder / "server.lock")) is not None:  # every process of the server has ended
            os.close(free)
    if own_lock is not None:
        os.close(own_lock)
    os._exit(0)  # the thread that waits for holders may still be waiting


def _take_server_lock(path: Path) -> int | None:
    """Wait for the processes of an earlier server to end, and take the server lock; None if that takes too long."""
    deadline = time.monotonic() + _ORPHAN_SECONDS
    descriptor = lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    while descriptor is None and time.monotonic() < deadline:
        time.sleep(0.02)
        descriptor = lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def _start(orders: SupervisorInput, server_lock: int) -> subprocess.Popen[bytes]:
    """Start the server. The locks show that no earlier server is left, so any pid file is stale; remove it."""
    (Path(orders["data"]) / "postmaster.pid").unlink(missing_ok=True)
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    parent = os.getpid()

    def end_with_the_supervisor() -> None:
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
            if os.getppid() != parent:
                os._exit(1)

    log = os.open(_log(Path(orders["folder"])), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603 - the package composes the command
            orders["command"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
            pass_fds=(server_lock,),
            preexec_fn=end_with_the_supervisor,  # noqa: PLW1509 - this process has one thread so far
            user=orders["user"],
            group=orders["group"],
            extra_groups=None if orders["user"] is None else [],
            umask=0o077,
        )
    finally:
        os.close(log)


def _is_ready(server: subprocess.Popen[bytes], data: Path) -> bool:
    """Wait until the status file of the server says that it accepts connections; return whether it does."""
    deadline = time.monotonic() + _START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError):
            lines = (data / "postmaster.pid").read_text().splitlines()
            if len(lines) > 7 and lines[0] == str(server.pid) and lines[7].strip() == "ready":  # noqa: PLR2004
                return True
        time.sleep(0.005)
    return False


def _watch(server: subprocess.Popen[bytes], folder: Path, events: queue.SimpleQueue[str]) -> None:
    """Wait until the server must be stopped or has ended; meanwhile, keep its log small."""

    def wait_for_no_holder() -> None:
        lock(folder / "holders.lock", fcntl.LOCK_EX)
        events.put("no holder")

    def wait_for_the_end() -> None:
        server.wait()
        events.put("ended")

    for wait in (wait_for_no_holder, wait_for_the_end):
        threading.Thread(target=wait, daemon=True).start()
    while True:
        try:
            events.get(timeout=_LOG_CHECK_SECONDS)
        except queue.Empty:
            _trim(_log(folder))
        else:
            return


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Stop the server: roll back open transactions and write a checkpoint; if that is too slow, skip both."""
    for request in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        with contextlib.suppress(subprocess.TimeoutExpired):
            if server.poll() is None:
                server.send_signal(request)
            server.wait(_STOP_SECONDS)
            return


def end_processes(data: Path) -> None:
    """End what a killed server has left: its other processes go on with their statements. Only Linux lists them.

    The server itself must have ended. Its processes are those whose current folder is the data folder and whose program
    is ``postgres``.
    """
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # a process that has ended, or one of another user
            if (process / "cwd").readlink() == data and (process / "exe").readlink().name == "postgres":
                os.kill(int(process.name), signal.SIGQUIT)


def _log(folder: Path) -> Path:
    return folder / "server.log"


def _trim(log: Path) -> None:
    """If the log is large, copy it to a second file and empty it. The server continues to append to it."""
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        former = log.with_suffix(".log.1")
        former.touch(0o600)
        former.write_bytes(log.read_bytes())
        os.truncate(log, 0)


if __name__ == "__main__":
    if os.fork() == 0:  # so that the supervisor is no child of the process that started it
        supervise(json.loads(sys.argv[1]))
