"""Writes rows by key, of which the first record of a key stays: the oldest delivery's, whenever it is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.load.writers.keyed_rows import KeyedRows
from etl_assets.postgres.ledger import deliveries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.load.prepare import Prepared
    from etl_assets.load.writers.base import WriterContext
    from etl_assets.postgres.ledger.entries import Kind
    from etl_assets.postgres.tables.upsert import Protect, Written


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
        return self.table.find_repeated(self.whole_rows(prepared))

    def protection(self, prepared: Prepared, kind: Kind) -> Protect | None:  # noqa: ARG002 -- of the contract
        """Return None: what a newer record confirmed gives way to an older one."""
        return None

    def compares(self, kind: Kind) -> bool:
        """Return whether the batch comes in order, so that equal rows of the table have the mark of an older record."""
        return kind == "ingest" and self.context.delivery.generation == 1 and not self.guard.outranked_by

    def claim_keys(self, prepared: Prepared, written: Written) -> None:  # noqa: ARG002 -- of the contract
        """Ask newer deliveries whose row an older one has taken over to be read again: their records repeat a key."""
        if written.updated:
            deliveries.need_reload(
                self.context.connection,
                self.context.delivery,
                same_partition=self.context.disjoint,
                newer_too=True,
                itself=False,
            )
