"""The keys of all records of a delivery, also of rejected ones, which a mode that deletes compares with the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from etl_assets.model.batch import REJECTED_RECORD_NO, REJECTED_RULES
from etl_assets.model.rule import KEY_UNIQUE
from etl_assets.postgres.tables.key_lists import KeyList
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from etl_assets.load.writers.base import WriterContext
    from etl_assets.model.batch import Batch


class PublishedKeys:
    """Keeps the keys in a temporary table of the session.

    Args:
        context: What the writer of the rows works on.

    Attributes:
        keys: The temporary table.
        corrected: Keys of records that were corrected, and are invalid still.
        corrected_unreadable: Whether such a record has a key that cannot be read.
    """

    def __init__(self, context: WriterContext) -> None:
        self._context = context
        self.keys = KeyList(
            context.connection, "etl_published", context.target.table, context.target.schema, at_commit="PRESERVE ROWS"
        )
        self.corrected: list[pl.DataFrame] = []
        self.corrected_unreadable = False
        self._unreadable: dict[int, int] = {}

    def add(self, batch: Batch, *, with_rows: bool = True) -> None:
        """Add the keys of all records of a batch, or of the rejected ones, and count those that cannot be read."""
        target = self._context.target
        others = batch.rejected
        if target.schema.repeated_keys == "reject":  # a record that only repeats a key adds none
            others = others.filter(pl.col(REJECTED_RULES).list.eval(pl.element() != KEY_UNIQUE).list.any())
        if with_rows:
            self.keys.add(batch.rows)
        unreadable = others[REJECTED_RECORD_NO]
        if others.height and target.keys is not None:
            keys, unreadable = target.keys.of_batch(batch.raw, unreadable)
            self.keys.add(keys)
            corrected = list(batch.corrections)
            self.corrected.append(keys.filter(pl.col(RECORD_NO).is_in(corrected)))
            self.corrected_unreadable |= unreadable.is_in(corrected).any()
        self._unreadable[batch.span.batch] = unreadable.len()

    def add_others(self) -> int:
        """Read the keys of the batches that other runs wrote; return how many keys of the delivery are unreadable."""
        lacking = {span.batch for span in self._context.delivery.manifest.spans} - set(self._unreadable)
        if lacking and self._context.open_batches is not None:
            for batch in self._context.open_batches(frozenset(self._unreadable)):
                self._context.connection.execute("SELECT")
                self.add(batch)
        return sum(self._unreadable.values())
