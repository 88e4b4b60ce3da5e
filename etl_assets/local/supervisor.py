"""The process that owns one embedded PostgreSQL: starts it, and stops it when nobody holds it any longer.

It is run by path, isolated and detached, and so imports nothing but the standard library. It is told everything in one
JSON argument (``Orders``) and answers with one line of JSON on its standard output: ``{"ready": true}``, or
``{"ready": false}`` if the server did not come up, in which case the server's log says why.

Who lives is told by locks alone, which the kernel releases when a process ends in whatever way, never by process ids:

=================== ===================================================================================================
``holders.lock``    shared, by every process that uses the server; exclusive, by the supervisor from the moment it finds
                    no holder until it has stopped the server, so that who comes meanwhile waits and starts anew
``supervisor.lock`` exclusive, by the supervisor
``server.lock``     exclusive, inherited by every process of the server: free means that none is left
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
_LOG_LOOK_SECONDS = 60.0


class Orders(TypedDict):
    """What a supervisor is told. Paths are absolute."""

    folder: str
    data: str
    command: list[str]
    user: int | None
    group: int | None


def lock(path: Path, operation: int) -> int | None:
    """Open a lock file and lock it.

    Returns:
        The file descriptor that holds the lock until it is closed, or None if ``operation`` has ``LOCK_NB`` and
        another holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, operation)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def supervise(orders: Orders) -> None:
    """Start the server, say so, and stop it when its last holder is gone, on SIGTERM, or when it ends by itself."""
    events: queue.SimpleQueue[str] = queue.SimpleQueue()
    signal.signal(signal.SIGTERM, lambda *_: events.put("stop"))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    folder = Path(orders["folder"])
    _trim(_log(folder))
    marker = folder / "ready"
    marker.unlink(missing_ok=True)
    mine = lock(folder / "supervisor.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
    theirs = _free(folder / "server.lock")
    server = _start(orders, theirs) if mine is not None and theirs is not None else None
    ready = server is not None and _is_ready(server, Path(orders["data"]))
    if ready:
        marker.touch()
    sys.stdout.write(json.dumps({"ready": ready}) + "\n")
    sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if server is not None:
        if ready:
            _watch(server, folder, events)
        marker.unlink(missing_ok=True)
        _stop(server)
    if theirs is not None:
        os.close(theirs)
        if (nobodys := _free(folder / "server.lock")) is not None:  # all of the server has ended, not its first alone
            os.close(nobodys)
    if mine is not None:
        os.close(mine)
    os._exit(0)  # the thread that waits for holders may still be waiting


def _free(path: Path) -> int | None:
    """The server's lock, waiting for the rest of an earlier server to end."""
    deadline = time.monotonic() + _ORPHAN_SECONDS
    descriptor = lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    while descriptor is None and time.monotonic() < deadline:
        time.sleep(0.02)
        descriptor = lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def _start(orders: Orders, server_lock: int) -> subprocess.Popen[bytes]:
    """Start the server. The locks say that no earlier one is left, so a pid file is stale, whatever pid it names."""
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
        return subprocess.Popen(  # noqa: S603 - the command is composed by the package
            orders["command"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
            pass_fds=(server_lock,),
            preexec_fn=end_with_the_supervisor,  # noqa: PLW1509 - this process has a single thread as yet
            user=orders["user"],
            group=orders["group"],
            extra_groups=None if orders["user"] is None else [],
            umask=0o077,
        )
    finally:
        os.close(log)


def _is_ready(server: subprocess.Popen[bytes], data: Path) -> bool:
    """Wait until the server's own status file says that it takes connections."""
    deadline = time.monotonic() + _START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError):
            lines = (data / "postmaster.pid").read_text().splitlines()
            if len(lines) > 7 and lines[0] == str(server.pid) and lines[7].strip() == "ready":  # noqa: PLR2004
                return True
        time.sleep(0.005)
    return False


def _watch(server: subprocess.Popen[bytes], folder: Path, events: queue.SimpleQueue[str]) -> None:
    """Return when the server is to be stopped or has ended."""

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
            events.get(timeout=_LOG_LOOK_SECONDS)
        except queue.Empty:
            _trim(_log(folder))
        else:
            return


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Roll back what is open, write a checkpoint, end; at once, without the checkpoint, if that takes too long."""
    for request in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        with contextlib.suppress(subprocess.TimeoutExpired):
            if server.poll() is None:
                server.send_signal(request)
            server.wait(_STOP_SECONDS)
            return


def _log(folder: Path) -> Path:
    return folder / "server.log"


def _trim(log: Path) -> None:
    """Keep the log's last part in a second file and empty the log, once it is large. The server appends to it."""
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.with_suffix(".log.1").write_bytes(log.read_bytes())
        os.truncate(log, 0)


if __name__ == "__main__":
    if os.fork() == 0:  # so that nobody's child is left when the starter ends or forgets it
        supervise(json.loads(sys.argv[1]))
