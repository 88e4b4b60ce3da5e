"""Writes rows without a key: a delivery and the number of a record identify the rows of the record.

`Append` uses it as it is; `Replace` derives from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.load.writers.base import RowWriter, records_of
from etl_assets.postgres.ledger import quarantine
from etl_assets.postgres.tables.record_ranges import RecordRanges

if TYPE_CHECKING:
    import polars as pl

    from etl_assets.load.prepare import Prepared
    from etl_assets.load.writers.base import WriterContext
    from etl_assets.postgres.ledger.entries import Kind
    from etl_assets.postgres.tables.upsert import Written


class RecordRows(RowWriter):
    """Copies the rows of a batch; if the delivery is reloaded, replaces those of the records that yield others now.

    Args:
        context: What it works on.
    """

    def __init__(self, context: WriterContext) -> None:
        super().__init__(context)
        self._rows = self.rows_in(context.target.table)

    def rows_in(self, table: str) -> RecordRanges:
        """Return what writes the rows of the delivery into a table."""
        context = self.context
        return RecordRanges(context.connection, table, context.target.schema, context.delivery.id)

    @property
    def sends_everything(self) -> bool:
        """See `RowWriter.sends_everything`."""
        return self.context.delivery.generation == 1

    def encode(self, rows: pl.DataFrame) -> bytes:
        """See `RowWriter.encode`."""
        return self._rows.encode(rows)

    def write(self, prepared: Prepared, kind: Kind) -> Written:
        """See `RowWriter.write`."""
        return self.write_into(self._rows, prepared, kind)

    def write_into(self, rows: RecordRanges, prepared: Prepared, kind: Kind) -> Written:
        """Write the rows of a batch, or of a replay, into one table."""
        if kind == "replay" or self.context.delivery.generation == 1:
            return rows.add(prepared.rows, prepared.encoded)
        self.forget_rejected(prepared, kind)
        return rows.replace(prepared.rows, records_of(prepared, self.context))

    def forget_rejected(self, prepared: Prepared, kind: Kind) -> None:
        """Supersede what an earlier generation of the delivery rejected of the batch, if the delivery is reloaded."""
        if kind == "ingest" and self.context.delivery.generation > 1:
            first, last = records_of(prepared, self.context)
            quarantine.supersede(self.context.connection, self.context.delivery, first, last)

    def store(self, rows: pl.DataFrame) -> None:
        """See `RowWriter.store`."""
        self._rows.add(rows)
