"""The batch transaction: fence, lookups, rows, rejected records, ledger entry, commit, in this order, all or nothing.

Two variants of it are wrong, and tests keep them failing: the ledger entry in a transaction of its own, and rows
written without the order guard.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import polars as pl
import psycopg

from etl_assets.errors import LoadError, TooManyRejectedError
from etl_assets.load.confirmed import confirmed_rows
from etl_assets.load.prepare import AFTER_ALL, prepare, without
from etl_assets.model.counts import Counts
from etl_assets.postgres.connection import commit_without_waiting
from etl_assets.postgres.faults import fault_of
from etl_assets.postgres.ledger import deliveries, entries, locks, quarantine
from etl_assets.postgres.ledger.entries import Entry
from etl_assets.postgres.watch import profiles
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from etl_assets.load.base import BeforeCommit, Target
    from etl_assets.load.lookups import Lookups
    from etl_assets.load.partition_lock import PartitionLock
    from etl_assets.load.prepare import Prepared
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.entries import Kind
    from etl_assets.postgres.ledger.locks import Holder
    from etl_assets.postgres.tables.upsert import Protect, TableWriter, Written

DATABASE_RULE: Final = "record__database"


class BatchTransaction:
    """Writes one prepared batch, whole or not at all.

    Args:
        lock: Of the partition; its connection is in autocommit.
        target: The table and its contract.
        delivery: Of the batch.
        writer: Writes the rows.
        lookups: Finds missing parents and taken values.
        seed: Of the row hashes.
        allowance: How many more records of the delivery may be rejected.
        before_commit: Called last, to write more in the same transaction.
    """

    kind: Kind = "ingest"

    def __init__(
        self,
        lock: PartitionLock,
        target: Target,
        delivery: Delivery,
        writer: TableWriter,
        lookups: Lookups,
        *,
        seed: int,
        allowance: int,
        before_commit: BeforeCommit | None = None,
    ) -> None:
        self.lock = lock
        self.target = target
        self.delivery = delivery
        self.writer = writer
        self.lookups = lookups
        self.seed = seed
        self.allowance = allowance
        self.before_commit = before_commit

    @property
    def connection(self) -> Connection:
        """In autocommit, of the session that holds the partition's lock."""
        return self.lock.connection

    @property
    def holder(self) -> Holder:
        """Who writes."""
        return self.lock.holder

    @property
    def disjoint(self) -> bool:
        """Whether no other partition can have rows of the same keys."""
        return self.target.partition_column is not None

    def run(self, prepared: Prepared) -> Entry:
        """Write the batch.

        Returns:
            The ledger entry that was committed.

        Raises:
            FencedError: If a newer run has taken over.
            TooManyRejectedError: If the batch would exceed the allowance. Nothing of it was written.
            psycopg.Error: What the database objected to, other than to single records.
        """
        with self.connection.transaction():
            locks.fence(self.connection, self.holder)
            commit_without_waiting(self.connection)
            self.lock_writes()
            prepared = self.without_corrected(prepared)
            prepared, reported = self.look_up(prepared)
            self.stay_within_allowance(prepared)
            prepared, written, deleted = self.write_rows(prepared)
            self.stay_within_allowance(prepared)
            self.write_rejected(prepared)
            entry = self.entry(prepared, written, deleted, reported)
            self.write_entry(entry)
            self.write_profile(prepared)
        return entry

    def lock_writes(self) -> None:
        """Wait until nobody else writes rows of keys that this delivery may have, and learn what is newer than it."""
        locks.lock_writes(self.connection, self.delivery.source, shared=self.disjoint)
        self.writer.outranked_by = deliveries.newer(self.connection, self.delivery, same_partition=self.disjoint)

    def without_corrected(self, prepared: Prepared) -> Prepared:
        """The batch, when it is reloaded, without the rows of records that people corrected: theirs are newer."""
        if self.delivery.generation == 1:
            return prepared
        batch = prepared.batch
        spare = quarantine.corrected(self.connection, self.delivery)
        rows = batch.rows.filter(~pl.col(RECORD_NO).is_in(spare))
        if (gone := batch.rows.height - rows.height) == 0:
            return prepared
        again = prepare(replace(batch, rows=rows), self.target, self.delivery.id, self.seed)
        return replace(again, produced=again.produced + gone, corrected=again.corrected + gone)

    def look_up(self, prepared: Prepared) -> tuple[Prepared, Counter[str]]:
        """Reject what lacks a parent or claims a taken value; count what is only to be reported."""
        reported: Counter[str] = Counter()
        broken: dict[int, list[str]] = {}
        for lookup, record_numbers in self.lookups.missing_parents(self.connection, prepared.batch.rows):
            if lookup.missing == "report":
                reported[lookup.rule] += len(record_numbers)
                continue
            for record_no in record_numbers:
                broken.setdefault(record_no, []).append(lookup.rule)
        for claim, record_numbers in self.lookups.taken_values(self.connection, prepared.rows):
            for record_no in record_numbers:
                broken.setdefault(record_no, []).append(claim.rule)
        return (without(prepared, broken, self.target, self.delivery.id, self.seed) if broken else prepared), reported

    def write_rows(self, prepared: Prepared) -> tuple[Prepared, Written, int]:
        """Write the rows; find and reject the records that the database cannot store."""
        try:
            with self.connection.transaction():
                rows, deleted = self.write_generation(prepared)
                return prepared, rows, deleted
        except psycopg.Error as error:
            if fault_of(error) != "data" or self.connection.broken:
                raise
        unstorable = self.find_unstorable(prepared.rows)
        if not unstorable:
            raise LoadError(
                f"A batch of {self.delivery} is refused by the database as a whole though each record is taken by "
                "itself. Nothing of it was written. Look for a constraint or trigger that was added by hand."
            )
        broken = {record_no: [DATABASE_RULE] for record_no in unstorable}
        return self.write_rows(without(prepared, broken, self.target, self.delivery.id, self.seed))

    def write_generation(self, prepared: Prepared) -> tuple[Written, int]:
        """Write the rows; of a delivery that is reloaded, also take away what it no longer yields."""
        protect = self.protection(prepared)
        if self.delivery.generation == 1 or self.kind == "replay":
            return self.writer.write(prepared.rows, prepared.encoded, protect=protect), 0
        first, last = self.extent(prepared)
        corrected = quarantine.corrected(self.connection, self.delivery)
        earlier = entries.find(self.connection, self.delivery).values()
        in_order = all(entry.last_record < first for entry in earlier)
        self.writer.to_be_read = (last, corrected) if in_order else None
        deleted = self.writer.remove_unproduced(prepared.batch.rows, (first, last), spare=corrected, protect=protect)
        written = self.writer.write(prepared.rows, protect=protect, reload=True)
        quarantine.supersede(self.connection, self.delivery, first, last)
        return written, deleted

    def extent(self, prepared: Prepared) -> tuple[int, int]:
        """First and last record that the batch stands for; the last batch stands for all that were ever behind it."""
        span = prepared.batch.span
        return span.first_record, AFTER_ALL if span == self.delivery.manifest.spans[-1] else span.last_record

    def protection(self, prepared: Prepared) -> Protect | None:
        """What keeps rows of the table that something newer confirmed; None where nothing newer confirmed any.

        A row that is merely confirmed keeps the mark of the older record, so that the guard cannot tell.
        """
        after = self.confirmed_after(prepared)
        read = self.target.read_confirmed
        if read is None or (after == AFTER_ALL and not self.writer.outranked_by):
            return None
        found = entries.confirming(self.connection, self.delivery, after, same_partition=self.disjoint)
        if not found:
            return None
        schema, number = self.target.schema, prepared.batch.span.batch
        return lambda at_stake: confirmed_rows(at_stake, schema, read(self.connection, found, number))

    def confirmed_after(self, prepared: Prepared) -> int:  # noqa: ARG002 -- replays need it
        """The record of the same delivery after which records that were written earlier count as newer."""
        if self.delivery.generation == 1:
            return AFTER_ALL
        return 0 if entries.has_gaps(self.connection, self.delivery) else AFTER_ALL

    def find_unstorable(self, rows: pl.DataFrame) -> list[int]:
        """Numbers of the records that the database cannot store, found by halves, each try rolled back."""
        try:
            with self.connection.transaction(force_rollback=True):
                self.writer.write(rows)
        except psycopg.Error as error:
            if fault_of(error) != "data":
                raise
        else:
            return []
        numbers = rows[RECORD_NO].unique().sort()
        if len(numbers) == 1:
            return numbers.to_list()
        half = numbers[len(numbers) // 2]
        return [
            *self.find_unstorable(rows.filter(pl.col(RECORD_NO) < half)),
            *self.find_unstorable(rows.filter(pl.col(RECORD_NO) >= half)),
        ]

    def write_rejected(self, prepared: Prepared) -> None:
        """Put the rejected records in the quarantine."""
        quarantine.put(self.connection, self.delivery, self.holder.run_id, prepared.rejected)

    def entry(self, prepared: Prepared, written: Written, deleted: int, reported: Counter[str]) -> Entry:
        """The ledger entry of the batch."""
        batch = prepared.batch
        rejected = len(prepared.rejected)
        counts = Counts(
            read=batch.read,
            rejected=rejected,
            filtered=batch.filtered,
            accepted=batch.read - rejected - batch.filtered,
            produced=prepared.produced,
            inserted=written.inserted,
            updated=written.updated,
            unchanged=written.unchanged + prepared.corrected,
            duplicate=prepared.duplicate,
            deleted=deleted,
        )
        return Entry(
            number=batch.span.batch,
            first_record=batch.span.first_record,
            last_record=batch.span.last_record,
            counts=counts,
            rules=dict(prepared.rules + reported),
            confirmed=written.confirmed,
        )

    def write_entry(self, entry: Entry) -> None:
        """Enter the batch in the ledger, and write what is to be written along with it."""
        entries.enter(self.connection, self.delivery, self.holder, entry, kind=self.kind, hash_seed=self.seed)
        if self.before_commit is not None:
            self.before_commit(self.connection, self.delivery, entry)

    def write_profile(self, prepared: Prepared) -> None:
        """Keep the batch's part of the profile, if it has one."""
        if prepared.batch.profile is not None:
            profiles.put_part(self.connection, self.delivery, prepared.batch.span.batch, prepared.batch.profile)

    def stay_within_allowance(self, prepared: Prepared) -> None:
        """Raise if more records are rejected than may be."""
        if len(prepared.rejected) <= self.allowance:
            return
        total = self.delivery.manifest.records
        consent = int(self.target.max_rejected * total)
        worst = ", ".join(f"{rule} ({number})" for rule, number in prepared.rules.most_common(5))
        first = prepared.rejected[0]
        raise TooManyRejectedError(
            f"{self.delivery}: at least {consent - self.allowance + len(prepared.rejected)} of {total} records break "
            f"rules, and max_rejected={self.target.max_rejected} consents to {consent}. Most broken in batch "
            f"{prepared.batch.span.batch}: {worst}; first at {first.location}. Nothing of this batch and of those "
            "after it was written, nothing was quarantined from it. Look at the records with `etl-assets preview`, "
            "then correct the declaration, or ask the publisher, or raise max_rejected.",
            rejected=consent - self.allowance + len(prepared.rejected),
            rules=prepared.rules,
        )
