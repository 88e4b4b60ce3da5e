"""`History`: every state that a row has had, and from when to when; the slowly changing dimension of type 2."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from etl_assets.errors import DeclarationError, LoadError
from etl_assets.load.prepare import AFTER_ALL
from etl_assets.load.writers.base import RowWriter, Writer, records_of
from etl_assets.postgres.ledger import deliveries, entries, quarantine, valid_times
from etl_assets.postgres.ledger.entries import VERSIONS
from etl_assets.postgres.tables.history_table import OF_VERSIONS, ensure_history, history_of
from etl_assets.postgres.tables.probe import Probe
from etl_assets.postgres.tables.upsert import Written
from etl_assets.postgres.tables.versions import END, HASH, Edited, VersionWriter
from etl_assets.schema import DELIVERY_ID, RECORD_NO, ROW_HASH
from etl_assets.schema.repeated_keys import FOUND_BY_LOADER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from etl_assets.load.prepare import Prepared
    from etl_assets.load.writers.base import WriterContext
    from etl_assets.model.delivery import Delivery
    from etl_assets.model.partitions import Partitioning
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.entries import Kind
    from etl_assets.schema import Schema

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
        dated: Returns the time of a delivery, for the key of its partition, or without partitions for the name of its
            file. A date means its midnight in UTC. By default the time is when the delivery was fetched.
    """

    columns: tuple[str, ...] = ()
    dated: Callable[[str], date] | None = None

    extension = OF_VERSIONS

    @property
    def identity(self) -> str:
        """See `Writer.identity`; the code of ``dated`` is another part of the fingerprint."""
        return f"History {self.columns!r} {getattr(self.dated, '__qualname__', '')}"

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
        if partitions is not None and partitions.column is None and self.dated is None:
            problem = "is History, and partitions may be fetched in another order than that of their times"
            raise DeclarationError(where, "write", problem, "Write dated=, a function of the key of a partition")

    def stored_in(self, table: str) -> str:
        """See `Writer.stored_in`."""
        return history_of(table)

    def ensure_table(self, connection: Connection, table: str, schema: Schema) -> None:
        """See `Writer.ensure_table`; also makes the view and the function."""
        ensure_history(connection, table, schema)

    def open(self, context: WriterContext) -> HistoryRows:
        """See `Writer.open`."""
        return HistoryRows(context, self)

    def compared(self, schema: Schema) -> tuple[str, ...]:
        """Return the names of the columns that count."""
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

    @property
    def sends_everything(self) -> bool:
        """See `RowWriter.sends_everything`."""
        return self._begins_table

    def encode(self, rows: pl.DataFrame) -> bytes:
        """See `RowWriter.encode`."""
        return self._versions.encode(self._hashed(rows))

    def begin(self, newer: Sequence[int]) -> None:
        """See `RowWriter.begin`. Enter the time of the delivery, if it is another one than before."""
        context = self.context
        self._versions.newer = newer
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
        if kind == "replay" and context.target.schema.repeated_keys not in FOUND_BY_LOADER:
            deliveries.need_reload_of(context.connection, context.delivery)  # which decides between its records again
        rows = self._hashed(prepared.rows)
        edited = self._write_changes(rows, prepared, kind)
        entries.confirm(context.connection, edited.merged)
        inserted, updated = edited.began, edited.changed
        unchanged = rows.height - inserted - updated
        versions = edited.added - inserted + edited.removed
        return Written(
            inserted=inserted,
            updated=updated,
            unchanged=unchanged,
            confirmed=unchanged,
            deleted=edited.removed,
            notes={VERSIONS: versions} if versions else {},
        )

    def store(self, rows: pl.DataFrame) -> None:
        """See `RowWriter.store`."""
        self._versions.stage(self._hashed(rows))
        self._versions.store()

    def _hashed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return rows with hashes of the columns that count, for those of all columns."""
        return rows if self._all_count else self._hashed_anew(rows)

    def _hashed_anew(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return rows with hashes of the columns that count."""
        hashes = rows.select(self._compared).hash_rows(self.context.seed).reinterpret(signed=True)
        return rows.with_columns(hashes.alias(ROW_HASH))

    def _write_changes(self, rows: pl.DataFrame, prepared: Prepared, kind: Kind) -> Edited:
        """Write the versions that a batch, or a replay, changes."""
        context, versions, key = self.context, self._versions, self.context.target.schema.key
        reloaded = kind == "ingest" and context.delivery.generation > 1
        left = rows.select(key).clear()
        if reloaded:
            records = records_of(prepared, context)
            quarantine.supersede(context.connection, context.delivery, *records)
            left = versions.unproduced(prepared.batch.rows.select(*key, RECORD_NO), records)
        if self._begins_table and versions.begin_if_new(rows, prepared.encoded):
            return Edited(began=rows.height, added=rows.height)
        self._begins_table = False
        changed = rows[self._differing(rows, prepared, left)]
        edited = Edited()
        if not (reloaded or kind == "replay" or versions.newer or self._other_seeds):
            own = versions.own_keys(changed) if prepared.batch.span.first_record > 1 else left
            versions.stage(changed.join(own, on=key, how="anti", maintain_order="left"))
            edited = versions.succeed()
            changed = changed.join(own, on=key, how="semi", maintain_order="left")
        left = left.join(rows, on=key, how="anti")
        if changed.height or left.height:
            versions.stage(changed)
            if self._other_seeds:
                versions.rehash(self._hashed_anew)
            neighbours = NewerDeliveries(context, self._hashed_anew, versions.newer, prepared, kind)
            edited += versions.place(neighbours, gone=left.clear(), left=left, pending=self._pending(prepared, kind))
        self._mark_others(edited)
        return edited

    def _differing(self, rows: pl.DataFrame, prepared: Prepared, left: pl.DataFrame) -> np.ndarray:
        """Return the places of the rows that may change a version.

        Nothing needs to be sent of the others: their key has a current version with the same hash. A version has the
        contents of the last record of its delivery. So if not all columns count, a later batch may change those of an
        equal version.
        """
        first = prepared.batch.span.first_record == 1 and self.context.delivery.generation == 1
        if self._versions.newer or not (first or self._all_count):
            return np.arange(rows.height)
        found = self._probe.compare(rows)
        again = rows.with_row_index("#place").join(left, on=self.context.target.schema.key, how="semi")["#place"]
        return np.unique(np.concatenate([found.new, found.differing, again.to_numpy()]))

    def _pending(self, prepared: Prepared, kind: Kind) -> int:
        """Return the record after which the delivery's versions will be written again."""
        if kind == "replay" or self.context.delivery.generation == 1:
            return AFTER_ALL
        first, last = records_of(prepared, self.context)
        written = entries.find(self.context.connection, self.context.delivery).values()
        return last if all(entry.last_record < first for entry in written) else AFTER_ALL

    def _mark_others(self, edited: Edited) -> None:
        """Mark the deliveries to be reloaded that may have other versions of what was changed."""
        context = self.context
        if not context.target.frozen:
            return
        if edited.changed or edited.removed or self._versions.newer:
            deliveries.need_reload_of_those_read_otherwise(
                context.connection, context.delivery, context.target.fingerprint, same_partition=context.disjoint
            )
        if edited.removed and entries.has_other_epochs(context.connection, context.delivery, context.holder):
            deliveries.need_reload_of(context.connection, context.delivery)  # another of its records may have the key


