"""The embedded PostgreSQL server of a home: the first process starts it, all share it, and it stops after the last.

``with embedded(home) as server`` returns the same server in any number of processes. The server runs while any process
holds it, and stops when the last holder closes it or ends in any way. The data are stored below the home and survive.
The server listens only on 127.0.0.1 and requires a password, which only processes of this user can read. The URLs that
it hands out are those of an ordinary role, which owns both databases; see `roles`.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psycopg

from etl_assets.errors import SettingsError
from etl_assets.local import cluster, roles, supervisor
from etl_assets.local.account import account_for
from etl_assets.local.binaries import binaries
from etl_assets.local.roles import ADDRESS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.local.account import Account

_START_SECONDS = 90.0
_RETRY_SECONDS = 0.1
_END_BY_ITSELF_SECONDS = 5.0
_PORT_TRIES = 5
_CONFIGURATION = {
    "listen_addresses": ADDRESS,
    "unix_socket_directories": "",
    "max_connections": "100",
    # sized for bulk upserts on a small machine; fsync, synchronous_commit and full_page_writes keep their safe defaults
    "shared_buffers": "256MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "4GB",
    "min_wal_size": "512MB",
    "checkpoint_timeout": "15min",
    "wal_level": "minimal",  # no server replicates from this one
    "max_wal_senders": "0",
    "jit": "off",
    "scram_iterations": "4096",  # for the passwords that people choose; initdb hashed the random one once
    "timezone": "UTC",
    "log_timezone": "UTC",
    # the server releases the locks of a killed loader at once
    "client_connection_check_interval": "500ms",
    # Texts of errors, their details and statements contain values of records. Sessions log no errors (see roles.py);
    # these are the errors of the server's own processes, and what it logs when it starts, stops or recovers.
    "log_min_messages": "error",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_line_prefix": "%m [%p] %b %e ",
    "log_checkpoints": "off",
}


class EmbeddedServer:
    """The hold of one process on the server of a home. Close it, or use it as a context manager.

    A forked child holds the server too, until it ends or executes another program. A program that this process starts
    does not hold the server: pass it the URL and end after it, or let the program take its own hold.
    """

    def __init__(self, folder: Path, port: int, password: str, hold: int) -> None:
        self.port = port
        self._folder = folder
        self._password = password
        self._hold: int | None = hold

    @classmethod
    def start(cls, home: Path, port: int | None = None) -> EmbeddedServer:
        """Take a hold on the server of a home; start the server if it does not run.

        Args:
            home: The folder of all local files; the server uses its subfolder ``postgres``.
            port: The TCP port to listen on. With None, the operating system chooses one, and later starts reuse it.

        Raises:
            SettingsError: If the server cannot be started here. The text says why, and what to do.
        """
        folder = cluster.working_folder(home.absolute())
        with _start_lock(folder):
            hold = _locked(folder / "holders.lock", fcntl.LOCK_SH)  # waits while the previous server is stopping
            try:
                password = cluster.password(folder)
                return cls(folder, _running(folder, port, password), password, hold)
            except BaseException:
                os.close(hold)
                raise

    def superuser_url(self, database: str = "postgres") -> str:
        """Return the URL of one database for the superuser, in libpq's form, with the password."""
        return roles.superuser_url(self.port, self._password, database)

    @property
    def url(self) -> str:
        """The URL of the warehouse, for the loader."""
        return roles.loader_url(self.port, self._password, roles.WAREHOUSE)

    @property
    def dagster_url(self) -> str:
        """The URL of the database for Dagster's storage, for the loader."""
        return roles.loader_url(self.port, self._password, roles.DAGSTER)

    def close(self) -> None:
        """Release the hold. If no other process holds the server, wait until it has stopped.

        A second call does nothing.
        """
        if self._hold is None:
            return
        with _start_lock(self._folder):
            os.close(self._hold)
            self._hold = None
            if not _has_holders(self._folder):
                os.close(_locked(self._folder / "supervisor.lock", fcntl.LOCK_SH))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"EmbeddedServer(folder={str(self._folder)!r}, port={self.port})"


@contextmanager
def embedded(home: Path, port: int | None = None) -> Iterator[EmbeddedServer]:
    """Hold the server of a home for the length of a ``with`` block; see `EmbeddedServer.start`."""
    with EmbeddedServer.start(home, port) as server:
        yield server


def _locked(path: Path, operation: int) -> int:
    """Wait for a lock; return the descriptor that holds it."""
    descriptor = supervisor.lock(path, operation)
    if descriptor is None:  # pragma: no cover - only LOCK_NB returns None
        raise BlockingIOError
    return descriptor


