"""`History`: every state that a row has had, and from when to when; the slowly changing dimension of type 2."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from etl_assets.errors import DeclarationError, LoadError
from etl_assets.load.prepare import AFTER_ALL, row_hashes
from etl_assets.load.writers.base import (
    Completion,
    RowWriter,
    Writer,
    ask_other_declarations,
    confirmed_after,
    is_in_order,
    records_of,
)
from etl_assets.load.writers.gone_rows import UNREADABLE, enter_gone
from etl_assets.load.writers.published_keys import PublishedKeys
from etl_assets.load.writers.shared_keys import refuse_shared_keys
from etl_assets.postgres.ledger import deliveries, entries, quarantine, valid_times
from etl_assets.postgres.ledger.entries import VERSIONS
from etl_assets.postgres.tables.absent_rows import AbsentRows
from etl_assets.postgres.tables.history_table import OF_VERSIONS, ensure_history, history_of
from etl_assets.postgres.tables.probe import Probe
from etl_assets.postgres.tables.upsert import Written
from etl_assets.postgres.tables.versions import END, HASH, Edited, VersionWriter
from etl_assets.schema import DELIVERY_ID, RECORD_NO, ROW_HASH
from etl_assets.schema.repeated_keys import FOUND_BY_LOADER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from etl_assets.load.prepare import Prepared
    from etl_assets.load.writers.base import WriterContext
    from etl_assets.load.writers.snapshot import Snapshot
    from etl_assets.model.delivery import Delivery
    from etl_assets.model.partitions import Partitioning
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.entries import Kind
    from etl_assets.postgres.tables.ddl import Extension
    from etl_assets.schema import PartitionBy, Schema

_ENDS = "#ends"
_RECORD = "#record"


@dataclass(frozen=True)
class History(Writer):
    """Keeps every version of a row: a delivery that has other contents for a key ends a version and begins another.

    ``core.NAME`` is a view of the current versions, ``core.NAME_history`` the table of all of them, and the function
    ``core.NAME_as_of(timestamptz)`` returns those of a moment. A version is valid from the time of the delivery that
    brought it, ``_valid_from``, to that of the first delivery that brought another one, ``_valid_to``.

    Attributes:
        columns: The columns that count: others keep, in each version, the values that the version began with. If
            empty, all columns count.
        snapshot: Whether each delivery is the whole of its source or partition: what it no longer has ends, as far as
            this `Snapshot` consents. None if keys that are missing stay.
        dated: Returns the time of a delivery, for the key of its partition, or without partitions for the name of its
            file. A date means its midnight in UTC. By default the time is when the delivery was fetched.
    """

    columns: tuple[str, ...] = ()
    snapshot: Snapshot | None = None
    dated: Callable[[str], date] | None = None

    can_partition = False

    @property
    def extension(self) -> Extension:
        """See `Writer.extension`."""
        return OF_VERSIONS

    @property
    def deletes(self) -> bool:
        """See `Writer.deletes`."""
        return self.snapshot is not None

    @property
    def identity(self) -> str:
        """See `Writer.identity`; the code of ``dated`` is another part of the fingerprint."""
        return f"History {self.columns!r} {self.deletes} {getattr(self.dated, '__qualname__', '')}"

    def check(self, schema: Schema, partitions: Partitioning | None, where: str) -> None:
        """See `Writer.check`."""
        if schema.order_by is not None:
            problem = "is History, whose versions follow the deliveries, and the schema has order_by"
            raise DeclarationError(where, "write", problem, "Leave order_by out")
        if schema.claims:
            problem = "is History, in which former versions keep their values, and the schema has unique values"
            raise DeclarationError(where, "write", problem, "Leave unique out, or add the columns to the key")
        if schema.repeated_keys == "reject":
            problem = "is History, and repeated_keys='reject' compares records with rows"
            raise DeclarationError(where, "write", problem, "Write 'reject_all', 'first', 'last' or 'report'")
        if unknown := [name for name in self.columns if name not in schema.names]:
            raise DeclarationError(where, "write", f"has no column {unknown[0]!r}", "Name declared columns")
        if taken := [name for name in OF_VERSIONS.columns if name in schema.names]:
            raise DeclarationError(where, "write", f"needs the name {taken[0]!r}", "Name the column otherwise")
        if self.snapshot is not None:
            self.snapshot.check(schema, partitions, where)
            if self.snapshot.mark:
                problem = "is History of a Snapshot that marks rows, and versions that end need no mark"
                raise DeclarationError(where, "write", problem, "Leave mark=True out")
        if partitions is not None and partitions.column is None and self.dated is None:
            problem = "is History, and partitions may be fetched in another order than that of their times"
            raise DeclarationError(where, "write", problem, "Write dated=, a function of the key of a partition")

    def stored_in(self, table: str) -> str:
        """See `Writer.stored_in`."""
        return history_of(table)

    def ensure_table(
        self, connection: Connection, table: str, schema: Schema, partition_by: PartitionBy | None = None
    ) -> None:
        """See `Writer.ensure_table`; also makes the view and the function. The table is never partitioned."""
        del partition_by
        ensure_history(connection, table, schema)

    def explain(self, notes: Mapping[str, int]) -> list[str]:
        """See `Writer.explain`."""
        return [] if self.snapshot is None else self.snapshot.explain(notes)

    def open(self, context: WriterContext) -> HistoryRows:
        """See `Writer.open`."""
        return HistoryRows(context, self)

    def compared(self, schema: Schema) -> tuple[str, ...]:
        """See `Writer.compared`."""
        return tuple(name for name in schema.names if not self.columns or name in {*self.columns, *schema.key})

    def time_of(self, delivery: Delivery) -> datetime:
        """Return the time of a delivery.

        Raises:
            LoadError: If ``dated`` raises, or returns no time.
        """
        if self.dated is None:
            return delivery.fetched_at
        name = delivery.partition or delivery.manifest.name
        try:
            at: object = self.dated(name)
        except Exception as error:  # a source's own Python may raise anything
            raise LoadError(
                f"dated of the source's History raises {type(error).__name__} for {delivery}, from {name!r}. Nothing "
                "was written. Correct the function."
            ) from error
        if isinstance(at, datetime) and at.tzinfo is not None:
            return at
        if isinstance(at, date) and not isinstance(at, datetime):
            return datetime.combine(at, time(), UTC)
        raise LoadError(
            f"dated of the source's History returns {type(at).__name__} without a time zone for {delivery}. Nothing "
            "was written. Let it return a date, or a datetime with a time zone."
        )


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
        self._probe = Probe(context.connection, target.table, target.schema)
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
        own, changed = self._own_and_changed(rows, prepared, left)
        edited = Edited()
        if not (reloaded or kind == "replay" or versions.newer or self._other_seeds):
            versions.stage(changed.join(own, on=key, how="anti", maintain_order="left"))
            edited = versions.succeed()
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

    def _own_and_changed(
        self, rows: pl.DataFrame, prepared: Prepared, left: pl.DataFrame
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the keys for which the delivery has brought a version before, and the rows that may change one.

        If nothing is newer, only keys and hashes are sent of the others: their key has a current version that is equal.
        But a version has the contents of the last record of its delivery, also in columns that do not count.
        """
        key, versions = self.context.target.schema.key, self._versions
        if versions.newer:
            return left, rows
        found = self._probe.compare(rows)
        places = np.zeros(rows.height, dtype=bool)
        places[found.new] = places[found.differing] = True
        own = left
        if prepared.batch.span.first_record > 1 or self.context.delivery.generation > 1:
            own = versions.own_keys(rows.filter(places) if self._all_count else rows)
        again = left if self._all_count else pl.concat([own, left])
        sent = pl.concat([rows.filter(places), rows.filter(~places).join(again, on=key, how="semi")])
        return own, sent.sort(key)

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


