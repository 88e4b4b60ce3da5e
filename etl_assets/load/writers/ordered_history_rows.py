"""Writes the versions of rows that one delivery brings, in an order that a column of the records decides."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from etl_assets.load.writers.base import ask_other_declarations
from etl_assets.load.writers.keyed_rows import KeyedRows
from etl_assets.postgres.tables.history_table import history_of
from etl_assets.postgres.tables.ordered_upsert import OrderedTableWriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.load.prepare import Prepared
    from etl_assets.load.writers.base import WriterContext
    from etl_assets.postgres.ledger.entries import Kind
    from etl_assets.postgres.tables.upsert import Written


class OrderedHistoryRows(KeyedRows):
    """Writes a row for each key and value of the order column, as `KeyedRows` does; then gives the versions their ends.

    Args:
        context: What it works on.
        columns: Names of the columns that count; all if empty.
    """

    table: OrderedTableWriter

    def __init__(self, context: WriterContext, columns: Sequence[str]) -> None:
        self._columns = columns
        super().__init__(replace(context, target=replace(context.target, table=history_of(context.target.table))))
        self.deleted = self.table.versions.stake

    def open_table(self) -> OrderedTableWriter:
        """See `KeyedRows.open_table`."""
        context = self.context
        return OrderedTableWriter(
            context.connection,
            context.target.table,
            context.target.schema,
            context.delivery.id,
            columns=self._columns,
            refresh_hashes=self.has_other_seeds,
        )

    def write(self, prepared: Prepared, kind: Kind) -> Written:
        """See `RowWriter.write`.

        If the delivery is reloaded, rows that stay as they are get their ends again: other columns may count now.
        """
        written = super().write(prepared, kind)
        reloads = kind == "ingest" and self.context.delivery.generation > 1
        if reloads:
            self.table.versions.stake.add(prepared.rows)
        if self.table.versions.place() and reloads and self.context.target.frozen:
            ask_other_declarations(self.context)  # by which other columns, or other rows, may decide where these end
        return written