@contextmanager
def _start_lock(folder: Path) -> Iterator[None]:
    """Take the lock under which one process at a time takes or releases its hold."""
    descriptor = _locked(folder / "start.lock", fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def _is_locked(path: Path, operation: int = fcntl.LOCK_EX) -> bool:
    """Whether a lock of another process excludes this operation."""
    descriptor = supervisor.lock(path, operation | fcntl.LOCK_NB)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is None


def _has_holders(folder: Path) -> bool:
    """Whether any process holds the server. Holders share their lock; a supervisor that stops the server does not."""
    holders = folder / "holders.lock"
    return _is_locked(holders) and not _is_locked(holders, fcntl.LOCK_SH)


def _running(folder: Path, declared: int | None, password: str) -> int:
    """Return the port of a server that runs and is set up. A server may end, or restart after a crash, at any moment.

    Raises:
        SettingsError: If there is none within ``_START_SECONDS``.
    """
    deadline = time.monotonic() + _START_SECONDS
    while True:
        port = _port_of_running_server(folder, declared) or _start(folder, declared)
        try:
            roles.set_up(port, password)
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise SettingsError(
                    f"The PostgreSQL of {folder} does not accept connections. Nothing was written. Read "
                    f"{folder / 'server.log'}, then try again. Its message: {str(error).strip()}"
                ) from None
            time.sleep(_RETRY_SECONDS)
        else:
            return port


def _port_of_running_server(folder: Path, declared: int | None) -> int | None:
    """Return the port of the server that already runs, or None. Wait for a server that is starting or stopping."""
    deadline = time.monotonic() + _START_SECONDS
    while _is_locked(folder / "supervisor.lock"):
        if (folder / "ready").exists():
            port = int((folder / "port").read_text())
            if declared not in {None, port}:
                raise SettingsError(
                    f"The PostgreSQL of {folder} runs on port {port} already, so it cannot be started on {declared}. "
                    "Nothing was started. Unset ETL_ASSETS_PORT, or end the processes that use the server."
                )
            return port
        if time.monotonic() > deadline:
            raise SettingsError(
                f"The PostgreSQL of {folder} has been starting or stopping for {_START_SECONDS:.0f} s. Nothing was "
                f"started. Read {folder / 'server.log'}, then try again."
            )
        time.sleep(0.02)
    return None


def _start(folder: Path, declared: int | None) -> int:
    """Start the server and return its port; create its data folder if it is missing."""
    account = account_for(folder / "data")
    data = cluster.locate_data(folder, account)
    programs = binaries(account, data.parent)
    _end_orphan(folder, data, account, [programs.program("pg_ctl"), "stop", "--pgdata", str(data), "--mode", "fast"])
    cluster.prepare(folder, data, programs, account)
    for _ in range(_PORT_TRIES):
        port = _port(folder, declared)
        _remember(port, folder / "port")
        command = [programs.program("postgres"), "-D", str(data), "-p", str(port)]
        command += [f"--{name}={value}" for name, value in _CONFIGURATION.items()]
        user, group = (None, None) if account.is_current else (account.uid, account.gid)
        orders = supervisor.SupervisorInput(folder=str(folder), data=str(data), command=command, user=user, group=group)
        if _start_supervisor(folder, orders):
            return port
        if other := _port_of_running_server(folder, declared):  # another process was starting it
            return other
        if _is_free(port):
            break
    tail = (folder / "server.log").read_text(errors="replace").strip().splitlines()[-3:]
    raise SettingsError(
        f"PostgreSQL did not start from {data}. Its data are unchanged. Correct the cause, then try again. The log "
        f"{folder / 'server.log'} ends: " + " / ".join(tail)
    )


def _start_supervisor(folder: Path, orders: supervisor.SupervisorInput) -> bool:
    """Start the supervisor as a detached process; return its answer: whether the server is ready."""
    (folder / "ready").unlink(missing_ok=True)
    log = os.open(folder / "server.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        process = subprocess.Popen(  # noqa: S603 - our own file, run by our own interpreter
            [sys.executable, "-I", "-S", str(Path(supervisor.__file__)), json.dumps(orders)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    finally:
        os.close(log)
    answer, _ = process.communicate()
    return bool(json.loads(answer or '{"ready": false}')["ready"])


def _end_orphan(folder: Path, data: Path, account: Account, stop: list[str]) -> None:
    """Stop a server whose supervisor was killed, unless it ends by itself, as it does on Linux.

    A session in a long statement does not notice that its server was killed too; so end the processes that are left.
    """
    if _has_ended(folder, _END_BY_ITSELF_SECONDS):
        return
    account.run(stop)
    supervisor.end_processes(data)
    _has_ended(folder, _END_BY_ITSELF_SECONDS)


def _has_ended(folder: Path, seconds: float) -> bool:
    """Wait for every process of the server to end; return whether they did in time."""
    deadline = time.monotonic() + seconds
    while _is_locked(folder / "server.lock"):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _port(folder: Path, declared: int | None) -> int:
    """Return the port to try: the declared one, or that of the last start, or one that the operating system chooses."""
    if declared is not None:
        if not _is_free(declared):
            raise SettingsError(
                f"Port {declared}, declared in ETL_ASSETS_PORT, is taken by another program. Nothing was started. "
                "Declare a free port, or none: then the operating system chooses one."
            )
        return declared
    remembered = folder / "port"
    text = remembered.read_text() if remembered.exists() else ""
    if text.isdecimal() and _is_free(port := int(text)):
        return port
    with socket.socket() as listener:
        listener.bind((ADDRESS, 0))
        return int(listener.getsockname()[1])


def _remember(port: int, path: Path) -> None:
    """Write the port to a file that no other account can change, because passwords are sent to that port.

    A process that is killed leaves the file as it was, or whole.
    """
    new = path.with_suffix(".new")
    new.touch(0o600)
    new.chmod(0o600)
    new.write_text(str(port))
    new.replace(path)


def _is_free(port: int) -> bool:
    """Whether a server can listen on the port."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((ADDRESS, port))
        except OSError:
            return False
    return True
