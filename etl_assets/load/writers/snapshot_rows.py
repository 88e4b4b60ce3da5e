"""Writes the rows of a delivery that is the whole of its scope, and deletes those that it no longer has."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import polars as pl

from etl_assets.errors import TooManyDeletedError
from etl_assets.load.writers.base import Completion
from etl_assets.load.writers.keyed_rows import KeyedRows
from etl_assets.model.batch import REJECTED_RECORD_NO, REJECTED_RULES
from etl_assets.model.rule import KEY_UNIQUE
from etl_assets.postgres.ledger import deletions, deliveries, references
from etl_assets.postgres.tables.absent_rows import AbsentRows
from etl_assets.postgres.tables.key_lists import KeyList
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.load.prepare import Prepared
    from etl_assets.load.writers.base import WriterContext
    from etl_assets.load.writers.snapshot import Snapshot
    from etl_assets.model.batch import Batch
    from etl_assets.postgres.ledger.entries import Kind
    from etl_assets.postgres.tables.upsert import Written

Absent = TypeVar("Absent", bound=AbsentRows)
UNREADABLE = "unreadable_keys"
"""The note of a completion: how many records have a key that cannot be read, so that nothing was deleted."""
ORPHANED = "orphaned_rows"
"""The note of a completion: how many rows of other tables refer to rows that were deleted."""


class SnapshotRows(KeyedRows):
    """Writes the rows of one delivery that is the whole of its scope.

    Newer deliveries of the scope that are loaded decide which keys the table has: a late one brings no key back.

    Args:
        context: What it works on.
        mode: The declared mode.
    """

    def __init__(self, context: WriterContext, mode: Snapshot) -> None:
        super().__init__(context)
        self._mode = mode
        self._of_partition = context.target.key_has_partition
        self._published = KeyList(
            context.connection, "etl_published", context.target.table, context.target.schema, at_commit="PRESERVE ROWS"
        )
        self._noted: dict[int, int] = {}
        self._corrected_keys: list[pl.DataFrame] = []
        self._corrected_unreadable = False
        self._decided_by: Sequence[int] = ()

    def begin(self, newer: Sequence[int]) -> None:
        """See `RowWriter.begin`."""
        super().begin(newer)
        connection, delivery = self.context.connection, self.context.delivery
        of_scope = deliveries.newer(connection, delivery, same_partition=True) if self._of_partition else newer
        self._decided_by = deliveries.completed(connection, of_scope)

    def note(self, prepared: Prepared) -> None:
        """See `RowWriter.note`. In a first load there is nothing to delete; `complete` reads the keys if there is."""
        if not self.table.was_empty:
            self._note(prepared.batch)

    def write(self, prepared: Prepared, kind: Kind) -> Written:
        """See `RowWriter.write`."""
        if kind == "replay":  # the keys of the delivery may be others now
            deliveries.need_reload_of(self.context.connection, self.context.delivery)
        if not self._decided_by:
            return super().write(prepared, kind)
        rows = self._wanted(prepared.rows)
        written = super().write(replace(prepared, rows=rows, encoded=None), kind)
        gone = prepared.rows.height - rows.height
        return replace(written, unchanged=written.unchanged + gone, confirmed=written.confirmed + gone)

    def complete(self) -> Completion:
        """See `RowWriter.complete`."""
        context = self.context
        absent = self._absent(AbsentRows)
        if context.delivery.generation == 1 and not absent.any_others(self.guard.outranked_by):
            return Completion()
        unreadable = self._note_others()
        if context.delivery.generation > 1:
            self._ask_older()
        if unreadable:
            return Completion(notes={UNREADABLE: unreadable})
        absent.find(self._published, self.guard.outranked_by)
        if self.guard.outranked_by and (protect := self.protection_from(0, 0)) is not None:
            absent.keep_confirmed(protect)
        notes = self._enter(absent)
        return Completion(absent.delete(), notes)

    def _absent(self, of_class: type[Absent]) -> Absent:
        """Return the rows of the scope to compare with the delivery."""
        context, target = self.context, self.context.target
        partition = context.delivery.partition if self._of_partition else None
        return of_class(context.connection, target.table, target.schema, context.delivery, partition)

    def _enter(self, absent: AbsentRows) -> Mapping[str, int]:
        """Enter the rows that are to go, if they may; return the notes of the completion."""
        context, target = self.context, self.context.target
        orphaned = references.count_referring(context.connection, target.table, absent.name) if absent.number else 0
        self._brake(absent, orphaned)
        deletions.enter(context.connection, context.delivery, target.schema, absent.name)
        return {ORPHANED: orphaned} if orphaned else {}

    def _wanted(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows whose key the table has, or that every newer delivery rejected; the others are gone."""
        missing = self.table.missing_keys(rows)
        if missing.is_empty():
            return rows
        schema, keys = self.context.target.schema, self.context.target.keys
        for delivery_id in self._decided_by:
            if keys is None or missing.is_empty():
                break
            rejected, unreadable = keys.of_delivery(self.context.connection, delivery_id)
            if unreadable.is_empty():
                missing_here = missing.join(rejected, on=schema.key, how="semi")
                rows = rows.join(missing.join(missing_here, on=schema.key, how="anti"), on=schema.key, how="anti")
                missing = missing_here
        return rows.sort(schema.key)

    def _note(self, batch: Batch) -> None:
        """Keep the keys of all records of a batch, and how many cannot be read."""
        target = self.context.target
        others = batch.rejected
        if target.schema.repeated_keys == "reject":  # a record that only repeats a key adds none
            others = others.filter(pl.col(REJECTED_RULES).list.eval(pl.element() != KEY_UNIQUE).list.any())
        self._published.add(batch.rows)
        unreadable = others[REJECTED_RECORD_NO]
        if others.height and target.keys is not None:
            keys, unreadable = target.keys.of_batch(batch.raw, unreadable)
            self._published.add(keys)
            corrected = list(batch.corrections)
            self._corrected_keys.append(keys.filter(pl.col(RECORD_NO).is_in(corrected)))
            self._corrected_unreadable |= unreadable.is_in(corrected).any()
        self._noted[batch.span.batch] = unreadable.len()

    def _note_others(self) -> int:
        """Read the keys of the batches that other runs wrote; return how many keys of the delivery are unreadable."""
        lacking = {span.batch for span in self.context.delivery.manifest.spans} - set(self._noted)
        if lacking and self.context.open_batches is not None:
            for batch in self.context.open_batches(frozenset(self._noted)):
                self.context.connection.execute("SELECT")
                self._note(batch)
        return sum(self._noted.values())

    def _ask_older(self) -> None:
        """Mark the older deliveries to be reloaded that decided without knowing what this one publishes now.

        Those that were written since this one was complete before may have seen a part of it. And every older one may
        have a row of a key that only a record which was corrected, and is invalid still, publishes.
        """
        context = self.context
        connection, delivery, of_partition = context.connection, context.delivery, self._of_partition
        deliveries.need_reload_of_those_written_since(connection, delivery, same_partition=of_partition)
        if self._corrected_unreadable or any(self.table.missing_keys(keys).height for keys in self._corrected_keys):
            deliveries.need_reload(connection, delivery, same_partition=of_partition, newer_too=False, itself=False)

    def _brake(self, absent: AbsentRows, orphaned: int) -> None:
        """Raise if the delivery would delete more rows than the mode or a person consents to."""
        if self.context.accept_deletes or not absent.number:
            return
        delivery, mode = self.context.delivery, self._mode
        consent = int(mode.max_deleted * absent.compared)
        problem = ""
        if self.context.target.frozen and not delivery.manifest.records:
            problem = f"has no records, and the table has {absent.compared} rows"
        elif orphaned and mode.referenced == "refuse":
            problem = (
                f"no longer has {absent.number} of {absent.compared} rows, and {orphaned} rows of other tables refer "
                "to them"
            )
        elif absent.number > consent:
            problem = (
                f"does not have the keys of {absent.number} of {absent.compared} rows; "
                f"max_deleted={mode.max_deleted} consents to {consent}"
            )
        if not problem:
            return
        done = "marked as deleted" if mode.mark else "deleted"
        consented = f"consent with `etl-assets run {delivery.source} --accept-deletes`, or accept_deletes in Dagster"
        if not self.context.target.frozen:
            consented = "raise max_deleted of the Snapshot in metadata 'write' of the asset"
        raise TooManyDeletedError(
            f"{delivery} {problem}. The first keys that are gone: {absent.first_keys()}. Nothing was {done}, and the "
            f"last batch of the delivery was not written. Look at the delivery. If the rows are to go, {consented}."
        )
