"""The embedded PostgreSQL as its users hold it: started by the first, shared by all, stopped after the last.

``with embedded(home) as server`` in any number of processes gives them the same server. It lives while any holder lives
and is stopped when the last one lets go or dies, in whatever way. Data lie below the home and survive. The server
listens on 127.0.0.1 alone and asks for a password, which only this user's processes can read.
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
from psycopg import sql

from etl_assets.errors import SettingsError
from etl_assets.local import cluster, supervisor
from etl_assets.local.account import account_for
from etl_assets.local.binaries import binaries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.local.account import Account

WAREHOUSE = "warehouse"
"""The database of the tables."""

DAGSTER = "dagster"
"""The database of Dagster's own storage."""

_ADDRESS = "127.0.0.1"
_START_SECONDS = 90.0
_END_BY_ITSELF_SECONDS = 5.0
_PORT_TRIES = 5
_CONFIGURATION = {
    "listen_addresses": _ADDRESS,
    "unix_socket_directories": "",
    "max_connections": "100",
    # bulk upserts on a small machine; durable: fsync, synchronous_commit and full_page_writes keep their defaults
    "shared_buffers": "256MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "4GB",
    "min_wal_size": "512MB",
    "checkpoint_timeout": "15min",
    "wal_level": "minimal",  # nothing replicates from here
    "max_wal_senders": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # a loader that was killed lets go of its locks at once
    "client_connection_check_interval": "500ms",
    # errors go to the client that made them: their texts hold record contents, which do not belong in a log
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
}


class EmbeddedServer:
    """One process's hold on the server of a home. Close it, or use it as a context manager.

    A child that is forked holds too, until it ends or starts another program; a program that is started does not: give
    it the URL and outlive it, or let it take a hold of its own.
    """

    def __init__(self, folder: Path, port: int, password: str, hold: int) -> None:
        self.port = port
        self._folder = folder
        self._password = password
        self._hold: int | None = hold

    @classmethod
    def start(cls, home: Path, port: int | None = None) -> EmbeddedServer:
        """Take a hold on the server of a home, starting it if it does not run.

        Args:
            home: Where everything is kept, in the subfolder ``postgres``.
            port: The TCP port to listen on; None lets the operating system choose once and remembers its choice.

        Raises:
            SettingsError: The server cannot be started here; says why and what to do.
        """
        folder = cluster.working_folder(home.absolute())
        with _alone(folder):
            hold = _locked(folder / "holders.lock", fcntl.LOCK_SH)  # waits while the last server is being stopped
            try:
                password = cluster.password(folder)
                server = cls(folder, _running(folder, port) or _start(folder, port), password, hold)
                _create_databases(server.url_of("postgres"))
            except BaseException:
                os.close(hold)
                raise
        return server

    def url_of(self, database: str) -> str:
        """The URL of one database, in libpq's form, with the password."""
        return f"postgresql://{cluster.USER}:{self._password}@{_ADDRESS}:{self.port}/{database}"

    @property
    def url(self) -> str:
        """The URL of the warehouse."""
        return self.url_of(WAREHOUSE)

    @property
    def dagster_url(self) -> str:
        """The URL of the database for Dagster's storage."""
        return self.url_of(DAGSTER)

    def close(self) -> None:
        """Let go. If no other process holds the server, return when it has stopped. Closing twice does nothing."""
        if self._hold is None:
            return
        with _alone(self._folder):
            os.close(self._hold)
            self._hold = None
            if not _held_by_others(self._folder):
                os.close(_locked(self._folder / "supervisor.lock", fcntl.LOCK_SH))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"EmbeddedServer(folder={str(self._folder)!r}, port={self.port})"


@contextmanager
def embedded(home: Path, port: int | None = None) -> Iterator[EmbeddedServer]:
    """Hold the server of a home for the length of a ``with`` block. See `EmbeddedServer.start`."""
    with EmbeddedServer.start(home, port) as server:
        yield server


def _locked(path: Path, operation: int) -> int:
    """A descriptor that holds the lock, waiting for it."""
    descriptor = supervisor.lock(path, operation)
    if descriptor is None:  # pragma: no cover - only LOCK_NB gives None
        raise BlockingIOError
    return descriptor


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time begins or ends its hold."""
    descriptor = _locked(folder / "start.lock", fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def _is_locked(path: Path, operation: int = fcntl.LOCK_EX) -> bool:
    """Whether another's lock excludes this operation."""
    descriptor = supervisor.lock(path, operation | fcntl.LOCK_NB)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is None


