"""The contract of a write mode: the declared value, and the writer of rows that it opens for one delivery."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from etl_assets.errors import DeclarationError
from etl_assets.load.prepare import AFTER_ALL
from etl_assets.model.declaration import Declaration
from etl_assets.postgres.ledger import deliveries, entries
from etl_assets.postgres.tables.ddl import Extension, ensure_table, is_as_declared
from etl_assets.postgres.tables.marks import remove_marks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from etl_assets.load.base import OpenBatches, Target
    from etl_assets.load.partition_lock import PartitionLock
    from etl_assets.load.prepare import Prepared
    from etl_assets.model.delivery import Delivery
    from etl_assets.model.partitions import Partitioning
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.entries import Kind
    from etl_assets.postgres.ledger.locks import Holder
    from etl_assets.postgres.tables.upsert import Written
    from etl_assets.schema import PartitionBy, Schema


@dataclass(frozen=True)
class WriterContext:
    """What a writer of rows works on.

    Attributes:
        lock: Of the partition; its connection is in autocommit, and another one after a fault.
        target: The table and its contract.
        delivery: The delivery whose rows are written.
        seed: Of the row hashes.
        open_batches: Opens the delivery's batches; None for a replay, which has none.
        accept_deletes: Whether a person consents to the deletion of any number of rows.
        may_swap: Whether a new table may take the place of the one in use.
    """

    lock: PartitionLock
    target: Target
    delivery: Delivery
    seed: int
    open_batches: OpenBatches | None = None
    accept_deletes: bool = False
    may_swap: bool = True

    @property
    def connection(self) -> Connection:
        """The connection, in autocommit, of the session that has the partition's lock."""
        return self.lock.connection

    @property
    def holder(self) -> Holder:
        """The run that writes, and its epoch."""
        return self.lock.holder

    @property
    def disjoint(self) -> bool:
        """Whether no other partition can have rows of the same keys."""
        return self.target.partition_column is not None


@dataclass(frozen=True)
class Completion:
    """What a write mode did after the last batch of a delivery, in the transaction of that batch.

    Attributes:
        deleted: How many rows were deleted, or marked as deleted.
        notes: What the ledger keeps of it besides: numbers, by name.
    """

    deleted: int = 0
    notes: Mapping[str, int] = field(default_factory=dict)


class RowWriter(ABC):
    """Writes the rows of one delivery into one table, inside the transactions of its batches.

    It is opened again after a fault of the connection, so that it may keep temporary tables of its session.

    Args:
        context: What it works on.
    """

    def __init__(self, context: WriterContext) -> None:
        self.context = context

    @property
    def sends_everything(self) -> bool:
        """Whether the next rows will probably all be sent, so that it is worth encoding them ahead."""
        return False

    @property
    def completes_apart(self) -> bool:
        """Whether `complete` is to be called once more after the last batch, in a transaction of its own."""
        return False

    def get_ready(self) -> None:  # noqa: B027 -- modes that complete apart need it
        """Wait, before that transaction, for whatever is to end before it."""

    @abstractmethod
    def encode(self, rows: pl.DataFrame) -> bytes:
        """Encode rows in the form in which `write` sends all of them; may be called from another thread."""

    def begin(self, newer: Sequence[int]) -> None:  # noqa: B027 -- keyed rows need it
        """Begin a transaction.

        Args:
            newer: Ids of the newer deliveries that may have rows of the same keys.
        """

    def note(self, prepared: Prepared) -> None:  # noqa: B027 -- modes that complete need it
        """Note what a batch publishes, in its transaction and before any of its records is rejected by the database."""

    def find_repeated(self, prepared: Prepared, kind: Kind) -> Sequence[int]:  # noqa: ARG002 -- keyed rows need them
        """Return the numbers of the records to reject because an earlier batch of the delivery wrote their key."""
        return ()

    @abstractmethod
    def write(self, prepared: Prepared, kind: Kind) -> Written:
        """Write everything that a batch, or a replay, changes in the table; return the counts."""

    @abstractmethod
    def store(self, rows: pl.DataFrame) -> None:
        """Write some rows only to find whether the database can store them; the caller rolls back."""

    def complete(self) -> Completion | None:
        """Do what the mode does when every batch is written, in the transaction of the last one.

        Returns:
            What the ledger enters of it; None if the mode does nothing.

        Raises:
            TooManyDeletedError: If it would delete more rows than the declaration consents to.
        """
        return None


