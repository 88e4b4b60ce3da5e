"""One delivery on its way into its table: begun, prepared batch by batch, written, and tried again after a fault."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

import polars as pl
import psycopg
import stamina

from etl_assets.errors import LoadError, TransientLoadError
from etl_assets.load.lookups import Lookups
from etl_assets.load.partition_lock import PartitionLock
from etl_assets.load.prepare import hash_seed, prepare
from etl_assets.load.transaction import BatchTransaction
from etl_assets.postgres.faults import translate
from etl_assets.postgres.ledger import deliveries, entries, locks, partitions
from etl_assets.postgres.tables.ddl import ensure_table
from etl_assets.postgres.tables.upsert import TableWriter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.load.base import BeforeCommit, Target
    from etl_assets.load.prepare import Prepared
    from etl_assets.model.batch import Batch
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.entries import Entry

Transaction = TypeVar("Transaction", bound=BatchTransaction)
_TRIES: Final = 5


class DeliveryLoad:
    """The load of one delivery, by a run that holds its partition until `close`.

    Args:
        url: Of the warehouse.
        run_id: Of the run that loads.
        target: Where the rows go.
        delivery: What is loaded.
        before_commit: Writes more in each transaction.

    Attributes:
        target: As given.
        delivery: As it stands in the database.

    Raises:
        BusyError: If another run holds the partition.
    """

    def __init__(
        self, url: str, run_id: str, target: Target, delivery: Delivery, before_commit: BeforeCommit | None = None
    ) -> None:
        self.target = target
        self.delivery = delivery
        self._lock = PartitionLock(url, delivery.source, delivery.partition, run_id)
        self._seed = hash_seed(target.schema)
        self._lookups = Lookups(target)
        self._before_commit = before_commit

    @property
    def connection(self) -> Connection:
        """Of the hold; another one after a fault."""
        return self._lock.connection

    def begin(self, *, force: bool) -> None:
        """Mark the delivery as being loaded."""
        self.delivery = deliveries.begin(self.connection, self.delivery, self.target.fingerprint, force=force)

    def begin_some(self, batches: frozenset[int]) -> None:
        """Mark some batches of a complete delivery as being reloaded.

        Raises:
            LoadError: If there are no such batches, or the delivery must be read as a whole.
        """
        known = {span.batch for span in self.delivery.manifest.spans}
        if not batches <= known:
            there = f"{min(known)} to {max(known)}" if known else "none"
            raise LoadError(
                f"{self.delivery} has no batch {min(batches - known)}; it has {there}. Nothing was written. "
                "Name others."
            )
        begun = deliveries.begin_some(self.connection, self.delivery, self.target.fingerprint, batches)
        if begun is None:
            raise LoadError(
                f"{self.delivery} is not complete, or was read under another declaration: it can only be read as a "
                "whole. Nothing was written. Run it without naming batches."
            )
        self.delivery = begun

    def open_table(self) -> None:
        """Make the table hold what the schema declares, and get ready to write it."""
        ensure_table(self.connection, self.target.table, self.target.schema)
        self._ensure_disjoint()
        self._writer = TableWriter(
            self.connection,
            self.target.table,
            self.target.schema,
            self.delivery.id,
            refresh_hashes=entries.other_seeds(self.connection, self.delivery.source, self._seed),
        )

    def _ensure_disjoint(self) -> None:
        """Make sure that the rows of the table lie in their partitions, too: those that came before they had to."""
        partition_column = self.target.partition_column
        if partition_column is None:
            return
        source, table = self.delivery.source, self.target.table
        with self.connection.transaction():
            if partitions.known_disjoint(self.connection, source, partition_column.declaration):
                return
            locks.lock_writes(self.connection, source)
            for partition, *ends in partitions.extremes(self.connection, table, partition_column.column):
                column = self.target.schema[partition_column.column]
                if partition_column.outside(partition, pl.Series(ends, dtype=column.type.polars)).any():
                    raise LoadError(
                        f"{table} has rows that came in partition {partition!r} of {source}, and lie in another by "
                        f"their {partition_column.column}. Nothing was written. Delete them, or leave column= out of "
                        "the source's partitions."
                    )
            partitions.record_disjoint(self.connection, source, partition_column.declaration)

    def close(self) -> None:
        """Give the partition back."""
        self._lock.release()

    def prepared(self, batches: Iterator[Batch]) -> Iterator[Prepared]:
        """Batches made ready, in the thread that pulls them."""
        for batch in batches:
            ready = prepare(batch, self.target, self.delivery.id, self._seed)
            writer = self._writer
            yield replace(ready, encoded=writer.encode(ready.rows)) if writer.sends_everything else ready

    def write(self, prepared: Prepared, transaction: type[BatchTransaction]) -> Entry:
        """Write a batch, trying again on a new connection when the database broke off.

        A lost answer to COMMIT is resolved by asking the ledger.
        """
        for attempt in stamina.retry_context(on=TransientLoadError, attempts=_TRIES, wait_initial=0.2, wait_max=5.0):
            with attempt:
                if attempt.num > 1 and (entry := self._reconnect(prepared.batch.span.batch)) is not None:
                    return entry
                try:
                    return self.transaction(transaction, allowance=self._allowance()).run(prepared)
                except psycopg.Error as error:
                    raise translate(error, f"batch {prepared.batch.span.batch} of {self.delivery}") from None
        raise AssertionError("a retry loop ends by returning or raising")

    def transaction(self, kind: type[Transaction], *, allowance: int) -> Transaction:
        """A transaction over this load.

        Args:
            kind: What it does, in which order.
            allowance: How many records it may reject.
        """
        return kind(
            lock=self._lock,
            target=self.target,
            delivery=self.delivery,
            writer=self._writer,
            lookups=self._lookups,
            seed=self._seed,
            allowance=allowance,
            before_commit=self._before_commit,
        )

    def _allowance(self) -> int:
        """How many more records may be rejected."""
        consent = int(self.target.max_rejected * self.delivery.manifest.records)
        return consent - entries.add_up(entries.find(self.connection, self.delivery))[0].rejected

    def _reconnect(self, number: int) -> Entry | None:
        """Renew the hold after its connection broke; the ledger entry of a batch, if it was committed after all."""
        try:
            self._lock.reconnect()
            self.open_table()
        except psycopg.Error as error:
            raise translate(error, f"reconnecting for {self.delivery}") from None
        return entries.find(self.connection, self.delivery).get(number)
