"""`Upsert`: the table has the newest version of every key that was ever delivered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from etl_assets.load.writers.base import Writer
from etl_assets.load.writers.keyed_rows import KeyedRows
from etl_assets.postgres.tables.ddl import ensure_table

if TYPE_CHECKING:
    from etl_assets.load.writers.base import WriterContext
    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Schema


@dataclass(frozen=True)
class Upsert(Writer):
    """Inserts the rows whose key is new, and updates the others. A row stays when deliveries no longer have its key."""

    @property
    def identity(self) -> str:
        """See `Writer.identity`."""
        return ""

    def ensure_table(self, connection: Connection, table: str, schema: Schema) -> None:
        """See `Writer.ensure_table`."""
        ensure_table(connection, table, schema)

    def open(self, context: WriterContext) -> KeyedRows:
        """See `Writer.open`."""
        return KeyedRows(context)
