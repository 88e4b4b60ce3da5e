"""Batch transactions that die or lose their connection."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, NoReturn

import psycopg
from psycopg import sql

from etl_assets.load.transaction import BatchTransaction
from etl_assets.postgres.connection import connected
from etl_assets.postgres.tables.names import identifier

if TYPE_CHECKING:
    from etl_assets.load.prepare import Prepared
    from etl_assets.postgres.ledger.entries import Entry

FATAL_BATCH = 2
POINTS = (
    "before_fence",
    "after_lookups",
    "mid_copy",
    "after_rows",
    "after_rejected",
    "after_entry",
    "before_commit",
    "in_commit",
    "after_commit",
)


def die() -> NoReturn:
    """Kill this process by SIGKILL: no handler runs, and no cleanup."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("survived SIGKILL")


class DyingTransaction(BatchTransaction):
    """Dies at the named point of the second batch."""

    point = ""

    def run(self, prepared: Prepared) -> Entry:
        self._number = prepared.batch.span.batch
        self._die_at("before_fence")
        entry = super().run(prepared)
        self._die_at("after_commit")
        return entry

    def look_up(self, prepared: Prepared) -> Any:
        result = super().look_up(prepared)
        self._die_at("after_lookups")
        return result

    def write_rows(self, prepared: Prepared) -> Any:
        if self.point == "mid_copy" and self._number == FATAL_BATCH:
            statement = sql.SQL("COPY {} FROM STDIN").format(identifier(self.target.table))
            with self.connection.cursor() as cursor, cursor.copy(statement) as copy:
                copy.write(b"half a li")
                die()
        written = super().write_rows(prepared)
        self._die_at("after_rows")
        return written

    def write_rejected(self, prepared: Prepared) -> None:
        super().write_rejected(prepared)
        self._die_at("after_rejected")

    def write_entry(self, entry: Entry) -> None:
        super().write_entry(entry)
        self._die_at("after_entry")

    def write_profile(self, prepared: Prepared) -> None:
        super().write_profile(prepared)
        self._die_at("before_commit")
        if self.point == "in_commit" and self._number == FATAL_BATCH:
            self.connection.pgconn.send_query(b"COMMIT")
            die()

    def _die_at(self, point: str) -> None:
        if self.point == point and self._number == FATAL_BATCH:
            die()


def dying_at(point: str) -> type[BatchTransaction]:
    """Return the class of a transaction that dies at a point."""
    return type("Dying", (DyingTransaction,), {"point": point})


class Disconnected(BatchTransaction):
    """A transaction whose session the server ends once, in the middle of the second batch."""

    ended = False

    def write_rejected(self, prepared: Prepared) -> None:
        super().write_rejected(prepared)
        if prepared.batch.span.batch == FATAL_BATCH and not type(self).ended:
            type(self).ended = True
            pid = self.connection.info.backend_pid
            with connected(url_of(self.connection)) as other:
                other.execute("SELECT pg_terminate_backend(%s)", (pid,))
            self.connection.execute("SELECT 1")


class AnswerLost(BatchTransaction):
    """A transaction whose connection breaks once, after the commit of the second batch and before the answer."""

    lost = False

    def run(self, prepared: Prepared) -> Entry:
        entry = super().run(prepared)
        if entry.number == FATAL_BATCH and not type(self).lost:
            type(self).lost = True
            self.connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        return entry


def url_of(connection: psycopg.Connection[Any]) -> str:
    """Return the URL of the database of a connection."""
    info = connection.info
    return f"postgresql://{info.user}:{info.password}@{info.host}:{info.port}/{info.dbname}"
