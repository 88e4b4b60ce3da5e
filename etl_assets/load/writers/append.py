"""`Append`: what was delivered once stays as it is; events are only added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from etl_assets.errors import DeclarationError
from etl_assets.load.writers.base import Writer
from etl_assets.load.writers.first_rows import FirstRows
from etl_assets.load.writers.record_rows import RecordRows

if TYPE_CHECKING:
    from etl_assets.load.writers.base import RowWriter, WriterContext
    from etl_assets.model.partitions import Partitioning
    from etl_assets.schema import Schema


@dataclass(frozen=True)
class Append(Writer):
    """Inserts rows and updates none.

    Without a key every row is inserted: the record itself, by delivery and number, identifies its rows. With a key, the
    first record of the key stays; `Schema.repeated_keys` says whether another one with other contents is rejected.
    A delivery that is loaded twice adds nothing.
    """

    needs_key = False
    first_stays = True
    in_turns = True

    def check(self, schema: Schema, partitions: Partitioning | None, where: str) -> None:  # noqa: ARG002 -- of the contract
        """See `Writer.check`."""
        if schema.order_by is not None:
            problem = "is Append, by which the first record of a key stays, and the schema has order_by"
            raise DeclarationError(where, "write", problem, "Leave order_by out, or write Upsert()")
        if schema.key and schema.repeated_keys not in {"report", "reject", "first"}:
            problem = f"is Append, by which the first record of a key stays, and repeated_keys={schema.repeated_keys!r}"
            raise DeclarationError(where, "write", problem, "Write 'report', 'reject' or 'first'")

    def open(self, context: WriterContext) -> RowWriter:
        """See `Writer.open`."""
        return FirstRows(context) if context.target.schema.key else RecordRows(context)