class NewerDeliveries:
    """What newer deliveries, which are loaded, say of keys whose versions are about to change; see `Neighbours`.

    Args:
        context: Of the delivery that is written.
        hashed: Returns rows with the hashes of the columns that count.
        newer: Ids of the newer deliveries, the oldest first.
        decided_by: Those of them that are the whole of the scope.
        batch: Number of the batch.
        after: Records of the delivery after this one, which are already written, count as newer.
    """

    def __init__(
        self,
        context: WriterContext,
        hashed: Callable[[pl.DataFrame], pl.DataFrame],
        newer: Sequence[int],
        decided_by: Sequence[int],
        batch: int = 0,
        after: int = AFTER_ALL,
    ) -> None:
        self._context = context
        self._hashed = hashed
        self._places = {delivery_id: place for place, delivery_id in enumerate(newer)} | {context.delivery.id: -1}
        self._decided_by = decided_by
        self._batch = batch
        self._after = after

    def confirming(self, keys: pl.DataFrame) -> pl.DataFrame:
        """See `Neighbours.confirming`. Newer deliveries are read, the oldest first, until every key is found."""
        found: list[pl.DataFrame] = []
        wanted = keys.with_columns(self._place_of_end(keys).alias(_ENDS))
        for delivery_id, confirmations in self._confirmations():
            asked = wanted.filter(pl.col(_ENDS) > self._places[delivery_id])
            if asked.height:
                found.append(self._confirmed_by(delivery_id, list(confirmations), asked))
                wanted = wanted.join(found[-1], on=self._context.target.schema.key, how="anti")
        return pl.concat(found, how="diagonal_relaxed") if found else keys.clear()

    def ending(self, keys: pl.DataFrame) -> pl.DataFrame:
        """See `Neighbours.ending`. A record that a delivery rejected has its key."""
        key, read = self._context.target.schema.key, self._context.target.keys
        wanted = keys.with_columns(self._place_of_end(keys).alias(_ENDS))
        found = [keys.clear().select(*key, pl.lit(None, dtype=pl.Int64).alias(DELIVERY_ID))]
        for delivery_id in self._decided_by:
            asked = wanted.filter(pl.col(_ENDS) > self._places[delivery_id])
            if asked.is_empty():
                continue
            if read is not None:
                rejected, unreadable = read.of_delivery(self._context.connection, delivery_id)
                asked = asked.clear() if unreadable.len() else asked.join(rejected, on=key, how="anti")
            found.append(asked.select(*key, pl.lit(delivery_id, dtype=pl.Int64).alias(DELIVERY_ID)))
            wanted = wanted.join(asked, on=key, how="anti")
        return pl.concat(found)

    def _place_of_end(self, keys: pl.DataFrame) -> pl.Series:
        """Return the place, among the newer deliveries, of the one at which each version ends or the next begins."""
        return keys[END].replace_strict(self._places, default=len(self._places), return_dtype=pl.Int64)

    def _confirmations(self) -> Iterator[tuple[int, Iterator[entries.Confirmation]]]:
        """Yield the deliveries whose entries confirmed rows, the oldest first."""
        context = self._context
        if context.target.read_confirmed is None or (len(self._places) == 1 and self._after == AFTER_ALL):
            return iter(())
        confirmations = entries.find_confirmations(
            context.connection, context.delivery, self._after, same_partition=context.disjoint
        )
        known = (confirmation for confirmation in confirmations if confirmation.delivery_id in self._places)
        return groupby(known, lambda confirmation: confirmation.delivery_id)

    def _confirmed_by(
        self, delivery_id: int, confirmations: Sequence[entries.Confirmation], asked: pl.DataFrame
    ) -> pl.DataFrame:
        """Return the last record, of each key, by which a delivery confirms its version."""
        context, key = self._context, self._context.target.schema.key
        read = context.target.read_confirmed
        own = pl.col(RECORD_NO) > pl.col(_RECORD) if delivery_id == context.delivery.id else pl.lit(value=True)
        marks = asked.select(*key, HASH, pl.col(RECORD_NO).alias(_RECORD))
        rows = [
            self._hashed(frame).join(marks, on=key).filter((pl.col(ROW_HASH) == pl.col(HASH)) & own)
            for frame in (read(context.connection, confirmations, self._batch) if read is not None else ())
        ]
        if not rows:
            return asked.clear()
        return pl.concat(rows, how="diagonal_relaxed").sort(RECORD_NO).unique(key, keep="last")
