"""Writes the versions of rows that one delivery brings, and ends those that it no longer has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from etl_assets.errors import LoadError
from etl_assets.load.prepare import AFTER_ALL, row_hashes
from etl_assets.load.writers.base import (
    Completion,
    RowWriter,
    ask_other_declarations,
    confirmed_after,
    is_in_order,
    records_of,
)
from etl_assets.load.writers.gone_rows import UNREADABLE, enter_gone
from etl_assets.load.writers.newer_deliveries import NewerDeliveries
from etl_assets.load.writers.published_keys import PublishedKeys
from etl_assets.load.writers.shared_keys import refuse_shared_keys
from etl_assets.postgres.ledger import deliveries, entries, quarantine, valid_times
from etl_assets.postgres.ledger.entries import VERSIONS
from etl_assets.postgres.tables.absent_rows import AbsentRows
from etl_assets.postgres.tables.history_table import history_of
from etl_assets.postgres.tables.probe import Probe
from etl_assets.postgres.tables.range_partitions import Pruning
from etl_assets.postgres.tables.upsert import Written
from etl_assets.postgres.tables.versions import Edited, VersionWriter
from etl_assets.schema import RECORD_NO
from etl_assets.schema.repeated_keys import FOUND_BY_LOADER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.load.prepare import Prepared
    from etl_assets.load.writers.base import WriterContext
    from etl_assets.load.writers.history import History
    from etl_assets.postgres.ledger.entries import Kind


class HistoryRows(RowWriter):
    """Writes the versions of rows that one delivery brings.

    Args:
        context: What it works on.
        mode: The declared mode.
    """

    def __init__(self, context: WriterContext, mode: History) -> None:
        super().__init__(context)
        target = context.target
        self._compared = mode.compared(target.schema)
        self._all_count = self._compared == target.schema.names
        self._at = mode.time_of(context.delivery)
        self._versions = VersionWriter(context.connection, target.table, target.schema, context.delivery.id, self._at)
        pruning = Pruning(context.connection, target.table)
        self._probe = Probe(context.connection, target.table, target.schema, pruning, fills_table=True)
        self._other_seeds = entries.other_seeds(context.connection, context.delivery.source, context.seed)
        self._begins_table = self._versions.was_empty
        self._snapshot = mode.snapshot
        self._published = PublishedKeys(context) if mode.snapshot is not None else None
        self._decided_by: Sequence[int] = ()

    @property
    def sends_everything(self) -> bool:
        """See `RowWriter.sends_everything`."""
        return self._begins_table

    def encode(self, rows: pl.DataFrame) -> bytes:
        """See `RowWriter.encode`."""
        return self._versions.encode(rows)

    def begin(self, newer: Sequence[int]) -> None:
        """See `RowWriter.begin`. Enter the time of the delivery, if it is another one than before."""
        context = self.context
        self._versions.newer = newer
        if self._snapshot is not None:
            complete = set(deliveries.completed(context.connection, newer))
            if context.target.key_has_partition:
                complete &= set(deliveries.newer(context.connection, context.delivery, same_partition=True))
            self._decided_by = [delivery_id for delivery_id in newer if delivery_id in complete]
        if not valid_times.enter(context.connection, context.delivery, self._at):
            return
        other = valid_times.find_contradiction(
            context.connection,
            context.delivery,
            self._at,
            context.target.fingerprint,
            same_partition=context.target.key_has_partition,
        )
        if other is not None:
            raise LoadError(
                f"{context.delivery} is of {self._at:%Y-%m-%d %H:%M:%S %Z}, and delivery {other[0]}, which is "
                f"{'newer' if other[0] in newer else 'older'} by the order of deliveries, of "
                f"{other[1]:%Y-%m-%d %H:%M:%S %Z}. Nothing was written. Correct dated of the source's History, or the "
                "order: rank= of Files."
            )
        self._versions.move(self._at)

    def write(self, prepared: Prepared, kind: Kind) -> Written:
        """See `RowWriter.write`."""
        context = self.context
        if not context.target.frozen:
            refuse_shared_keys(context, prepared.rows)
        decides_alone = context.target.schema.repeated_keys in FOUND_BY_LOADER and self._snapshot is None
        if kind == "replay" and not decides_alone:
            deliveries.need_reload_of(context.connection, context.delivery)  # which decides by all of its records again
        edited = self._write_changes(prepared, kind)
        entries.confirm(context.connection, edited.merged)
        inserted, updated = edited.began, edited.changed
        unchanged = prepared.rows.height - inserted - updated
        versions = edited.added - inserted + edited.removed
        return Written(
            inserted=inserted,
            updated=updated,
            unchanged=unchanged,
            confirmed=unchanged,
            deleted=edited.removed,
            notes={VERSIONS: versions} if versions else {},
        )

    def note(self, prepared: Prepared) -> None:
        """See `RowWriter.note`. In a first load nothing can end; `complete` reads the keys if it can."""
        if self._published is not None and not self._versions.was_empty:
            self._published.add(prepared.batch)

    def complete(self) -> Completion | None:
        """See `RowWriter.complete`. End the keys that the delivery no longer has; let those go on that it has."""
        context, target, versions = self.context, self.context.target, self._versions
        if self._snapshot is None or self._published is None:
            return None
        partition = context.delivery.partition if target.key_has_partition else None
        absent = AbsentRows(
            context.connection, history_of(target.table), target.schema, context.delivery, partition, versions=True
        )
        if context.delivery.generation == 1 and not absent.any_others(versions.newer):
            return Completion()
        unreadable = self._published.add_others()
        notes: Mapping[str, int] = {UNREADABLE: unreadable} if unreadable else {}
        if not unreadable:
            absent.find(self._published.keys, versions.newer)
            notes = enter_gone(context, self._snapshot, absent)
        left = versions.ended(None if unreadable else self._published.keys)
        gone = left.clear() if unreadable else absent.keys()
        versions.stage(None)
        edited = versions.place(self._newer_deliveries(), gone=gone, left=left, later=AFTER_ALL)
        entries.confirm(context.connection, edited.merged)
        balance = edited.added + edited.gone
        return Completion(edited.gone, {**notes, VERSIONS: balance} if balance else notes)

    def store(self, rows: pl.DataFrame) -> None:
        """See `RowWriter.store`."""
        self._versions.stage(rows)
        self._versions.store()

    def _hashed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return rows that were read again with their hashes."""
        return rows.with_columns(row_hashes(rows, self._compared, self.context.seed))

    def _write_changes(self, prepared: Prepared, kind: Kind) -> Edited:
        """Write the versions that a batch, or a replay, changes."""
        context, versions, rows = self.context, self._versions, prepared.rows
        key = context.target.schema.key
        reloaded = kind == "ingest" and context.delivery.generation > 1
        left = rows.select(key).clear()
        if reloaded:
            records = records_of(prepared, context)
            quarantine.supersede(context.connection, context.delivery, *records)
            left = versions.unproduced(prepared.batch.rows.select(*key, RECORD_NO), records)
        if self._begins_table and not self._decided_by and versions.begin_if_new(rows, prepared.encoded):
            return Edited(began=rows.height, added=rows.height)
        self._begins_table = False
        own, changed = self._own_and_changed(rows, left)
        edited = Edited()
        if not (reloaded or kind == "replay" or versions.newer or self._other_seeds):
            following = changed.join(own, on=key, how="anti", maintain_order="left") if own.height else changed
            edited = versions.succeed(following)
            changed = changed.join(own, on=key, how="semi", maintain_order="left")
        left = left.join(rows, on=key, how="anti")
        if changed.height or left.height:
            versions.stage(changed)
            if self._other_seeds:
                versions.rehash(self._hashed)
            neighbours = self._newer_deliveries(prepared.batch.span.batch, confirmed_after(prepared, kind, context))
            edited += versions.place(neighbours, gone=left.clear(), left=left, later=self._standing(prepared, kind))
        self._mark_others(edited)
        return edited

    def _own_and_changed(self, rows: pl.DataFrame, left: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the keys for which the delivery has brought a version before, and the rows that may change one.

        If nothing is newer, only keys and hashes are sent of the others: their key has a current version that is equal.
        But a version has the contents of the last record of its delivery, also in columns that do not count.
        """
        key = self.context.target.schema.key
        if self._versions.newer:
            return left, rows
        found = self._probe.compare(rows, own=self.context.delivery.id)
        places = np.zeros(rows.height, dtype=bool)
        places[found.new] = places[found.differing] = True
        if not self._all_count:
            places[found.own] = True
        sent = rows if places.all() else rows.filter(places)
        if left.height:
            sent = pl.concat([sent, rows.filter(~places).join(left, on=key, how="semi")]).sort(key)
        return rows[found.own].select(key), sent

    def _standing(self, prepared: Prepared, kind: Kind) -> int:
        """Return the record after which the delivery's versions stand; those that later batches write again do not."""
        if kind == "replay":
            return 0
        return AFTER_ALL if is_in_order(prepared, self.context) else records_of(prepared, self.context)[1]

    def _newer_deliveries(self, batch: int = 0, after: int = AFTER_ALL) -> NewerDeliveries:
        return NewerDeliveries(self.context, self._hashed, self._versions.newer, self._decided_by, batch, after)

    def _mark_others(self, edited: Edited) -> None:
        """Mark the deliveries to be reloaded that may have other versions of what was changed."""
        context = self.context
        if not context.target.frozen:
            return
        if edited.changed or edited.removed or self._versions.newer:
            ask_other_declarations(context)
        if edited.removed and entries.has_other_epochs(context.connection, context.delivery, context.holder):
            deliveries.need_reload_of(context.connection, context.delivery)  # another of its records may have the key
