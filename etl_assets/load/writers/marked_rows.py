"""Writes the rows of a delivery that is the whole of its scope, and marks those that it no longer has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.load.writers.base import Completion
from etl_assets.load.writers.gone_rows import UNREADABLE, enter_gone
from etl_assets.load.writers.snapshot_rows import SnapshotRows
from etl_assets.postgres.ledger import completions, deliveries
from etl_assets.postgres.tables.marking import UnmarkedRows, mark_keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    import polars as pl

    from etl_assets.load.writers.base import WriterContext
    from etl_assets.load.writers.snapshot import Snapshot
    from etl_assets.postgres.tables.upsert import Protect, Written


class MarkedSnapshotRows(SnapshotRows):
    """Writes the rows of one delivery that is the whole of its scope, as `Upsert`, and marks the rows that are gone.

    The mark of a row is the time of the completed delivery after the last one that has its key. A delivery that is
    completed, in whatever order, changes only the marks next to its own place in the order, so that the marks are
    always those of the deliveries that are complete. Only for a key that a delivery had and no longer has, older
    deliveries must say again whether they have it.

    Args:
        context: What it works on.
        mode: The declared mode.
    """

    def __init__(self, context: WriterContext, mode: Snapshot) -> None:
        super().__init__(context, mode)
        self._newer: Sequence[tuple[int, datetime]] = ()

    def begin(self, newer: Sequence[int]) -> None:
        """See `RowWriter.begin`."""
        self.guard.outranked_by = newer
        context = self.context
        self._newer = completions.newer(context.connection, context.delivery, same_partition=self._of_partition)

    def write_table(
        self,
        rows: pl.DataFrame,
        encoded: bytes | None = None,
        *,
        protect: Protect | None,
        compare: bool,
        reload: bool = False,
    ) -> Written:
        """See `KeyedRows.write_table`. A late row of a new key is marked, unless the newest delivery rejected the key.

        No newer delivery has a valid record of the key, or the table would have its row.
        """
        missing = self.table.missing_keys(rows) if self._newer else None
        written = super().write_table(rows, encoded, protect=protect, compare=compare, reload=reload)
        if missing is not None:
            target = self.context.target
            for keys, at in self._marks_of(missing):
                if at is not None and keys.height:
                    mark_keys(self.context.connection, target.table, target.schema, keys, at)
        return written

    def complete(self) -> Completion:
        """See `RowWriter.complete`."""
        context = self.context
        absent = self._absent(UnmarkedRows)
        if context.delivery.generation == 1 and not absent.any_others(self.guard.outranked_by):
            return Completion()
        unreadable = self._published.add_others()
        newer = [at for _, at in self._newer]
        absent.move_on(newer, None if unreadable else self._published.keys)
        if unreadable:
            return Completion(notes={UNREADABLE: unreadable})
        notes: Mapping[str, int] = {}
        if newer:
            absent.find_marked(self._published.keys, newer[0])
        else:
            absent.find(self._published.keys, self.guard.outranked_by)
            notes = enter_gone(context, self._mode, absent)
        if deliveries.completed(context.connection, [context.delivery.id]):
            self._mark_lost(absent)
        else:
            absent.mark()
        return Completion(absent.number, notes)

    def _mark_lost(self, absent: UnmarkedRows) -> None:
        """Mark rows whose key the delivery had when it was complete before; ask older ones that may have the key."""
        context = self.context
        older = completions.older(context.connection, context.delivery, same_partition=self._of_partition)
        deliveries.need_reload_of_some(context.connection, absent.mark_since_last(older))

    def _marks_of(self, missing: pl.DataFrame) -> Iterator[tuple[pl.DataFrame, datetime | None]]:
        """Yield some keys that the table lacked, and their mark: of the delivery after the last that rejected them."""
        schema, keys = self.context.target.schema, self.context.target.keys
        after: datetime | None = None
        for id_, at in reversed(self._newer):
            if keys is None or missing.is_empty():
                break
            rejected, unreadable = keys.of_delivery(self.context.connection, id_)
            if not unreadable.is_empty():
                yield missing, after
                return
            yield missing.join(rejected, on=schema.key, how="semi"), after
            missing = missing.join(rejected, on=schema.key, how="anti")
            after = at
        yield missing, self._newer[0][1]
