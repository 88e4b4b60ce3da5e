"""What newer deliveries, which are loaded, say of keys whose versions are about to change."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import polars as pl

from etl_assets.load.prepare import AFTER_ALL
from etl_assets.postgres.ledger import entries
from etl_assets.postgres.tables.versions import END, HASH
from etl_assets.schema import DELIVERY_ID, RECORD_NO, ROW_HASH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from etl_assets.load.writers.base import WriterContext

_ENDS = "#ends"
_RECORD = "#record"


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
