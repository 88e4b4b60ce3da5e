"""Writes the rows of a delivery that is the whole of its scope, and deletes those that it no longer has."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from etl_assets.load.writers.base import Completion
from etl_assets.load.writers.gone_rows import UNREADABLE, enter_gone
from etl_assets.load.writers.keyed_rows import KeyedRows
from etl_assets.load.writers.published_keys import PublishedKeys
from etl_assets.postgres.ledger import deliveries
from etl_assets.postgres.tables.absent_rows import AbsentRows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from etl_assets.load.prepare import Prepared
    from etl_assets.load.writers.base import WriterContext
    from etl_assets.load.writers.snapshot import Snapshot
    from etl_assets.postgres.ledger.entries import Kind
    from etl_assets.postgres.tables.upsert import Written

Absent = TypeVar("Absent", bound=AbsentRows)


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
        self._published = PublishedKeys(context)
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
            self._published.add(prepared.batch)

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

    def complete(self) -> Completion | None:
        """See `RowWriter.complete`."""
        context = self.context
        absent = self._absent(AbsentRows)
        if context.delivery.generation == 1 and not absent.any_others(self.guard.outranked_by):
            return Completion()
        unreadable = self._published.add_others()
        if context.delivery.generation > 1:
            self._ask_older()
        if unreadable:
            return Completion(notes={UNREADABLE: unreadable})
        absent.find(self._published.keys, self.guard.outranked_by)
        if self.guard.outranked_by and (protect := self.protection_from(0, 0)) is not None:
            absent.keep_confirmed(protect)
        notes = enter_gone(self.context, self._mode, absent)
        return Completion(absent.delete(), notes)

    def _absent(self, of_class: type[Absent], among: str | None = None) -> Absent:
        """Return the rows of the scope to compare with the delivery, or those that another table has of them."""
        context, target = self.context, self.context.target
        partition = context.delivery.partition if self._of_partition else None
        return of_class(context.connection, target.table, target.schema, context.delivery, partition, among=among)

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

    def _ask_older(self) -> None:
        """Mark the older deliveries to be reloaded that decided without knowing what this one publishes now.

        Those that were written since this one was complete before may have seen a part of it. And every older one may
        have a row of a key that only a record which was corrected, and is invalid still, publishes.
        """
        context = self.context
        connection, delivery, of_partition = context.connection, context.delivery, self._of_partition
        deliveries.need_reload_of_those_written_since(connection, delivery, same_partition=of_partition)
        published = self._published
        if published.corrected_unreadable or any(self.table.missing_keys(keys).height for keys in published.corrected):
            deliveries.need_reload(connection, delivery, same_partition=of_partition, newer_too=False, itself=False)
