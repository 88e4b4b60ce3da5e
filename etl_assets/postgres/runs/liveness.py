"""Marks runs as alive: a session of the run's own holds an advisory lock for as long as its process lives.

The server releases the lock when the session ends, and the session ends when the process does, however it ends. A
thread checks the session and opens it again, so that a run outlives a restart of the server. Other modules decide what
to do about runs that are not alive.
"""

from __future__ import annotations

import atexit
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import psycopg

from etl_assets.errors import SettingsError
from etl_assets.postgres import kept_connections
from etl_assets.postgres.connection import connect
from etl_assets.postgres.ledger.locks import lock_number

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection

CHECK_SECONDS: Final = 5.0
"""How many seconds pass between two checks of a run's session."""
_RUN: Final = "\0run"
"""Takes the place of a source in the number of a run's lock."""

_presences: Final[dict[tuple[str, str], Presence]] = {}
_presences_lock: Final = threading.Lock()


def run_lock_number(run_id: str) -> int:
    """Return the number of the advisory lock of a run."""
    return lock_number(_RUN, run_id)


def appear(url: str, run_id: str, part: tuple[str, str]) -> None:
    """Mark a run as alive, because this process executes it.

    It stays alive until the process ends, or all its parts have left and another run appears in the same process. As
    long, the connections of its sessions are kept.

    Args:
        url: Of the warehouse.
        run_id: Dagster's.
        part: Source and partition that the run begins to work on.

    Raises:
        SettingsError: If the database does not answer.
    """
    with _presences_lock:
        presence = _presences.get((url, run_id))
        if presence is None or presence.over:
            for key in [key for key, other in _presences.items() if not other.parts]:
                _presences.pop(key).end()
            presence = _presences[url, run_id] = Presence(url, run_id)
        presence.parts.add(part)


def leave(url: str, run_id: str, part: tuple[str, str]) -> None:
    """Enter that a run has ended its work on a source partition."""
    with _presences_lock:
        if (presence := _presences.get((url, run_id))) is not None:
            presence.parts.discard(part)


class Presence:
    """The session of a run, and the thread that keeps it open.

    Args:
        url: Of the warehouse.
        run_id: Dagster's.

    Attributes:
        parts: The source partitions that the run works on. If there are none, a broken session is not opened again.

    Raises:
        SettingsError: If the database does not answer.
    """

    def __init__(self, url: str, run_id: str) -> None:
        self.parts: set[tuple[str, str]] = set()
        self._url = url
        self._number = run_lock_number(run_id)
        self._connection = self._connect(wait=True)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._keep_open, name=f"presence of run {run_id}", daemon=True)
        kept_connections.begin(url)
        self._thread.start()

    @property
    def over(self) -> bool:
        """Whether the thread that keeps the session open has ended."""
        return not self._thread.is_alive()

    def end(self) -> None:
        """Close the session, which releases the lock."""
        self._ending.set()
        self._thread.join()
        kept_connections.end(self._url)

    def _connect(self, *, wait: bool) -> Connection:
        connection = connect(self._url, wait=wait)
        try:
            connection.execute("SET idle_session_timeout = 0")
            connection.execute("SELECT pg_advisory_lock_shared(%s)", (self._number,))
        except psycopg.Error:
            connection.close()
            raise
        return connection

    def _keep_open(self) -> None:
        while not self._ending.wait(CHECK_SECONDS):
            try:
                self._connection.execute("SELECT")
            except psycopg.Error:
                self._connection.close()
                if not self.parts:
                    return
                with suppress(psycopg.Error, SettingsError):  # the server is still down: the next check tries again
                    self._connection = self._connect(wait=False)
        self._connection.close()


@atexit.register
def _end_all() -> None:
    with _presences_lock:
        while _presences:
            _presences.popitem()[1].end()
