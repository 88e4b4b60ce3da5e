"""The embedded server that the harness owns: a database for each trial, crashes and restarts."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import psutil
import psycopg

from etl_assets.local.server import EmbeddedServer
from etl_assets.postgres.migrations import migrate
from etl_assets_tests.databases import create_database, drop_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import LiteralString

_TEMPLATE: Final = "chaos_template"
_SETTINGS: Final[tuple[LiteralString, ...]] = (  # processes crash here, not machines
    "ALTER SYSTEM SET fsync = off",
    "ALTER SYSTEM SET full_page_writes = off",
    "ALTER SYSTEM SET deadlock_timeout = '200ms'",
)


class Server:
    """A server of a home of its own.

    Attributes:
        home: The folder of the server, which is also for the files of the trials.
        port: The port that the server listens on.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self._held = EmbeddedServer.start(home)
        with psycopg.connect(self._postgres, autocommit=True) as connection:
            for statement in (*_SETTINGS, "SELECT pg_reload_conf()"):
                connection.execute(statement)
        migrate(create_database(self._postgres, _TEMPLATE))

    @property
    def _postgres(self) -> str:
        return self._held.superuser_url("postgres")

    @property
    def port(self) -> int:
        return self._held.port

    def url_of(self, database: str, port: int | None = None) -> str:
        """Return the URL of a database, through another port if one is given."""
        url = self._held.superuser_url(database)
        return url if port is None else url.replace(f":{self.port}/", f":{port}/")

    @contextmanager
    def database(self) -> Iterator[str]:
        """Yield the name of a fresh, migrated database, and drop it at the end of the block."""
        name = f"trial_{uuid4().hex}"
        create_database(self._postgres, name, _TEMPLATE)
        try:
            yield name
        finally:
            drop_database(self._postgres, name)

    def crash(self) -> None:
        """Stop the server immediately, without a checkpoint, and start it again."""
        postmaster, supervisor = self._processes()
        postmaster.send_signal(signal.SIGQUIT)
        self._start_again(postmaster, supervisor)

    def kill_supervisor(self) -> None:
        """Kill the process that owns the server, which ends the server too, and start it again."""
        postmaster, supervisor = self._processes()
        supervisor.kill()
        self._start_again(postmaster, supervisor)

    def _processes(self) -> tuple[psutil.Process, psutil.Process]:
        """Return the process of the server and the one that owns it."""
        with psycopg.connect(self._postgres, autocommit=True) as connection:
            postmaster = psutil.Process(connection.info.backend_pid).parent()
        supervisor = postmaster.parent() if postmaster is not None else None
        assert postmaster is not None
        assert supervisor is not None
        return postmaster, supervisor

    def _start_again(self, *ended: psutil.Process) -> None:
        psutil.wait_procs(ended)
        before, self._held = self._held, EmbeddedServer.start(self.home)
        before.close()

    def close(self) -> None:
        """Stop the server."""
        self._held.close()


@contextmanager
def server() -> Iterator[Server]:
    """Start a server in a new home for a block, and remove both at its end."""
    home = Path(tempfile.mkdtemp(prefix="etl-assets-chaos-"))
    home.chmod(0o711)  # the server's account must be able to enter it
    owner = os.getpid()
    started = Server(home)
    try:
        yield started
    finally:
        if os.getpid() == owner:
            started.close()
            shutil.rmtree(home)
