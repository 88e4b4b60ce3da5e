"""A server of MariaDB of its own: in a temporary folder, on a port of this machine."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from etl_assets.extract.access.base import required
from etl_assets_tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

INSTALL: Final = shutil.which("mariadb-install-db")
SERVER: Final = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
ROOT: Final = "root-password"
_PATIENCE: Final = 60.0
_PYMYSQL: Final = required("pymysql", "mysql")


class MariaDb:
    """A running server.

    Attributes:
        port: On 127.0.0.1.
        socket: Path of its socket.
    """

    def __init__(self, port: int, path: Path) -> None:
        self.port = port
        self.socket = path

    def url(self, database: str) -> str:
        return f"mysql://127.0.0.1:{self.port}/{database}"

    def connect(self, database: str | None = None) -> Any:
        """Return a connection of the superuser."""
        return _PYMYSQL.connect(
            unix_socket=str(self.socket), user="root", password=ROOT, database=database, autocommit=True
        )

    def run(self, database: str | None, *statements: str) -> Sequence[Any]:
        """Run statements, and return the rows of the last one."""
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                rows: Sequence[Any] = cursor.fetchall()
                return rows
        finally:
            connection.close()


@contextmanager
def running() -> Iterator[MariaDb]:
    """Start a server, and end it with the block."""
    assert INSTALL
    assert SERVER
    home = Path(tempfile.mkdtemp(prefix="etl-assets-mariadb-"))
    account, data = getpass.getuser(), home / "data"
    install = [INSTALL, "--no-defaults", f"--datadir={data}", f"--user={account}", "--skip-test-db"]
    subprocess.run([*install, "--auth-root-authentication-method=normal"], check=True, capture_output=True)
    server = MariaDb(free_port(), home / "socket")
    options = [f"--port={server.port}", "--bind-address=127.0.0.1", f"--socket={server.socket}", f"--datadir={data}"]
    options += [f"--user={account}", "--skip-name-resolve", "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen([SERVER, "--no-defaults", *options], stdout=log, stderr=log)
    try:
        _wait(server, process)
        yield server
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(home)


def _wait(server: MariaDb, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _PATIENCE
    while not _answers(server.socket):
        assert process.poll() is None, "the server ended"
        assert time.monotonic() < end, "the server does not answer"
        time.sleep(0.05)
    connection = _PYMYSQL.connect(unix_socket=str(server.socket), user="root")
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER USER root@localhost IDENTIFIED BY '{ROOT}'")
    connection.close()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as tried:
        return tried.connect_ex(str(path)) == 0