def _held_by_others(folder: Path) -> bool:
    """Whether other processes use the server: holders share their lock, a supervisor that stops it does not."""
    holders = folder / "holders.lock"
    return _is_locked(holders) and not _is_locked(holders, fcntl.LOCK_SH)


def _running(folder: Path, declared: int | None) -> int | None:
    """The port of the server that runs already, waiting for one that is starting; None if none runs."""
    deadline = time.monotonic() + _START_SECONDS
    while _is_locked(folder / "supervisor.lock"):
        if (folder / "ready").exists():
            port = int((folder / "port").read_text())
            if declared not in {None, port}:
                raise SettingsError(
                    f"The PostgreSQL of {folder} runs on port {port} already, so it cannot be started on {declared}. "
                    "Unset ETL_ASSETS_PORT, or end the processes that use it."
                )
            return port
        if time.monotonic() > deadline:
            raise SettingsError(
                f"The PostgreSQL of {folder} has been starting or stopping for {_START_SECONDS:.0f} s. Look at "
                f"{folder / 'server.log'}, then try again."
            )
        time.sleep(0.02)
    return None


def _start(folder: Path, declared: int | None) -> int:
    """Start the server, making its data folder if need be; its port."""
    account = account_for(folder / "data")
    data = cluster.place(folder, account)
    programs = binaries(account, data.parent)
    cluster.prepare(folder, data, programs, account)
    _end_orphan(folder, account, [programs.program("pg_ctl"), "stop", "--pgdata", str(data), "--mode", "fast"])
    for _ in range(_PORT_TRIES):
        port = _port(folder, declared)
        (folder / "port").write_text(str(port))
        command = [programs.program("postgres"), "-D", str(data), "-p", str(port)]
        command += [f"--{name}={value}" for name, value in _CONFIGURATION.items()]
        user, group = (None, None) if account.is_current else (account.uid, account.gid)
        orders = supervisor.Orders(folder=str(folder), data=str(data), command=command, user=user, group=group)
        if _supervised(folder, orders):
            return port
        if other := _running(folder, declared):  # another's, which had been on its way
            return other
        if _is_free(port):
            break
    tail = (folder / "server.log").read_text(errors="replace").strip().splitlines()[-3:]
    raise SettingsError(
        f"PostgreSQL did not start from {data}. Its data are untouched. Its log, {folder / 'server.log'}, ends: "
        + " / ".join(tail)
    )


def _supervised(folder: Path, orders: supervisor.Orders) -> bool:
    """Start the supervisor, detached, and wait for its answer: whether the server came up."""
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


def _end_orphan(folder: Path, account: Account, stop: list[str]) -> None:
    """Stop a server whose supervisor was killed, if it does not end by itself, as it does on Linux."""
    deadline = time.monotonic() + _END_BY_ITSELF_SECONDS
    while _is_locked(folder / "server.lock"):
        if time.monotonic() > deadline:
            account.run(stop)
            return
        time.sleep(0.02)


def _port(folder: Path, declared: int | None) -> int:
    """The port to try: the declared one, or the one of last time, or one that the operating system chooses."""
    if declared is not None:
        if not _is_free(declared):
            raise SettingsError(
                f"Port {declared}, declared in ETL_ASSETS_PORT, is taken by another program. Nothing was started. "
                "Declare a free port, or none, and one will be chosen."
            )
        return declared
    remembered = folder / "port"
    if remembered.exists() and _is_free(port := int(remembered.read_text())):
        return port
    with socket.socket() as listener:
        listener.bind((_ADDRESS, 0))
        return int(listener.getsockname()[1])


def _is_free(port: int) -> bool:
    """Whether a server could listen on the port."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_ADDRESS, port))
        except OSError:
            return False
    return True


def _create_databases(url: str) -> None:
    """Create what is missing of the two databases."""
    with psycopg.connect(url, autocommit=True) as connection:
        present = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
        for name in (WAREHOUSE, DAGSTER):
            if name not in present:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
