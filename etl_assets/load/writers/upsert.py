"""`Upsert`: the table has the newest version of every key that was ever delivered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from etl_assets.load.writers.base import Writer
from etl_assets.load.writers.keyed_rows import KeyedRows

if TYPE_CHECKING:
    from etl_assets.load.writers.base import WriterContext


@dataclass(frozen=True)
class Upsert(Writer):
    """Inserts the rows whose key is new, and updates the others. A row stays when deliveries no longer have its key."""

    in_turns = True

    @property
    def identity(self) -> str:
        """See `Writer.identity`."""
        return ""

    def open(self, context: WriterContext) -> KeyedRows:
        """See `Writer.open`."""
        return KeyedRows(context)
