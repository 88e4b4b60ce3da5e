"""The warehouse of a trial, as the harness sees it from outside: sessions, waiting records, frozen bytes."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import psycopg

from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import quarantine
from etl_assets_tests.chaos.runs import NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from etl_assets_tests.chaos.history import Fault
    from etl_assets_tests.chaos.server import Server

_SESSIONS_END: Final = 10.0
_PAUSE: Final = 0.002
_SESSIONS: Final = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND backend_type = 'client backend'"
)
_ORPHANS: Final = (
    "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname LIKE 'pg\\_temp\\_%' AND c.relkind = 'r'"
)
_END_SESSIONS: Final = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
    "AND pid <> pg_backend_pid()"
)
_NEWEST: Final = "SELECT sha256 FROM etl.delivery WHERE partition = %s ORDER BY id DESC LIMIT 1"


@dataclass(frozen=True)
class TrialWarehouse:
    """The database and the files of one trial.

    Attributes:
        server: Of the harness.
        database: Name of the database.
        folder: Has what is published, in ``feed``, and the landing store, in ``landing``.
    """

    server: Server
    database: str
    folder: Path

    @property
    def url(self) -> str:
        return self.server.url_of(self.database)

    def query(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Execute a statement and return its rows."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(query.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def waiting(self) -> list[quarantine.Rejected]:
        """Return the records that wait in the quarantine."""
        with connected(self.url) as connection:
            return quarantine.find(connection, source=NAME)

    def end_sessions(self) -> None:
        """Let the server end every session."""
        self.query(_END_SESSIONS)

    def wait_for_sessions(self) -> None:
        """Wait until the server has noticed that the sessions of killed runs are gone."""
        until = time.monotonic() + _SESSIONS_END
        with psycopg.connect(self.url, autocommit=True) as connection:
            while connection.execute(_SESSIONS).fetchall() != [(0,)] and time.monotonic() < until:
                time.sleep(_PAUSE)

    def drop_orphans(self) -> None:
        """Drop the temporary tables of sessions that a crash of the server has ended, as the doctor advises.

        The server drops them by itself, but not before its next automatic vacuum.
        """
        for (table,) in self.query(_ORPHANS):
            self.query(f"DROP TABLE IF EXISTS {table}")

    @contextmanager
    def flipped(self, key: str, fault: Fault) -> Iterator[bool]:
        """Change a digit of the newest bytes of a partition; afterwards, restore them as from a backup.

        Yields:
            Whether there are bytes with a digit.
        """
        path = self._newest_bytes(key)
        if path is None:
            yield False
            return
        kept = path.read_bytes()
        header = kept.index(b"\n")
        digits = [at for at, byte in enumerate(kept) if at > header and chr(byte).isdigit()]
        if digits:
            at = digits[int(fault.share * len(digits)) % len(digits)]
            path.write_bytes(kept[:at] + bytes([kept[at] ^ 1]) + kept[at + 1 :])
        yield bool(digits)
        path.write_bytes(kept)

    def _newest_bytes(self, key: str) -> Path | None:
        newest: Sequence[tuple[str, ...]] = self.query(_NEWEST, key)
        path = self.folder / "landing" / newest[0][0][:2] / f"{newest[0][0]}.bytes" if newest else None
        return path if path is not None and path.exists() else None
