"""`Append`: the table has every valid row of every delivery, as events have no key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from etl_assets.errors import DeclarationError
from etl_assets.load.writers.base import Writer
from etl_assets.load.writers.record_rows import RecordRows
from etl_assets.postgres.tables.ddl import ensure_table

if TYPE_CHECKING:
    from etl_assets.load.writers.base import WriterContext
    from etl_assets.model.partitions import Partitioning
    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Schema


@dataclass(frozen=True)
class Append(Writer):
    """Inserts every row. The schema has no key: the record itself, by delivery and number, identifies its rows.

    A delivery that is loaded twice adds nothing.
    """

    needs_key = False

    def check(self, schema: Schema, partitions: Partitioning | None, where: str) -> None:  # noqa: ARG002 -- of the contract
        """See `Writer.check`."""
        if schema.key or schema.order_by is not None:
            problem = "is Append, which keeps every row, and the schema has a key or order_by"
            raise DeclarationError(where, "write", problem, "Leave key and order_by out, or write Upsert()")

    def ensure_table(self, connection: Connection, table: str, schema: Schema) -> None:
        """See `Writer.ensure_table`."""
        ensure_table(connection, table, schema)

    def open(self, context: WriterContext) -> RecordRows:
        """See `Writer.open`."""
        return RecordRows(context)
