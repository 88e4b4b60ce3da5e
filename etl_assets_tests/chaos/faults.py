"""Batch transactions that die or lose their connection, and variants that are built wrong on purpose."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, NoReturn

import psycopg
from psycopg import sql

from etl_assets.load.transaction import BatchTransaction
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries, entries
from etl_assets.postgres.tables.upsert import TableWriter

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
            with self.connection.cursor() as cursor, cursor.copy("COPY pg_temp.etl_staging FROM STDIN") as copy:
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


class LedgerApart(BatchTransaction):
    """Wrong on purpose: writes the ledger entry in a transaction of its own, after the rows are committed."""

    def run(self, prepared: Prepared) -> Entry:
        entry = super().run(prepared)
        if entry.number == FATAL_BATCH:
            die()
        self._enter(entry)
        return entry

    def write_entry(self, entry: Entry) -> None:
        """Write nothing: `run` writes the entry."""

    def _enter(self, entry: Entry) -> None:
        entries.enter(self.connection, self.delivery, self.holder, entry, kind=self.kind, hash_seed=self.seed)


class LedgerFirst(LedgerApart):
    """Wrong on purpose: commits the ledger entry before the rows."""

    def run(self, prepared: Prepared) -> Entry:
        with connected(_url(self.connection)) as apart:
            entry = self._expected_entry(prepared)
            entries.enter(apart, self.delivery, self.holder, entry, kind=self.kind, hash_seed=self.seed)
        if entry.number == FATAL_BATCH:
            die()
        BatchTransaction.run(self, prepared)
        return entry

    def _expected_entry(self, prepared: Prepared) -> Entry:
        from etl_assets.postgres.tables.upsert import Written

        return self.entry(prepared, Written(inserted=prepared.rows.height), 0, prepared.rules)


class UnguardedWriter(TableWriter):
    """Wrong on purpose: overwrites every row in the table, also a newer one."""

    def _guard(self, new: sql.Composable) -> sql.Composable:
        return sql.SQL("{}.{} IS NOT NULL").format(new, sql.Identifier(self._schema.key[0]))

    def _guard_values(self) -> dict[str, object]:
        return {}


class Unguarded(BatchTransaction):
    """Wrong on purpose: a transaction that writes with an `UnguardedWriter`."""

    def write_generation(self, prepared: Prepared) -> Any:
        self.writer.__class__ = UnguardedWriter
        return super().write_generation(prepared)


class OutOfTurn(BatchTransaction):
    """Wrong on purpose: writes rows while another transaction writes rows of the same keys."""

    def lock_writes(self) -> None:
        self.writer.outranked_by = deliveries.newer(self.connection, self.delivery)


class Disconnected(BatchTransaction):
    """A transaction whose session the server ends once, in the middle of the second batch."""

    ended = False

    def write_rejected(self, prepared: Prepared) -> None:
        super().write_rejected(prepared)
        if prepared.batch.span.batch == FATAL_BATCH and not type(self).ended:
            type(self).ended = True
            pid = self.connection.info.backend_pid
            with connected(_url(self.connection)) as other:
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


def _url(connection: psycopg.Connection[Any]) -> str:
    info = connection.info
    return f"postgresql://{info.user}:{info.password}@{info.host}:{info.port}/{info.dbname}"
