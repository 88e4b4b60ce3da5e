"""Loads one delivery into its table: begins it, prepares and writes its batches, and retries after a fault."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import polars as pl
import psycopg

from etl_assets.errors import LoadError
from etl_assets.load.base import LoadRequest
from etl_assets.load.lookups import Lookups
from etl_assets.load.partition_lock import PartitionLock
from etl_assets.load.prepare import hash_seed, prepare, published_keys
from etl_assets.load.transaction import BatchTransaction
from etl_assets.load.writers import WriterContext
from etl_assets.postgres.connection import retries
from etl_assets.postgres.faults import translate, translating
from etl_assets.postgres.ledger import cases, deliveries, entries, locks, partitions, references, retention
from etl_assets.postgres.tables import range_partitions
from etl_assets.postgres.tables.delivery_index import cover_new_rows
from etl_assets.postgres.tables.fillfactor import ensure_fillfactor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.load.base import BeforeCommit, PartitionColumn, ReplayRequest
    from etl_assets.load.prepare import Prepared
    from etl_assets.load.shares import Turns
    from etl_assets.model.batch import Batch
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.entries import Entry

Transaction = TypeVar("Transaction", bound=BatchTransaction)


class DeliveryLoad:
    """The load of one delivery by a run. The run keeps the partition locked until `close`.

    Args:
        request: The delivery, the table and the run.
        before_commit: Writes more in each transaction.
        lock: Of the run whose delivery this process loads a share of; None to lock the partition.

    Attributes:
        target: The table to load into.
        delivery: The delivery, in its state in the database.
        committed: How many batches this load has committed.

    Raises:
        BusyError: If another run has locked the partition.
    """

    def __init__(
        self,
        request: LoadRequest | ReplayRequest,
        before_commit: BeforeCommit | None = None,
        lock: PartitionLock | None = None,
    ) -> None:
        self.target = request.target
        self.delivery = request.delivery
        self.committed = 0
        self._open_batches = request.open_batches if isinstance(request, LoadRequest) else None
        self._accept_deletes = isinstance(request, LoadRequest) and request.accept_deletes
        self._may_swap = True
        self._rejected = 0
        if lock is None:
            lock = PartitionLock(request.url, self.delivery.source, self.delivery.partition, request.run_id)
        self._lock = lock
        self._seed = hash_seed(self.target.schema)
        self._lookups = Lookups(self.target)
        self._before_commit = before_commit

    @property
    def connection(self) -> Connection:
        """The connection that has the partition's lock; another one after a fault."""
        return self._lock.connection

    def begin(self, *, force: bool) -> None:
        """Mark the delivery as being loaded."""
        self.delivery = deliveries.begin(self.connection, self.delivery, self.target.fingerprint, force=force)

    def begin_again(self) -> None:
        """Begin a delivery again whose new table was not put in place: its batches are written into the table."""
        self._may_swap, self.committed = False, 0
        self.begin(force=False)
        self.open_table()

    def begin_some(self, batches: frozenset[int]) -> None:
        """Mark some batches of a complete delivery as being reloaded.

        Raises:
            LoadError: If there are no such batches, or the delivery must be reloaded as a whole.
        """
        known = {span.batch for span in self.delivery.manifest.spans}
        if not batches <= known:
            available = f"{min(known)} to {max(known)}" if known else "none"
            raise LoadError(
                f"{self.delivery} has no batch {min(batches - known)}; it has {available}. Nothing was written. "
                "Name others."
            )
        begun = deliveries.begin_partial_reload(self.connection, self.delivery, self.target.fingerprint, batches)
        if begun is None:
            raise LoadError(
                f"{self.delivery} is not complete, or was read under another declaration: it can only be reloaded "
                "as a whole. Nothing was written. Run it without naming batches."
            )
        self.delivery = begun

    def find_entries(self) -> list[Entry]:
        """Return the ledger entries of the delivery; from now on, count the records that are rejected."""
        found = entries.find_all(self.connection, self.delivery)
        self._rejected = sum(entry.counts.rejected for entry in found)
        return found

    def open_table(self) -> None:
        """Create or change the table as the schema declares, and prepare to write it."""
        target = self.target
        target.writer.ensure_table(self.connection, target.table, target.schema, target.partition_by)
        if target.fillfactor is not None:
            ensure_fillfactor(self.connection, target.writer.stored_in(target.table), target.fillfactor)
        if target.partition_by is not None:
            retention.try_to_drop_expired(self.connection, self.delivery.source, target.table, target.partition_by)
        if target.replaced is None:
            references.record(self.connection, target.table, target.schema.lookups)
        if self.delivery.generation > 1:
            cover_new_rows(self.connection, target.writer.stored_in(target.table))
        self._ensure_disjoint()
        self.open_writer()

    def open_writer(self) -> None:
        """Prepare to write a table that is as the schema declares."""
        self._watches_keys = self.target.keys_are_published and cases.are_watched(self.connection, self.delivery.source)
        self._writer = self.target.writer.open(self._context)

    @property
    def _context(self) -> WriterContext:
        return WriterContext(
            self._lock,
            self.target,
            self.delivery,
            self._seed,
            self._open_batches,
            accept_deletes=self._accept_deletes,
            may_swap=self._may_swap,
        )

    def _ensure_disjoint(self) -> None:
        """Check that no other partition, and no row loaded before the partition column was declared, has its values."""
        partition_column = self.target.partition_column
        if partition_column is None:
            return
        self._refuse_overlap(partition_column)
        source, table = self.delivery.source, self.target.table
        with self.connection.transaction():
            if partitions.known_disjoint(self.connection, source, partition_column.declaration):
                return
            locks.lock_writes(self.connection, source)
            for partition, *ends in partitions.extremes(self.connection, table, partition_column.column):
                column = self.target.schema[partition_column.column]
                if partition_column.outside(partition, pl.Series(ends, dtype=column.type.polars)).any():
                    raise LoadError(
                        f"{table} has rows that came in partition {partition!r} of {source}, but belong to another "
                        f"by their {partition_column.column}. Nothing was written. Delete them, or remove column= from "
                        "the source's partitions."
                    )
            partitions.record_disjoint(self.connection, source, partition_column.declaration)

    def _refuse_overlap(self, partition_column: PartitionColumn) -> None:
        """Raise if another partition that was delivered may have the same values of the partition column.

        A delivery is recorded before it is loaded. So of two that overlap, the second to be landed is refused even if
        both are loaded at the same time.
        """
        source, key = self.delivery.source, self.delivery.partition
        value = partition_column.value_of(key)
        if value is None:
            return
        for other in deliveries.last_fetches(self.connection, source):
            if other != key and partition_column.value_of(other) == value:
                raise LoadError(
                    f"Partitions {key!r} and {other!r} of {source} have the same {partition_column.column}, so that "
                    "they are not disjoint. Nothing was written. Let value= return another text for each file, or "
                    "remove column= from the source's partitions."
                )

    def fault(self, error: psycopg.Error | LoadError) -> LoadError:
        """Return the error of a load that broke off; its text has the number of batches that stay."""
        fault = translate(error, str(self.delivery)) if isinstance(error, psycopg.Error) else error
        batches = len(self.delivery.manifest.spans)
        return type(fault)(f"{fault} Batches that this run committed, and that stay: {self.committed} of {batches}.")

    def close(self) -> None:
        """Release the lock of the partition."""
        self._lock.release()

    def prepare_batches(self, batches: Iterator[Batch]) -> Iterator[Prepared]:
        """Prepare batches for their transactions, in the thread that iterates."""
        for batch in batches:
            keys = published_keys(batch, self.target.schema) if self._watches_keys else None
            ready = replace(prepare(batch, self.target, self.delivery.id, self._seed), keys=keys)
            writer = self._writer
            yield replace(ready, encoded=writer.encode(ready.rows)) if writer.sends_everything else ready

    def write(self, prepared: Prepared, transaction: type[BatchTransaction], *, completes: bool) -> Entry:
        """Write a batch; after a transient fault of the database, retry on a new connection.

        If the answer to COMMIT was lost, the ledger shows whether the batch was committed.

        Args:
            prepared: The batch.
            transaction: Of the batch.
            completes: Whether it is the last batch that the delivery lacks.
        """
        number = prepared.batch.span.batch
        for attempt in retries():
            with attempt, translating(f"batch {number} of {self.delivery}"):
                entry = self._reconnect(number) if attempt.num > 1 else None
                if entry is None:
                    self._ensure_child_tables(prepared)
                    entry = self.transaction(transaction, allowance=self._allowance(), completes=completes).run(
                        prepared
                    )
                self.committed += 1
                self._rejected += entry.counts.rejected
                return entry
        raise AssertionError("a retry loop ends by returning or raising")

    def write_in_turn(
        self, prepared: Prepared, transaction: type[BatchTransaction], turns: Turns, *, completes: bool
    ) -> bool:
        """Write a batch of a delivery that other processes load as well; return False if one of them has written it.

        Args:
            prepared: The batch; the ledger has the one before.
            transaction: Of the batch.
            turns: Keep the other processes from writing.
            completes: Whether it is the last batch that the delivery lacks.
        """
        with turns.turn(self.connection, prepared.batch.span.batch) as is_missing:
            if is_missing:
                self._rejected = entries.rejected(self.connection, self.delivery)
                self.write(prepared, transaction, completes=completes)
            return is_missing

    @property
    def holder(self) -> locks.Holder:
        """The run that has the partition, and its epoch."""
        return self._lock.holder

    def _ensure_child_tables(self, prepared: Prepared) -> None:
        """Make the child tables that a batch needs, in a transaction of its own, so that parallel loads wait less."""
        partition_by = self.target.partition_by
        if partition_by is None:
            return
        kept_from = retention.kept_from(self.connection, self.delivery.source)
        values = prepared.rows if kept_from is None else prepared.rows.filter(partition_by.is_kept(kept_from))
        periods = partition_by.periods_of(values.get_column(partition_by.column))
        range_partitions.ensure(self.connection, self.target.table, partition_by, periods, self.target.fillfactor)

    @property
    def completes_apart(self) -> bool:
        """Whether the delivery is completed in a transaction of its own, after that of its last batch."""
        return self._writer.completes_apart

    def complete_apart(self, transaction: type[BatchTransaction]) -> None:
        """Do what the write mode does when a delivery is complete, in a transaction of its own."""
        self._writer.get_ready()
        self.transaction(transaction, allowance=0).complete_apart()

    def transaction(self, kind: type[Transaction], *, allowance: int, completes: bool = False) -> Transaction:
        """Return a transaction for this load.

        Args:
            kind: The class of the transaction: what it writes, in which order.
            allowance: How many records it may reject.
            completes: Whether it writes the last batch that the delivery lacks.
        """
        return kind(
            self._context,
            self._writer,
            self._lookups,
            allowance=allowance,
            completes=completes,
            before_commit=self._before_commit,
        )

    def _allowance(self) -> int:
        """Return how many more records of the delivery may be rejected: while it is locked, no other run writes it."""
        return self.delivery.manifest.consent(self.target.max_rejected) - self._rejected

    def _reconnect(self, number: int) -> Entry | None:
        """Reconnect and lock the partition again; return the ledger entry of a batch if the batch was committed."""
        self._lock.reconnect()
        self.open_table()
        return entries.find_batch(self.connection, self.delivery, number)
