"""`Replace`: the rows of a partition are those of its newest complete delivery, without a key."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from etl_assets.errors import DeclarationError
from etl_assets.load.writers.base import Completion, Writer
from etl_assets.load.writers.record_rows import RecordRows
from etl_assets.postgres.ledger import deliveries, retention
from etl_assets.postgres.ledger.entries import STAGED
from etl_assets.postgres.tables.staging import drop_staged, move_in, staging_of, take_over_checks
from etl_assets.postgres.tables.upsert import Written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.load.prepare import Prepared
    from etl_assets.load.writers.base import WriterContext
    from etl_assets.model.partitions import Partitioning
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.entries import Kind
    from etl_assets.schema import PartitionBy, Schema


@dataclass(frozen=True)
class Replace(Writer):
    """Replaces the rows of a partition, or of a source without partitions, when a newer delivery of it is complete.

    Until then the rows of the delivery are in a table beside, and readers see those of the one before. An empty
    delivery empties the partition. The schema has no key.
    """

    needs_key = False

    @property
    def deletes(self) -> bool:
        """See `Writer.deletes`."""
        return True

    def check(self, schema: Schema, partitions: Partitioning | None, where: str) -> None:  # noqa: ARG002 -- of the contract
        """See `Writer.check`."""
        if schema.key or schema.order_by is not None or schema.claims:
            problem = "is Replace, which compares no rows, and the schema has a key, order_by or unique values"
            remedy = "Leave them out, or write Snapshot(max_deleted=1.0), which compares rows by their key"
            raise DeclarationError(where, "write", problem, remedy)

    def ensure_table(
        self, connection: Connection, table: str, schema: Schema, partition_by: PartitionBy | None = None
    ) -> None:
        """See `Writer.ensure_table`; also makes the table beside it, which is never partitioned."""
        super().ensure_table(connection, table, schema, partition_by)
        super().ensure_table(connection, staging_of(table), schema)
        take_over_checks(connection, table)

    def open(self, context: WriterContext) -> ReplacingRows:
        """See `Writer.open`."""
        return ReplacingRows(context)


class ReplacingRows(RecordRows):
    """Writes the rows of a delivery beside the table, and moves them into it when the delivery is complete.

    A delivery that is not the newest complete one of its partition changes no row of the table.

    Args:
        context: What it works on.
    """

    def __init__(self, context: WriterContext) -> None:
        super().__init__(context)
        self._staged = self.rows_in(staging_of(context.target.table))
        self._is_moved = False
        self._is_replaced = False

    def begin(self, newer: Sequence[int]) -> None:
        """See `RowWriter.begin`."""
        del newer  # those of other partitions do not matter
        context = self.context
        own = deliveries.newer(context.connection, context.delivery, same_partition=True)
        self._is_replaced = bool(deliveries.completed(context.connection, own))
        self._is_moved = bool(deliveries.completed(context.connection, [context.delivery.id]))

    def write(self, prepared: Prepared, kind: Kind) -> Written:
        """See `RowWriter.write`."""
        if self._is_replaced:
            self.forget_rejected(prepared, kind)
            return Written(unchanged=prepared.rows.height, confirmed=prepared.rows.height)
        if self._is_moved:
            return super().write(prepared, kind)
        return replace(self.write_into(self._staged, prepared, kind), notes={STAGED: 1})

    def complete(self) -> Completion:
        """See `RowWriter.complete`."""
        connection, table, delivery = self.context.connection, self.context.target.table, self.context.delivery
        if self._is_moved:
            return Completion()
        if self._is_replaced:
            return Completion(drop_staged(connection, table, delivery))
        kept = retention.kept_condition(connection, delivery.source, self.context.target.partition_by)
        return Completion(move_in(connection, table, self.context.target.schema, delivery, kept))
