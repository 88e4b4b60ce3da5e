"""`History`: every state that a row has had, and from when to when; the slowly changing dimension of type 2."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING

from etl_assets.errors import DeclarationError, LoadError
from etl_assets.load.writers.base import (
    Writer,
)
from etl_assets.load.writers.history_rows import HistoryRows
from etl_assets.load.writers.ordered_history import OrderedHistory, check_order
from etl_assets.postgres.tables.history_table import OF_VERSIONS, ensure_history, history_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from etl_assets.load.writers.base import WriterContext
    from etl_assets.load.writers.snapshot import Snapshot
    from etl_assets.model.delivery import Delivery
    from etl_assets.model.partitions import Partitioning
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.tables.ddl import Extension
    from etl_assets.schema import PartitionBy, Schema


@dataclass(frozen=True)
class History(Writer):
    """Keeps every version of a row: a delivery that has other contents for a key ends a version and begins another.

    ``core.NAME`` is a view of the current versions, ``core.NAME_history`` the table of all of them, and the function
    ``core.NAME_as_of(timestamptz)`` returns those of a moment. A version is valid from the time of the delivery that
    brought it, ``_valid_from``, to that of the first delivery that brought another one, ``_valid_to``.

    If the schema has ``order_by``, a version is valid from its own value of that column to the next value of its key,
    whichever deliveries bring them; see `OrderedHistory`.

    Attributes:
        columns: The columns that count: others keep, in each version, the values that the version began with. If
            empty, all columns count.
        snapshot: Whether each delivery is the whole of its source or partition: what it no longer has ends, as far as
            this `Snapshot` consents. None if keys that are missing stay.
        dated: Returns the time of a delivery, for the key of its partition, or without partitions for the name of its
            file. A date means its midnight in UTC. By default the time is when the delivery was fetched.
    """

    columns: tuple[str, ...] = ()
    snapshot: Snapshot | None = None
    dated: Callable[[str], date] | None = None

    can_partition = False

    @property
    def extension(self) -> Extension:
        """See `Writer.extension`."""
        return OF_VERSIONS

    @property
    def deletes(self) -> bool:
        """See `Writer.deletes`."""
        return self.snapshot is not None

    @property
    def gone_rows_are(self) -> str:
        """See `Writer.gone_rows_are`."""
        return "ended"

    @property
    def identity(self) -> str:
        """See `Writer.identity`; the code of ``dated`` is another part of the fingerprint."""
        return f"History {self.columns!r} {self.deletes} {getattr(self.dated, '__qualname__', '')}"

    def check(self, schema: Schema, partitions: Partitioning | None, where: str) -> None:
        """See `Writer.check`."""
        if schema.claims:
            problem = "is History, in which former versions keep their values, and the schema has unique values"
            raise DeclarationError(where, "write", problem, "Leave unique out, or add the columns to the key")
        if unknown := [name for name in self.columns if name not in schema.names]:
            raise DeclarationError(where, "write", f"has no column {unknown[0]!r}", "Name declared columns")
        if taken := [name for name in OF_VERSIONS.columns if name in schema.names]:
            raise DeclarationError(where, "write", f"needs the name {taken[0]!r}", "Name the column otherwise")
        if schema.order_by is None:
            self._check_deliveries(schema, partitions, where)
            return
        check_order(schema, where)
        for argument in ("snapshot", "dated"):
            if getattr(self, argument) is not None:
                problem = (
                    f"is History with {argument}, by which deliveries date the versions, and the schema has order_by"
                )
                raise DeclarationError(where, "write", problem, f"Leave {argument} or order_by out")

    def _check_deliveries(self, schema: Schema, partitions: Partitioning | None, where: str) -> None:
        """Raise unless deliveries can begin and end the versions."""
        if schema.repeated_keys == "reject":
            problem = "is History, and repeated_keys='reject' compares records with rows"
            raise DeclarationError(where, "write", problem, "Write 'reject_all', 'first', 'last' or 'report'")
        if self.snapshot is not None:
            self.snapshot.check(schema, partitions, where)
            if self.snapshot.mark:
                problem = "is History of a Snapshot that marks rows, and versions that end need no mark"
                raise DeclarationError(where, "write", problem, "Leave mark=True out")
        if partitions is not None and partitions.column is None and self.dated is None:
            problem = "is History, and partitions may be fetched in another order than that of their times"
            raise DeclarationError(where, "write", problem, "Write dated=, a function of the key of a partition")

    def form(self, schema: Schema) -> Writer:
        """See `Writer.form`. With an order column, the records decide from when their versions are valid."""
        if schema.order_by is None:
            return self
        return OrderedHistory(schema.key, schema[schema.order_by], self.columns)

    def stored_in(self, table: str) -> str:
        """See `Writer.stored_in`."""
        return history_of(table)

    def ensure_table(
        self, connection: Connection, table: str, schema: Schema, partition_by: PartitionBy | None = None
    ) -> None:
        """See `Writer.ensure_table`; also makes the view and the function. The table is never partitioned."""
        del partition_by
        ensure_history(connection, table, schema)

    def explain(self, notes: Mapping[str, int]) -> list[str]:
        """See `Writer.explain`."""
        return [] if self.snapshot is None else self.snapshot.explain(notes)

    def open(self, context: WriterContext) -> HistoryRows:
        """See `Writer.open`."""
        return HistoryRows(context, self)

    def compared(self, schema: Schema) -> tuple[str, ...]:
        """See `Writer.compared`."""
        return tuple(name for name in schema.names if not self.columns or name in {*self.columns, *schema.key})

    def time_of(self, delivery: Delivery) -> datetime:
        """Return the time of a delivery.

        Raises:
            LoadError: If ``dated`` raises, or returns no time.
        """
        if self.dated is None:
            return delivery.fetched_at
        name = delivery.partition or delivery.manifest.name
        try:
            at: object = self.dated(name)
        except Exception as error:  # a source's own Python may raise anything
            raise LoadError(
                f"dated of the source's History raises {type(error).__name__} for {delivery}, from {name!r}. Nothing "
                "was written. Correct the function."
            ) from error
        if isinstance(at, datetime) and at.tzinfo is not None:
            return at
        if isinstance(at, date) and not isinstance(at, datetime):
            return datetime.combine(at, time(), UTC)
        raise LoadError(
            f"dated of the source's History returns {type(at).__name__} without a time zone for {delivery}. Nothing "
            "was written. Let it return a date, or a datetime with a time zone."
        )
