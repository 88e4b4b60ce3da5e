"""Writes rows by key, of which the first record of a key stays: the oldest delivery's, whenever it is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.load.writers.base import records_of
from etl_assets.load.writers.keyed_rows import KeyedRows
from etl_assets.postgres.ledger import deliveries, quarantine
from etl_assets.postgres.tables.reloading import remove_unproduced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.load.prepare import Prepared
    from etl_assets.load.writers.base import WriterContext
    from etl_assets.postgres.ledger.entries import Kind
    from etl_assets.postgres.tables.upsert import Written


class FirstRows(KeyedRows):
    """Inserts the rows whose key is new. A row that is there stays, unless it is of a newer record.

    A row always has the mark of the first record of its key that was loaded, also if others have the same contents.

    Args:
        context: What it works on.
    """

    def __init__(self, context: WriterContext) -> None:
        super().__init__(context)
        self.guard.first_stays = True

    def find_repeated(self, prepared: Prepared, kind: Kind) -> Sequence[int]:  # noqa: ARG002 -- of the contract
        """See `RowWriter.find_repeated`."""
        if self.context.target.schema.repeated_keys != "reject":
            return ()
        return self.table.find_repeated(prepared.rows)

    def write(self, prepared: Prepared, kind: Kind) -> Written:
        """See `RowWriter.write`."""
        context = self.context
        if not context.target.frozen:
            self.refuse_shared_keys(prepared)
        reloaded = kind == "ingest" and context.delivery.generation > 1
        deleted = self._remove_unproduced(prepared) if reloaded else 0
        in_order = kind == "ingest" and not reloaded and not self.guard.outranked_by
        written = self.table.write(prepared.rows, prepared.encoded, compare=in_order)
        if written.updated and context.target.schema.repeated_keys == "reject":
            self._ask_newer()  # their records repeat a key now
        return written.with_deleted(deleted)

    def _remove_unproduced(self, prepared: Prepared) -> int:
        """Delete the rows of the delivery that its records no longer yield; other deliveries may have their keys."""
        context = self.context
        first, last = records_of(prepared, context)
        deleted, _ = remove_unproduced(
            context.connection,
            context.target.table,
            context.target.schema,
            context.delivery,
            prepared.batch.rows,
            (first, last),
            None,
        )
        if deleted:
            self.ask_for_runners_up(newer_too=True)
        quarantine.supersede(context.connection, context.delivery, first, last)
        return deleted

    def _ask_newer(self) -> None:
        deliveries.need_reload(
            self.context.connection,
            self.context.delivery,
            same_partition=self.context.disjoint,
            newer_too=True,
            itself=False,
        )