@dataclass(frozen=True)
class Writer(Declaration):
    """A write mode. A subclass is a frozen dataclass; its fields are its settings."""

    needs_key: ClassVar[bool] = True
    """Whether the schema must have a key."""
    can_partition: ClassVar[bool] = True
    """Whether the table can be cut into child tables; see `PartitionBy`."""
    first_stays: ClassVar[bool] = False
    """Whether the oldest record of a key stays, and not the newest one."""
    in_turns: ClassVar[bool] = False
    """Whether several processes may write the batches of a delivery by turns: none has to have seen every batch."""

    @property
    def deletes(self) -> bool:
        """Whether a complete delivery deletes rows of older ones."""
        return False

    def form(self, schema: Schema) -> Writer:  # noqa: ARG002 -- modes with several forms need it
        """Return the mode in the form that it has for a declared schema; most have one form."""
        return self

    def row_schema(self, schema: Schema) -> Schema:
        """Return the schema of the rows that the mode keeps: with the key by which it keeps one of each."""
        return schema

    def stored_in(self, table: str) -> str:
        """Return the name of the table that has the rows; ``schema.table`` is a view of it, or the same."""
        return table

    def keyed_in(self, table: str) -> str:
        """Return the name of the table, or view, that has one row of each key of `row_schema`."""
        return table

    def compared(self, schema: Schema) -> tuple[str, ...]:
        """Return the names of the columns by which two versions of a row differ: those of the row hash."""
        return schema.names

    @property
    def gone_rows_are(self) -> str:
        """What becomes of rows that a complete delivery no longer has, as a participle for people."""
        return "deleted"

    @property
    def marks(self) -> bool:
        """Whether the rows that a complete delivery no longer has are marked, and stay."""
        return False

    @property
    def extension(self) -> Extension:
        """What the table has besides the columns of its schema."""
        return Extension()

    @property
    def identity(self) -> str:
        """A text that changes when the mode makes other rows of the same deliveries; empty for `Upsert`."""
        return repr(self)

    def check(self, schema: Schema, partitions: Partitioning | None, where: str) -> None:
        """Raise a `DeclarationError` unless the mode fits the schema and the partitions. Modes override this."""

    def explain(self, notes: Mapping[str, int]) -> list[str]:  # noqa: ARG002 -- modes that complete need them
        """Return what people should know of the notes of a `Completion`, a sentence for each; none if all is well."""
        return []

    def ensure_table(
        self, connection: Connection, table: str, schema: Schema, partition_by: PartitionBy | None = None
    ) -> None:
        """Create the table, or change it if the schema only adds or widens columns; see `ddl.ensure_table`.

        Marks of an earlier write mode are dropped; see `remove_marks`.
        """
        extension = replace(self.extension, partition_by=partition_by)
        if is_as_declared(connection, table, schema, extension):  # so that it has no marks
            return
        remove_marks(connection, table)
        ensure_table(connection, table, schema, extension)

    def differences(self, connection: Connection, table: str, schema: Schema) -> list[str]:  # noqa: ARG002 -- see below
        """Return how the stored rows contradict one another, as clauses; nothing if they do not. Modes override this.

        Args:
            connection: To the warehouse, which is only read.
            table: ``schema.table``.
            schema: From `row_schema`.
        """
        return []

    @abstractmethod
    def open(self, context: WriterContext) -> RowWriter:
        """Return a writer for the rows of one delivery; the table exists."""


def check_partitioned(writer: Writer, where: str) -> None:
    """Raise a `DeclarationError` if the table of a write mode cannot be cut into child tables."""
    if not writer.can_partition:
        problem = f"cuts the table of {type(writer).__name__}, which no child tables can have"
        raise DeclarationError(where, "partition_by", problem, "Leave partition_by out, or write another mode")


def records_of(prepared: Prepared, context: WriterContext) -> tuple[int, int]:
    """Return the first and last record of a batch; the last batch covers all later records, of any generation."""
    span = prepared.batch.span
    return span.first_record, AFTER_ALL if span == context.delivery.manifest.spans[-1] else span.last_record


def is_in_order(prepared: Prepared, context: WriterContext) -> bool:
    """Return whether every batch that was written comes before this one, so that later ones are written again."""
    first, _ = records_of(prepared, context)
    return all(entry.last_record < first for entry in entries.find(context.connection, context.delivery).values())


def confirmed_after(prepared: Prepared, kind: Kind, context: WriterContext) -> int:
    """Return the record of the delivery after which records that are already written count as newer."""
    if kind == "replay":
        return prepared.batch.span.first_record
    if context.delivery.generation == 1:
        return AFTER_ALL
    return 0 if entries.has_gaps(context.connection, context.delivery) else AFTER_ALL


def ask_other_declarations(context: WriterContext) -> None:
    """Mark the deliveries read under another declaration to be reloaded, even when that declaration comes back.

    Their rows may have been changed by an order, or by values, of this declaration.
    """
    deliveries.need_reload_of_those_read_otherwise(
        context.connection, context.delivery, context.target.fingerprint, same_partition=context.disjoint
    )
