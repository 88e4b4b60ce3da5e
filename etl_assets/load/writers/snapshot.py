"""`Snapshot`: each delivery is the whole of its source or partition, so that rows it no longer has are deleted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from etl_assets.errors import DeclarationError, TooManyDeletedError
from etl_assets.load.writers.base import Completion, Writer
from etl_assets.load.writers.keyed_rows import KeyedRows
from etl_assets.load.writers.published_keys import PublishedKeys
from etl_assets.model.partitions import Files
from etl_assets.postgres.ledger import deletions, deliveries, references
from etl_assets.postgres.tables.absent_rows import AbsentRows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from etl_assets.load.prepare import Prepared
    from etl_assets.load.writers.base import WriterContext
    from etl_assets.model.partitions import Partitioning
    from etl_assets.postgres.ledger.entries import Kind
    from etl_assets.postgres.tables.upsert import Written
    from etl_assets.schema import Schema

UNREADABLE = "unreadable_keys"
"""The note of a completion: how many records have a key that cannot be read, so that nothing was deleted."""
ORPHANED = "orphaned_rows"
"""The note of a completion: how many rows of other tables refer to rows that were deleted."""


@dataclass(frozen=True)
class Snapshot(Writer):
    """Inserts and updates like `Upsert`, and deletes the rows whose key a complete delivery no longer has.

    The row of a key stays if the record that has the key is rejected. If the key of a rejected record cannot be read,
    nothing is deleted. An empty delivery is refused, unless the table has no rows that it could delete.

    The scope of a delivery is its partition if the partitions have a ``column``, and otherwise the whole source.

    Attributes:
        max_deleted: The share of the rows, 0.0 to 1.0, that a delivery may delete. Above it the delivery is refused
            until a person consents.
        referenced: What happens if a row that is to be deleted is referred to by a row of another table: ``"report"``
            it, or ``"refuse"`` the delivery.
    """

    max_deleted: float = 0.1
    referenced: Literal["report", "refuse"] = "report"

    @property
    def deletes(self) -> bool:
        """See `Writer.deletes`."""
        return True

    @property
    def identity(self) -> str:
        """See `Writer.identity`."""
        return "Snapshot"

    def check(self, schema: Schema, partitions: Partitioning | None, where: str) -> None:
        """See `Writer.check`."""
        if not 0.0 <= self.max_deleted <= 1.0:
            raise DeclarationError(where, "max_deleted", f"{self.max_deleted} is not a share", "Write 0.0 to 1.0")
        if schema.order_by is not None:
            raise DeclarationError(
                where,
                "write",
                "is a Snapshot, whose deliveries replace one another, and the schema has order_by",
                "Leave order_by out",
            )
        if partitions is not None and partitions.column is None and not isinstance(partitions, Files):
            raise DeclarationError(
                where,
                "write",
                "is a Snapshot, and no column says to which partition a row belongs",
                "Write column= in the partitions, or leave them out",
            )

    def explain(self, notes: Mapping[str, int]) -> list[str]:
        """See `Writer.explain`."""
        texts = {
            UNREADABLE: "Nothing was deleted: the keys of {} rejected records cannot be read, and their rows would be "
            "missed. Correct these records, or the declaration.",
            ORPHANED: "{} rows of other tables refer to rows that were deleted.",
        }
        return [texts[name].format(number) for name, number in notes.items() if name in texts]

    def open(self, context: WriterContext) -> SnapshotRows:
        """See `Writer.open`."""
        return SnapshotRows(context, self)


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

    def complete(self) -> Completion:
        """See `RowWriter.complete`."""
        context, target = self.context, self.context.target
        partition = context.delivery.partition if self._of_partition else None
        absent = AbsentRows(context.connection, target.table, target.schema, context.delivery, partition)
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
        orphaned = references.count_referring(context.connection, target.table, absent.name) if absent.number else 0
        refuse_too_many(context, self._mode, absent, orphaned)
        deletions.enter(context.connection, context.delivery, target.schema, absent.name)
        deleted = absent.delete()
        return Completion(deleted, {ORPHANED: orphaned} if orphaned else {})

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


def refuse_too_many(context: WriterContext, mode: Snapshot, absent: AbsentRows, orphaned: int) -> None:
    """Raise if a delivery would delete more rows than the mode or a person consents to.

    Args:
        context: Of the delivery.
        mode: The declared mode.
        absent: The rows.
        orphaned: How many rows of other tables refer to them.

    Raises:
        TooManyDeletedError: If it would.
    """
    if context.accept_deletes or not absent.number:
        return
    delivery = context.delivery
    consent = int(mode.max_deleted * absent.compared)
    problem = ""
    number = f"{absent.number} of {absent.compared} rows"
    if context.target.frozen and not delivery.manifest.records:
        problem = f"has no records, and the table has {absent.compared} rows"
    elif orphaned and mode.referenced == "refuse":
        problem = f"no longer has {number}, and {orphaned} rows of other tables refer to them"
    elif absent.number > consent:
        problem = f"does not have the keys of {number}; max_deleted={mode.max_deleted} consents to {consent}"
    if not problem:
        return
    consented = f"consent with `etl-assets run {delivery.source} --accept-deletes`, or accept_deletes in Dagster"
    if not context.target.frozen:
        consented = "raise max_deleted of the Snapshot in metadata 'write' of the asset"
    raise TooManyDeletedError(
        f"{delivery} {problem}. The first keys that are gone: {absent.first_keys()}. Nothing was deleted, and the "
        f"last batch of the delivery was not written. Look at the delivery. If the rows are to go, {consented}."
    )
