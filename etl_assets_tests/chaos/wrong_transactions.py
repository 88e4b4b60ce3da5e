"""Batch transactions that are built wrong on purpose, each for a test that must catch it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from etl_assets.load.transaction import BatchTransaction
from etl_assets.load.writers.keyed_rows import KeyedRows
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries, entries
from etl_assets.postgres.tables.guard import Guard
from etl_assets_tests.chaos import faults

if TYPE_CHECKING:
    from etl_assets.load.prepare import Prepared
    from etl_assets.load.writers import RowWriter
    from etl_assets.postgres.ledger.entries import Entry


class LedgerApart(BatchTransaction):
    """Wrong on purpose: writes the ledger entry in a transaction of its own, after the rows are committed."""

    def run(self, prepared: Prepared) -> Entry:
        entry = super().run(prepared)
        if entry.number == faults.FATAL_BATCH:
            faults.die()
        self._enter(entry)
        return entry

    def write_entry(self, entry: Entry) -> None:
        """Write nothing: `run` writes the entry."""

    def _enter(self, entry: Entry) -> None:
        entries.enter(self.connection, self.delivery, self.holder, entry, kind=self.kind, hash_seed=self.seed)


class LedgerFirst(LedgerApart):
    """Wrong on purpose: commits the ledger entry before the rows."""

    def run(self, prepared: Prepared) -> Entry:
        with connected(faults.url_of(self.connection)) as apart:
            entry = self._expected_entry(prepared)
            entries.enter(apart, self.delivery, self.holder, entry, kind=self.kind, hash_seed=self.seed)
        if entry.number == faults.FATAL_BATCH:
            faults.die()
        BatchTransaction.run(self, prepared)
        return entry

    def _expected_entry(self, prepared: Prepared) -> Entry:
        from etl_assets.postgres.tables.upsert import Written

        return self.entry(prepared, Written(inserted=prepared.rows.height), prepared.rules)


class OpenGuard(Guard):
    """Wrong on purpose: lets every row of the table be overwritten, also a newer one."""

    def is_older(self, new: str) -> sql.Composable:
        return sql.SQL("{}.{} IS NOT NULL").format(sql.SQL(new), sql.Identifier(self.schema.key[0]))


class Unguarded(BatchTransaction):
    """Wrong on purpose: a transaction that writes with an `OpenGuard`."""

    def write_rows(self, prepared: Prepared) -> Any:
        keyed(self.writer).guard.__class__ = OpenGuard
        return super().write_rows(prepared)


class OutOfTurn(BatchTransaction):
    """Wrong on purpose: writes rows while another transaction writes rows of the same keys."""

    def lock_writes(self) -> None:
        self.writer.begin(deliveries.newer(self.connection, self.delivery))


def keyed(writer: RowWriter) -> KeyedRows:
    """Return a writer that writes by key."""
    assert isinstance(writer, KeyedRows)
    return writer
