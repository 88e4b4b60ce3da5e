"""Writes rows into a table of versions that a column orders, so that each is known to end where the next one begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from psycopg import errors

from etl_assets.postgres.tables.copy import copy_in, encode, wire_frame
from etl_assets.postgres.tables.history_table import VALID_TO
from etl_assets.postgres.tables.ordered_versions import OrderedVersions
from etl_assets.postgres.tables.upsert import TableWriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.tables.upsert import Protect, Written
    from etl_assets.schema import Schema


class OrderedTableWriter(TableWriter):
    """Writes rows of versions that a column orders, and lists the keys of those that it inserts or changes.

    Args:
        connection: Of the load.
        table: ``schema.table``.
        schema: Of its rows; the last column of the key is the order column.
        delivery_id: Id of the delivery that is written.
        columns: Names of the columns that count; all if empty.
        refresh_hashes: See `TableWriter`.

    Attributes:
        versions: Has the keys, and gives their versions their ends afterwards.
    """

    def __init__(
        self,
        connection: Connection,
        table: str,
        schema: Schema,
        delivery_id: int,
        *,
        columns: Sequence[str],
        refresh_hashes: bool,
    ) -> None:
        super().__init__(connection, table, schema, delivery_id, refresh_hashes=refresh_hashes)
        self.versions = OrderedVersions(connection, table, schema, columns)
        self._expect_later = not columns
        self._expect_new_keys = self.was_empty

    @property
    def sends_everything(self) -> bool:
        """Return False: whether the rows are sent with their ends is known only when they are written."""
        return False

    def _copy_if_new(self, rows: pl.DataFrame, encoded: bytes | None = None) -> bool:
        """See `TableWriter`. Rows that are later than those of the table are copied with their ends."""
        if self._expect_later and rows.height:
            try:
                with self._connection.transaction():
                    self._append(rows)
            except errors.UniqueViolation as error:
                if self._is_key(error.diag):
                    return False
                self._expect_later, self._expect_new_keys = self._expect_new_keys, False
                return self._copy_if_new(rows, encoded)
            return True
        if not super()._copy_if_new(rows, encoded):
            return False
        self.versions.stake.add(rows)
        return True

    def _append(self, rows: pl.DataFrame) -> None:
        """End the current versions of some keys, and copy rows with their ends.

        If a version of the table is later than one of the rows, it stays current, so that the copy violates the index
        of current versions.
        """
        if not self._expect_new_keys:
            self.versions.end_current(rows)
        *key, order = self._schema.key
        begins = pl.col(order)
        if not self._schema[order].type.is_instant:
            begins = begins.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        same_as_next = pl.all_horizontal(pl.col(name) == pl.col(name).shift(-1) for name in key).fill_null(value=False)
        ends = pl.when(same_as_next).then(begins.shift(-1)).alias(VALID_TO)
        columns = (*self._columns, VALID_TO)
        data = encode(wire_frame(rows.with_columns(ends).select(columns), self._schema))
        copy_in(self._connection, self._table, columns, data)

    def _merge(self, rows: pl.DataFrame, encoded: bytes | None, protect: Protect | None) -> Written:
        """See `TableWriter`."""
        self.versions.stake.add(rows)
        return super()._merge(rows, encoded, protect)
