"""Writes the rows of a snapshot of which most differ into a new table, which takes the place of the one in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from etl_assets.errors import NotSwappedError
from etl_assets.load.writers.base import Completion, ask_other_declarations
from etl_assets.load.writers.gone_rows import UNREADABLE, check_gone, enter_gone
from etl_assets.load.writers.snapshot_rows import SnapshotRows
from etl_assets.postgres.faults import fault_of
from etl_assets.postgres.ledger import locks, swaps
from etl_assets.postgres.ledger.entries import NOT_SWAPPED
from etl_assets.postgres.tables.absent_rows import AbsentRows
from etl_assets.postgres.tables.new_table import LEFT, NewTable, drop_new
from etl_assets.postgres.tables.swappable import has_more_rows, is_swappable
from etl_assets.postgres.tables.upsert import Written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from etl_assets.load.prepare import Prepared
    from etl_assets.load.writers.base import WriterContext
    from etl_assets.load.writers.snapshot import Snapshot
    from etl_assets.postgres.ledger.entries import Kind
    from etl_assets.postgres.tables.new_table import Compared


def may_swap(context: WriterContext, mode: Snapshot) -> bool:
    """Return whether the rows of a delivery may go to a new table, as far as the declaration and the delivery say.

    A delivery of a partition that is only a part of the source is written into the table: the rest would be copied.
    """
    target, delivery = context.target, context.delivery
    schema = target.schema
    return (
        mode.swap_from is not None
        and context.may_swap
        and context.open_batches is not None
        and target.frozen
        and target.replaced is None
        and target.partition_by is None
        and not (target.key_has_partition or context.disjoint or schema.claims or schema.lookups)
        and schema.repeated_keys not in {"reject", "last"}
        and delivery.generation == 1
        and delivery.manifest.records >= mode.swap_from
    )


def discard_new_table(context: WriterContext) -> None:
    """Drop the new table that an earlier load of a delivery left behind, when the delivery is read again."""
    connection, delivery = context.connection, context.delivery
    is_reload = delivery.generation > 1 and context.open_batches is not None
    if is_reload and context.target.replaced is None and locks.try_lock_new_table(connection, delivery.source):
        drop_new(connection, context.target.table)


class SwappedRows(SnapshotRows):
    """Writes the rows of one delivery that is the whole of its source.

    When a batch changes most of its rows, and nothing stands in the way, it and the later ones are copied into a new
    table; those before are merged into the table in use. With the last batch the new table gets its other rows and its
    indexes. It is put in place in a transaction of its own, when every session can see these rows. Until then the
    entries of the batches count their rows as unchanged.

    Whatever stands in the way later raises a `NotSwappedError`, and the delivery is read again as a reload.

    Args:
        context: What it works on.
        mode: The declared mode.

    Raises:
        NotSwappedError: If another writer of the same load has copied batches into a new table.
    """

    def __init__(self, context: WriterContext, mode: Snapshot) -> None:
        super().__init__(context, mode)
        if swaps.is_pending(context.connection, context.delivery):
            raise NotSwappedError(
                f"The connection of a load of {context.delivery} was lost before its new table was put in place. "
                "Nothing was put in place. Load the delivery again."
            )
        self._newer: Sequence[int] = ()
        self._is_decided = False
        self._new: NewTable | None = None
        self._others = 0
        self._first_records: dict[int, int] = {}
        self._counts: Mapping[int, Compared] | None = None
        self._gone = self._unreadable = 0
        self._is_visible = False

    @property
    def completes_apart(self) -> bool:
        """See `RowWriter.completes_apart`."""
        return self._new is not None

    @property
    def sends_everything(self) -> bool:
        """See `RowWriter.sends_everything`."""
        return self._new is not None or super().sends_everything

    def begin(self, newer: Sequence[int]) -> None:
        """See `RowWriter.begin`."""
        super().begin(newer)
        self._newer = newer

    def note(self, prepared: Prepared) -> None:
        """See `RowWriter.note`. The new table has the keys of its rows."""
        if self._new is None:
            super().note(prepared)
        else:
            self._published.add(prepared.batch, with_rows=False)

    def write(self, prepared: Prepared, kind: Kind) -> Written:
        """See `RowWriter.write`."""
        if self._new is None and not self._is_decided and not self.table.was_empty:
            self._decide(prepared)
        if self._new is not None:
            self._new.add(self.encode(prepared.rows) if prepared.encoded is None else prepared.encoded)
            self._first_records[prepared.batch.span.batch] = prepared.batch.span.first_record
            return Written(unchanged=prepared.rows.height, notes={NOT_SWAPPED: 1})
        return super().write(prepared, kind)

    def store(self, rows: pl.DataFrame) -> None:
        """See `RowWriter.store`. The new table does not show which records the table in use refuses."""
        if self._new is not None:
            raise NotSwappedError(
                f"The database refuses a record of {self.context.delivery}, for which a new table was begun. Nothing "
                "was put in place. Load the delivery again."
            )
        super().store(rows)

    def get_ready(self) -> None:
        """See `RowWriter.get_ready`."""
        if self._new is not None:
            self._is_visible = self._new.wait()

    def complete(self) -> Completion | None:
        """See `RowWriter.complete`."""
        if self._new is None:
            return super().complete()
        try:
            if self._counts is not None:
                return self._put_in_place(self._new, self._counts)
            self._counts = self._prepare(self._new)
        except psycopg.Error as error:
            if fault_of(error).kind != "data" or self.context.connection.broken:
                raise
            raise NotSwappedError(
                f"The database refuses a row of the new table of {self.context.delivery} ({type(error).__name__}). "
                "Nothing was put in place. Load the delivery again."
            ) from None
        return None

    def _decide(self, prepared: Prepared) -> None:
        """Begin a new table if most rows of a batch differ, and nothing is in the way."""
        if prepared.rows.height and self.table.mostly_changes(prepared.rows):
            self._is_decided = True
            if self._is_worth_it(prepared) and self._locks_new_table():
                context, target = self.context, self.context.target
                self._new = NewTable(context.connection, target.table, target.schema, context.delivery.id)
                self._new.create()
                self._others = swaps.last_of_others(context.connection, context.delivery)

    def _is_worth_it(self, prepared: Prepared) -> bool:
        """Return whether the rest of the delivery is long, also compared with the table, and nothing is in the way."""
        context, table = self.context, self.context.target.table
        rest = context.delivery.manifest.records - prepared.batch.span.first_record + 1
        return (
            rest >= (self._mode.swap_from or 0)
            and not self.table.refreshes_hashes
            and not swaps.are_loaded(context.connection, self._newer)
            and not swaps.had_obstacles(context.connection, context.delivery)
            and not has_more_rows(context.connection, table, 2 * rest)
            and is_swappable(context.connection, table, context.target.schema)
        )

    def _locks_new_table(self) -> bool:
        """Return whether no other delivery of the source has a new table; it has none until the session ends."""
        return locks.try_lock_new_table(self.context.connection, self.context.delivery.source)

    def _prepare(self, new: NewTable) -> Mapping[int, Compared]:
        """Make the new table what the table in use is to become; return the counts of the batches."""
        self._check_alone()
        self._unreadable = self._published.add_others()
        counts = new.compare(self._first_records)
        absent = self._absent(AbsentRows, among=LEFT)
        if not self._unreadable:
            absent.find(self._published.keys, ())
            check_gone(self.context, self._mode, absent)
        self._gone = absent.number
        any_unchanged = any(found.unchanged for found in counts.values())
        new.prepare(absent.name if absent.number else None, any_unchanged=any_unchanged)
        return counts

    def _put_in_place(self, new: NewTable, counts: Mapping[int, Compared]) -> Completion:
        """Swap the tables, or merge the new one into the one in use if sessions do not let that one go."""
        self._check_alone()
        context, notes = self.context, dict[str, int]()
        absent = self._absent(AbsentRows)
        if self._unreadable:
            notes = {UNREADABLE: self._unreadable}
        elif self._gone:
            absent.find(new, ())
            notes = dict(enter_gone(context, self._mode, absent))
        if not (self._is_visible and new.swap()):
            absent.delete()
            new.merge()
        swaps.enter_counts(context.connection, context.delivery, counts)
        if self._gone or any(found.updated for found in counts.values()):
            ask_other_declarations(context)
        return Completion(absent.number, notes)

    def _check_alone(self) -> None:
        """Raise if anything else was written into the table since the new one was begun."""
        context = self.context
        if swaps.last_of_others(context.connection, context.delivery) != self._others:
            raise NotSwappedError(
                f"Another run wrote rows of {context.target.table} while a new table was made for {context.delivery}. "
                "Nothing was put in place. Load the delivery again."
            )
