"""Writes rows by key: of each key the table has one row, which an order of records decides.

`Upsert` uses it as it is; other modes with a key derive from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.load.confirmed import confirmed_rows
from etl_assets.load.prepare import AFTER_ALL, with_marks
from etl_assets.load.writers.base import (
    RowWriter,
    ask_other_declarations,
    confirmed_after,
    is_in_order,
    records_of,
)
from etl_assets.load.writers.shared_keys import refuse_shared_keys
from etl_assets.postgres.ledger import deliveries, entries, quarantine
from etl_assets.postgres.tables.reloading import remove_unproduced, take_over
from etl_assets.postgres.tables.upsert import TableWriter
from etl_assets.schema.repeated_keys import FOUND_BY_LOADER

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from etl_assets.load.prepare import Prepared
    from etl_assets.load.writers.base import WriterContext
    from etl_assets.postgres.ledger.entries import Kind
    from etl_assets.postgres.tables.guard import Guard
    from etl_assets.postgres.tables.key_lists import KeyList
    from etl_assets.postgres.tables.upsert import Protect, Written


class KeyedRows(RowWriter):
    """Writes the rows that are new or differ, unless the table has a newer row of their key.

    Args:
        context: What it works on.

    Attributes:
        table: Writes into the table.
        deleted: Gets the keys of rows that are deleted since the delivery no longer yields them; None if nobody needs
            them.
    """

    def __init__(self, context: WriterContext) -> None:
        super().__init__(context)
        self.table = self.open_table()
        self.deleted: KeyList | None = None

    def open_table(self) -> TableWriter:
        """Return what writes into the table."""
        context = self.context
        return TableWriter(
            context.connection,
            context.target.table,
            context.target.schema,
            context.delivery.id,
            refresh_hashes=self.has_other_seeds,
        )

    @property
    def has_other_seeds(self) -> bool:
        """Whether rows of the table may have hashes of another seed."""
        return entries.other_seeds(self.context.connection, self.context.delivery.source, self.context.seed)

    @property
    def guard(self) -> Guard:
        """The conditions under which a row is written."""
        return self.table.guard

    @property
    def sends_everything(self) -> bool:
        """See `RowWriter.sends_everything`."""
        return self.table.sends_everything

    def encode(self, rows: pl.DataFrame) -> bytes:
        """See `RowWriter.encode`."""
        return self.table.encode(rows)

    def begin(self, newer: Sequence[int]) -> None:
        """See `RowWriter.begin`."""
        self.guard.outranked_by = newer

    def find_repeated(self, prepared: Prepared, kind: Kind) -> Sequence[int]:
        """See `RowWriter.find_repeated`."""
        self.guard.earlier_than = _earlier_than(prepared, kind)
        if self.context.target.schema.repeated_keys != "reject" or self.guard.earlier_than is None:
            return ()
        return self.table.find_repeated(self.whole_rows(prepared))

    def whole_rows(self, prepared: Prepared) -> pl.DataFrame:
        """Return every row of a batch, also those that the batch itself has twice, with the bookkeeping columns."""
        context = self.context
        return with_marks(prepared.whole.rows, context.target, context.delivery.id, context.seed)

    def write(self, prepared: Prepared, kind: Kind) -> Written:
        """See `RowWriter.write`."""
        context = self.context
        if not context.target.frozen:
            refuse_shared_keys(context, prepared.rows)
        if kind == "replay" and context.target.schema.repeated_keys not in FOUND_BY_LOADER:
            deliveries.need_reload_of(context.connection, context.delivery)  # which decides between its records again
        written = self._write_changes(prepared, kind)
        if context.target.schema.repeated_keys == "reject":
            self.claim_keys(prepared, written)
        return written

    def store(self, rows: pl.DataFrame) -> None:
        """See `RowWriter.store`."""
        self.table.write(rows)

    def write_table(
        self,
        rows: pl.DataFrame,
        encoded: bytes | None = None,
        *,
        protect: Protect | None,
        compare: bool,
        reload: bool = False,
    ) -> Written:
        """Write rows into the table, after those that the delivery no longer yields were deleted; see `TableWriter`."""
        return self.table.write(rows, encoded, protect=protect, reload=reload, compare=compare)

    def compares(self, kind: Kind) -> bool:  # noqa: ARG002 -- other modes need it
        """Return whether rows with the same contents as those of the table may be left alone."""
        return True

    def claim_keys(self, prepared: Prepared, written: Written) -> None:  # noqa: ARG002 -- other modes need them
        """Mark unchanged rows as the delivery's own, so that a later batch finds every key of this one among them."""
        context = self.context
        take_over(
            context.connection, context.target.table, context.target.schema, prepared.rows, self.guard.outranked_by
        )

    def protection(self, prepared: Prepared, kind: Kind) -> Protect | None:
        """Return a function that finds rows of the table that something newer confirmed; None if nothing did.

        A confirmed row keeps the mark of the older record, so the guard cannot recognise it.
        """
        return self.protection_from(confirmed_after(prepared, kind, self.context), prepared.batch.span.batch)

    def protection_from(self, after: int, batch: int) -> Protect | None:
        """Return what `protection` returns, for a batch by its number, and the records of the delivery after one."""
        context, target = self.context, self.context.target
        read = target.read_confirmed
        if read is None or (after == AFTER_ALL and not self.guard.outranked_by):
            return None
        confirming = entries.find_confirmations(
            context.connection, context.delivery, after, same_partition=context.disjoint
        )
        if not confirming:
            return None
        schema, own, seed = target.schema, context.delivery.id, context.seed
        return lambda candidates: confirmed_rows(
            candidates, schema, own, seed, read(context.connection, confirming, batch)
        )

    def _ask_for_runners_up(self, *, newer_too: bool) -> None:
        """Mark the deliveries that must be reloaded, since they may have other versions of rows that were deleted.

        This delivery is one of them if batches of it stay as another run read them.

        Args:
            newer_too: Whether newer deliveries may have them as well as older ones.
        """
        context = self.context
        deliveries.need_reload(
            context.connection,
            context.delivery,
            same_partition=context.disjoint,
            newer_too=newer_too,
            itself=entries.has_other_epochs(context.connection, context.delivery, context.holder),
        )

    def _write_changes(self, prepared: Prepared, kind: Kind) -> Written:
        """Write the rows that are new or differ; if the delivery is reloaded, delete those it no longer yields."""
        protect = self.protection(prepared, kind)
        if self.context.delivery.generation == 1 or kind == "replay":
            written = self.write_table(prepared.rows, prepared.encoded, protect=protect, compare=self.compares(kind))
        else:
            written = self._write_reloaded(prepared, protect)
        if (written.updated or written.deleted or protect is not None) and self.context.target.frozen:
            ask_other_declarations(self.context)
        return written

    def _write_reloaded(self, prepared: Prepared, protect: Protect | None) -> Written:
        """Delete the rows of the delivery that its records no longer yield, and write those that are new or differ."""
        context = self.context
        first, last = records_of(prepared, context)
        self.guard.pending_reload = last if is_in_order(prepared, context) else None
        deleted, confirmed = remove_unproduced(
            context.connection,
            context.target.table,
            context.target.schema,
            context.delivery,
            prepared.batch.rows,
            (first, last),
            protect,
            self.deleted,
        )
        if deleted:
            newer_too = confirmed or context.target.schema.order_by is not None or self.guard.first_stays
            self._ask_for_runners_up(newer_too=newer_too)
        written = self.write_table(prepared.rows, protect=protect, reload=True, compare=self.compares("ingest"))
        quarantine.supersede(context.connection, context.delivery, first, last)
        return written.with_deleted(deleted)


def _earlier_than(prepared: Prepared, kind: Kind) -> int | None:
    """Return the record before which the delivery's rows are of earlier batches; None if there can be none."""
    if kind == "replay":
        return AFTER_ALL
    first = prepared.batch.span.first_record
    return first if first > 1 else None