class NewerDeliveries:
    """What newer deliveries, which are loaded, say of keys whose versions are about to change; see `Neighbours`.

    Args:
        context: Of the delivery that is written.
        hashed: Returns rows with the hashes of the columns that count.
        newer: Ids of the newer deliveries, the oldest first.
        prepared: The batch, or the replay.
        kind: Which of both.
    """

    def __init__(
        self,
        context: WriterContext,
        hashed: Callable[[pl.DataFrame], pl.DataFrame],
        newer: Sequence[int],
        prepared: Prepared,
        kind: Kind,
    ) -> None:
        self._context = context
        self._hashed = hashed
        self._places = {delivery_id: place for place, delivery_id in enumerate(newer)} | {context.delivery.id: -1}
        self._prepared = prepared
        self._kind = kind

    def confirming(self, keys: pl.DataFrame) -> pl.DataFrame:
        """See `Neighbours.confirming`. Newer deliveries are read, the oldest first, until every key is found."""
        context, key = self._context, self._context.target.schema.key
        read, after = context.target.read_confirmed, self._after
        none = self._hashed(self._prepared.rows.clear())
        if read is None or (len(self._places) == 1 and after == AFTER_ALL):
            return none
        confirmations = entries.find_confirmations(
            context.connection, context.delivery, after, same_partition=context.disjoint
        )
        ends = keys[END].replace_strict(self._places, default=len(self._places), return_dtype=pl.Int64)
        wanted, found = keys.with_columns(ends.alias(_ENDS)), [none]
        for delivery_id, of_delivery in groupby(confirmations, lambda confirmation: confirmation.delivery_id):
            lasting = wanted.filter(pl.col(_ENDS) > self._places.get(delivery_id, len(self._places)))
            if lasting.is_empty():
                continue
            own = delivery_id == context.delivery.id
            asked = lasting.select(*key, HASH, pl.col(RECORD_NO).alias(_RECORD))
            for rows in read(context.connection, list(of_delivery), self._prepared.batch.span.batch):
                same = self._hashed(rows).join(asked, on=key).filter(pl.col(ROW_HASH) == pl.col(HASH))
                found.append(same.filter(pl.col(RECORD_NO) > pl.col(_RECORD)) if own else same)
            newest = pl.concat(found, how="diagonal_relaxed").sort(RECORD_NO).unique(key, keep="last")
            wanted, found = wanted.join(newest, on=key, how="anti"), [newest]
        return found[0] if len(found) == 1 else pl.concat(found, how="diagonal_relaxed")

    def ending(self, keys: pl.DataFrame) -> pl.DataFrame:
        """See `Neighbours.ending`. A delivery that is not the whole of its scope ends no version."""
        return keys.clear().with_columns(pl.lit(None, dtype=pl.Int64).alias(DELIVERY_ID))

    @property
    def _after(self) -> int:
        """The record of this delivery after which its records that are already written count as newer."""
        if self._kind == "replay":
            return self._prepared.batch.span.first_record
        if self._context.delivery.generation == 1:
            return AFTER_ALL
        return 0 if entries.has_gaps(self._context.connection, self._context.delivery) else AFTER_ALL
