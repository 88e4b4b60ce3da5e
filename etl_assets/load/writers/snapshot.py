"""`Snapshot`: each delivery is the whole of its source or partition; rows it no longer has are deleted, or marked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from etl_assets.errors import DeclarationError
from etl_assets.load.writers.base import Writer
from etl_assets.load.writers.gone_rows import ORPHANED, UNREADABLE
from etl_assets.load.writers.marked_rows import MarkedSnapshotRows
from etl_assets.load.writers.snapshot_rows import SnapshotRows
from etl_assets.load.writers.swapped_rows import SwappedRows, discard_new_table, may_swap
from etl_assets.model.partitions import Files
from etl_assets.postgres.tables.ddl import Extension
from etl_assets.postgres.tables.marks import OF_MARKS, ensure_marked_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_assets.load.writers.base import WriterContext
    from etl_assets.model.partitions import Partitioning
    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import PartitionBy, Schema


@dataclass(frozen=True)
class Snapshot(Writer):
    """Inserts and updates like `Upsert`, and deletes the rows whose key a complete delivery no longer has.

    The row of a key stays if the record that has the key is rejected. If the key of a rejected record cannot be read,
    nothing is deleted. An empty delivery is refused, unless the table has no rows that it could delete.

    The scope of a delivery is its partition if the partitions have a ``column``, and otherwise the whole source.

    Attributes:
        max_deleted: The share of the rows, 0.0 to 1.0, that a delivery may delete. Above it the delivery is refused
            until a person consents.
        referenced: What happens if a row that is to be deleted is referred to by a row of another table: ``"report"``
            it, or ``"refuse"`` the delivery.
        mark: Whether the rows stay and are marked: the column ``_deleted_at`` has when the oldest delivery was fetched
            since which none has the key. The view ``core.<name>_current`` has the other rows.
        swap_from: From how many records on a delivery may be written into a new table that takes the place of the one
            in use; None for never. The rows are the same.
    """

    max_deleted: float = 0.1
    referenced: Literal["report", "refuse"] = "report"
    mark: bool = False
    swap_from: int | None = field(default=100_000, repr=False)

    @property
    def deletes(self) -> bool:
        """See `Writer.deletes`."""
        return True

    @property
    def marks(self) -> bool:
        """See `Writer.marks`."""
        return self.mark

    @property
    def gone_rows_are(self) -> str:
        """See `Writer.gone_rows_are`."""
        return "marked as deleted" if self.mark else "deleted"

    @property
    def extension(self) -> Extension:
        """See `Writer.extension`."""
        return OF_MARKS if self.mark else Extension()

    @property
    def identity(self) -> str:
        """See `Writer.identity`."""
        return "Snapshot(mark=True)" if self.mark else "Snapshot"

    def check(self, schema: Schema, partitions: Partitioning | None, where: str) -> None:
        """See `Writer.check`."""
        if not 0.0 <= self.max_deleted <= 1.0:
            raise DeclarationError(where, "max_deleted", f"{self.max_deleted} is not a share", "Write 0.0 to 1.0")
        if self.swap_from is not None and self.swap_from < 1:
            raise DeclarationError(
                where, "swap_from", f"{self.swap_from} is not a number of records", "Write 1 or more, or None"
            )
        if schema.order_by is not None:
            raise DeclarationError(
                where,
                "write",
                "is a Snapshot, whose deliveries replace one another, and the schema has order_by",
                "Leave order_by out",
            )
        if partitions is not None and partitions.column is None and not isinstance(partitions, Files):
            raise DeclarationError(
                where,
                "write",
                "is a Snapshot, and no column says to which partition a row belongs",
                "Write column= in the partitions, or leave them out",
            )
        if self.mark and schema.claims:
            raise DeclarationError(
                where,
                "write",
                f"is a Snapshot that marks rows, which keep their values, and {schema.claims[0].rule} lets no two rows "
                "share one",
                "Leave unique values beyond the key, or mark=True, out",
            )

    def ensure_table(
        self, connection: Connection, table: str, schema: Schema, partition_by: PartitionBy | None = None
    ) -> None:
        """See `Writer.ensure_table`; also adds the column of the marks, and the view."""
        if self.mark:
            ensure_marked_table(connection, table, schema, partition_by)
        else:
            super().ensure_table(connection, table, schema, partition_by)

    def explain(self, notes: Mapping[str, int]) -> list[str]:
        """See `Writer.explain`."""
        texts = {
            UNREADABLE: f"Nothing was {self.gone_rows_are}: the keys of {{}} rejected records cannot be read, and "
            "their rows would be missed. Correct these records, or the declaration.",
            ORPHANED: f"{{}} rows of other tables refer to rows that were {self.gone_rows_are}.",
        }
        return [texts[name].format(number) for name, number in notes.items() if name in texts]

    def open(self, context: WriterContext) -> SnapshotRows:
        """See `Writer.open`."""
        if self.mark:
            return MarkedSnapshotRows(context, self)
        if may_swap(context, self):
            return SwappedRows(context, self)
        discard_new_table(context)
        return SnapshotRows(context, self)
