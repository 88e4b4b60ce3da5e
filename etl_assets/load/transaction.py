"""The batch transaction: fence, lookups, rows, rejected records, ledger entry, commit, in this order, all or nothing.

Tests check that two wrong variants fail: one commits the ledger entry in a transaction of its own, the other writes
rows without the order guard.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import polars as pl
import psycopg

from etl_assets.errors import LoadError, TooManyRejectedError
from etl_assets.load.prepare import MOST_PLACES, places_of, without_rejected, without_repeated
from etl_assets.model.batch import REJECTED_RECORD_NO
from etl_assets.model.counts import Counts
from etl_assets.model.rule import KEY_UNIQUE
from etl_assets.postgres.connection import commit_without_waiting
from etl_assets.postgres.faults import fault_of
from etl_assets.postgres.ledger import cases, decisions, deliveries, entries, locks, quarantine, retention
from etl_assets.postgres.ledger.entries import MARKED, Entry
from etl_assets.postgres.ledger.rebuilt import preview_command
from etl_assets.postgres.tables import range_partitions
from etl_assets.postgres.watch import profiles
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from etl_assets.load.base import BeforeCommit
    from etl_assets.load.lookups import Lookups
    from etl_assets.load.prepare import Prepared
    from etl_assets.load.writers import RowWriter, WriterContext
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.entries import Kind
    from etl_assets.postgres.ledger.locks import Holder
    from etl_assets.postgres.tables.upsert import Written

DATABASE_RULE: Final = "record__database"


class BatchTransaction:
    """Writes one prepared batch, all of it or nothing.

    Args:
        context: The connection, the table and the delivery.
        writer: Writes the rows.
        lookups: Finds missing parents and taken values.
        allowance: How many more records of the delivery may be rejected.
        completes: Whether this is the last batch that the delivery lacks.
        before_commit: Called after the ledger entry was written, to write more in the same transaction.
    """

    kind: Kind = "ingest"

    def __init__(
        self,
        context: WriterContext,
        writer: RowWriter,
        lookups: Lookups,
        *,
        allowance: int,
        completes: bool = False,
        before_commit: BeforeCommit | None = None,
    ) -> None:
        self.context = context
        self.target = context.target
        self.delivery = context.delivery
        self.seed = context.seed
        self.writer = writer
        self.lookups = lookups
        self.allowance = allowance
        self.completes = completes
        self.before_commit = before_commit

    @property
    def connection(self) -> Connection:
        """The connection, in autocommit, of the session that has the partition's lock."""
        return self.context.connection

    @property
    def holder(self) -> Holder:
        """The run that writes, and its epoch."""
        return self.context.holder

    @property
    def disjoint(self) -> bool:
        """Whether no other partition can have rows of the same keys."""
        return self.context.disjoint

    def run(self, prepared: Prepared) -> Entry:
        """Write the batch.

        Returns:
            The ledger entry that was committed.

        Raises:
            FencedError: If a newer run has taken over.
            TooManyRejectedError: If the batch would exceed the allowance. Nothing of it was written.
            psycopg.Error: If the database refuses something other than single records.
        """
        with self.connection.transaction():
            locks.fence(self.connection, self.holder)
            commit_without_waiting(self.connection)
            self.lock_writes()
            self.check_corrections(prepared)
            self.writer.note(prepared)
            keys = prepared.keys
            prepared, reported = self.look_up(prepared)
            self.stay_within_allowance(prepared)
            prepared, written = self.write_rows(prepared)
            self.stay_within_allowance(prepared)
            self.write_rejected(prepared)
            self.close_corrected(prepared, keys)
            entry = self.entry(prepared, written, reported)
            self.write_entry(entry)
            if self.completes:
                self.complete()
            self.write_profile(prepared)
        return entry

    def complete_apart(self) -> None:
        """Complete a delivery in a transaction of its own: one without batches, or whose writer asks for it."""
        with self.connection.transaction():
            locks.fence(self.connection, self.holder)
            self.lock_writes()
            self.complete()

    def complete(self) -> None:
        """Do what the write mode does when every batch is written, and enter it in the ledger."""
        completion = self.writer.complete()
        if completion is not None:
            number = entries.next_number(self.connection, self.delivery, "completion")
            counts = Counts(deleted=completion.deleted)
            notes = {**completion.notes, MARKED: 1} if self.target.writer.marks else completion.notes
            entry = Entry(number, 0, 0, counts, {}, notes=notes)
            entries.enter(self.connection, self.delivery, self.holder, entry, kind="completion", hash_seed=self.seed)

    def lock_writes(self) -> None:
        """Wait until no other transaction writes rows that may share keys with this delivery; find newer deliveries."""
        locks.lock_writes(self.connection, self.delivery.source, shared=self.disjoint)
        self.writer.begin(deliveries.newer(self.connection, self.delivery, same_partition=self.disjoint))

    def check_corrections(self, prepared: Prepared) -> None:
        """Raise if a correction was entered after the batch was read with the corrections of that time."""
        if self.delivery.generation == 1:
            return
        first, last = prepared.batch.span.first_record, prepared.batch.span.last_record
        if decisions.corrections(self.connection, self.delivery, first, last) != prepared.batch.corrections:
            raise LoadError(
                f"Records of batch {prepared.batch.span.batch} of {self.delivery} were corrected while it was being "
                "reloaded. The batch was not written; batches before it stay. Run it again."
            )

    def look_up(self, prepared: Prepared) -> tuple[Prepared, Counter[str]]:
        """Reject records that repeat a key, lack a parent or claim a taken value; count what is only reported."""
        if repeated := self.writer.find_repeated(prepared, self.kind):
            prepared = without_repeated(prepared, repeated, self.target, self.delivery.id, self.seed)
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
        return (
            without_rejected(prepared, broken, self.target, self.delivery.id, self.seed) if broken else prepared
        ), reported

    def write_rows(self, prepared: Prepared) -> tuple[Prepared, Written]:
        """Write the rows that are not too old; find and reject the records that the database cannot store."""
        kept = self.without_expired(prepared)
        try:
            with self.connection.transaction():
                written = self.writer.write(kept, self.kind)
                return prepared, replace(written, expired=prepared.rows.height - kept.rows.height)
        except psycopg.Error as error:
            if fault_of(error).kind != "data" or self.connection.broken:
                raise
        unstorable = self.find_unstorable(kept.rows)
        if not unstorable:
            raise LoadError(
                f"The database refuses a batch of {self.delivery} as a whole but accepts each of its records alone. "
                "Nothing of the batch was written. Check the table for a constraint or trigger that was added by hand."
            )
        broken = {record_no: [DATABASE_RULE] for record_no in unstorable}
        return self.write_rows(without_rejected(prepared, broken, self.target, self.delivery.id, self.seed))

    def without_expired(self, prepared: Prepared) -> Prepared:
        """Return the batch without the rows that are too old, after the child tables of the others were made.

        The batch of a load has its child tables, unless one was dropped since. That of a replay may lack some.
        """
        partition_by = self.target.partition_by
        if partition_by is None or prepared.rows.is_empty():
            return prepared
        kept_from = retention.kept_from(self.connection, self.delivery.source)
        rows = prepared.rows if kept_from is None else prepared.rows.filter(partition_by.is_kept(kept_from))
        periods = partition_by.periods_of(rows.get_column(partition_by.column))
        range_partitions.ensure(self.connection, self.target.table, partition_by, periods, self.target.fillfactor)
        return prepared if rows.height == prepared.rows.height else replace(prepared, rows=rows, encoded=None)

    def find_unstorable(self, rows: pl.DataFrame) -> list[int]:
        """Return the numbers of the records that the database cannot store: bisect the rows, roll back each try."""
        try:
            with self.connection.transaction(force_rollback=True):
                self.writer.store(rows)
        except psycopg.Error as error:
            if fault_of(error).kind != "data":
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
        """Put the rejected records in the quarantine, and find whether their cases are known."""
        if prepared.rejected.is_empty():
            return
        span = prepared.batch.span
        quarantine.put(
            self.connection, self.delivery, self.holder.run_id, prepared.rejected, same_partition=self.disjoint
        )
        cases.relate(self.connection, self.delivery, span.first_record, span.last_record)

    def close_corrected(self, prepared: Prepared, keys: pl.DataFrame | None) -> None:
        """Close the records of older deliveries whose keys this batch brought valid.

        Args:
            prepared: The batch.
            keys: The keys of all its records as published; None if there are none to close.
        """
        if keys is None:
            return
        rejected = prepared.rejected[REJECTED_RECORD_NO]
        valid = keys.filter(~pl.col(RECORD_NO).is_in(rejected.implode()))
        cases.close_corrected(self.connection, self.delivery, valid, same_partition=self.disjoint)

    def entry(self, prepared: Prepared, written: Written, reported: Counter[str]) -> Entry:
        """Return the ledger entry of the batch."""
        batch = prepared.batch
        rejected = len(prepared.rejected)
        rules, places = prepared.rules + reported, dict(prepared.places)
        if written.repeated:
            rules[KEY_UNIQUE] += len(written.repeated)
            places[KEY_UNIQUE] = [*places.get(KEY_UNIQUE, ()), *places_of(batch, written.repeated)][:MOST_PLACES]
        counts = Counts(
            read=batch.read,
            rejected=rejected,
            filtered=batch.filtered,
            accepted=batch.read - rejected - batch.filtered,
            produced=prepared.produced,
            inserted=written.inserted,
            updated=written.updated,
            unchanged=written.unchanged,
            duplicate=prepared.duplicate,
            deleted=written.deleted,
            skipped=batch.span.skipped,
            expired=written.expired,
        )
        return Entry(
            number=batch.span.batch,
            first_record=batch.span.first_record,
            last_record=batch.span.last_record,
            counts=counts,
            rules=dict(rules),
            confirmed=written.confirmed,
            places=places,
            notes=written.notes,
        )

    def write_entry(self, entry: Entry) -> None:
        """Write the ledger entry of the batch, then whatever `before_commit` writes."""
        entries.enter(self.connection, self.delivery, self.holder, entry, kind=self.kind, hash_seed=self.seed)
        if self.before_commit is not None:
            self.before_commit(self.connection, self.delivery, entry)

    def write_profile(self, prepared: Prepared) -> None:
        """Store the batch's part of the profile, if it has one."""
        if prepared.batch.profile is not None:
            profiles.put_part(self.connection, self.delivery, prepared.batch.span.batch, prepared.batch.profile)

    def stay_within_allowance(self, prepared: Prepared) -> None:
        """Raise if more records are rejected than the allowance."""
        if len(prepared.rejected) <= self.allowance:
            return
        total = self.delivery.manifest.records
        consent = self.delivery.manifest.consent(self.target.max_rejected)
        worst = ", ".join(f"{rule} ({number})" for rule, number in prepared.rules.most_common(5)) or "no rule"
        first = "".join(f"; first at {location}" for location in prepared.rejected["location"].head(1))
        raise TooManyRejectedError(
            f"{self.delivery}: at least {consent - self.allowance + len(prepared.rejected)} of {total} records break "
            f"rules, and max_rejected={self.target.max_rejected} consents to {consent}. Most broken in batch "
            f"{prepared.batch.span.batch}: {worst}{first}. Nothing of this batch or of later batches "
            "was written or quarantined. Inspect the records with "
            f"`{preview_command(self.delivery)}`, then correct the "
            "declaration, ask the publisher, or raise max_rejected.",
            rejected=consent - self.allowance + len(prepared.rejected),
            rules=prepared.rules,
        )
