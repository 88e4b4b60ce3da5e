"""The contract of the Loader stage: its requests and its reports."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from etl_assets.load.writers.upsert import Upsert
from etl_assets.model.counts import Counts
from etl_assets.model.declaration import Declaration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import polars as pl

    from etl_assets.load.shares import HandOut
    from etl_assets.load.writers.base import Writer
    from etl_assets.model.batch import Batch, RawBatch
    from etl_assets.model.delivery import Delivery
    from etl_assets.model.rule import RuleInfo
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.entries import Confirmation, Entry
    from etl_assets.postgres.ledger.quarantine import Rejected
    from etl_assets.schema import PartitionBy, Schema

OpenBatches: TypeAlias = "Callable[[frozenset[int]], Iterator[Batch]]"
"""Returns the batches of a delivery, in order, except those whose numbers it is called with."""
ReadConfirmed: TypeAlias = "Callable[[Connection, Sequence[Confirmation], int], Iterator[pl.DataFrame]]"
"""Reads again the rows that some ledger entries confirmed, to compare them with a batch, given by its number.

The rows whose keys the batch probably has come first. Each frame has the schema's columns, ``DELIVERY_ID`` and
``RECORD_NO``, and is of one delivery."""
MakeBatch: TypeAlias = "Callable[[Sequence[Rejected], int], Batch]"
"""Makes a batch, with a given number, from records of the quarantine."""
BeforeCommit: TypeAlias = "Callable[[Connection, Delivery, Entry], None]"
"""Writes more in the transaction of a batch, after its rows, its rejected records and its ledger entry."""
LoadStatus = Literal["loaded", "resumed", "unchanged"]


class KeyReader(Protocol):
    """Reads the keys of records that have no row: the key's columns, typed as in the table, and ``RECORD_NO``."""

    def of_batch(self, raw: RawBatch, record_numbers: pl.Series) -> tuple[pl.DataFrame, pl.Series]:
        """Return the keys of some records of a batch, and the numbers of those whose key cannot be read."""

    def of_delivery(self, connection: Connection, delivery_id: int) -> tuple[pl.DataFrame, pl.Series]:
        """Return the keys of the records that a delivery rejected, and the numbers of those that cannot be read."""


@dataclass(frozen=True)
class PartitionColumn:
    """A column of the table's key that decides which partition a row belongs to, so that partitions are disjoint.

    Attributes:
        column: Name of the column.
        declaration: A text that changes when the declaration assigns other values to a partition.
        outside: Takes the key of a partition and values; returns which of the values belong to another partition.
        value_of: Takes the key of a partition; returns its only value, if another partition might have the same.
    """

    column: str
    declaration: str
    outside: Callable[[str, pl.Series], pl.Series]
    value_of: Callable[[str], str | None]


@dataclass(frozen=True)
class Target:
    """The table that a delivery is loaded into, and the conditions of the load.

    Attributes:
        table: ``schema.table``.
        schema: The contract.
        fingerprint: Of the declaration under which the records are read.
        max_rejected: The share of a delivery's records that may be rejected.
        partition_column: The column that makes the partitions disjoint; None if they may share keys. Disjoint
            partitions are written side by side.
        key_has_partition: Whether the key decides which partition a row belongs to, so that partitions have no key in
            common. They may share other values that are unique; then they are not written side by side.
        keys_are_published: Whether the table has the keys that are published: no transformer can change them.
        read_confirmed: Reads the rows that newer ledger entries confirmed; None if there can be no newer entries.
        keys: Reads keys of rejected records; None if there can be none.
        writer: The write mode.
        frozen: Whether deliveries can be read again: the bytes of a source can, a DataFrame cannot.
        partition_by: How the table is cut into child tables; None if it is not.
        fillfactor: How full a page of the table becomes, in percent; None leaves it as it is.
        replaced: The table that this one is to replace, by the name that references have; None if it is no rebuild.
    """

    table: str
    schema: Schema
    fingerprint: str
    max_rejected: float = 0.0
    partition_column: PartitionColumn | None = None
    key_has_partition: bool = False
    keys_are_published: bool = False
    read_confirmed: ReadConfirmed | None = None
    keys: KeyReader | None = None
    writer: Writer = field(default_factory=Upsert)
    frozen: bool = True
    partition_by: PartitionBy | None = None
    fillfactor: int | None = None
    replaced: str | None = None


@dataclass(frozen=True)
class LoadRequest:
    """A request to load a delivery.

    Attributes:
        url: ``postgresql://…`` of the warehouse.
        run_id: Id of the run that loads.
        target: The table to load into.
        delivery: The delivery to load.
        open_batches: Opens the delivery's batches.
        force: Whether to reload a delivery that is complete.
        batches: Numbers of the batches of a complete delivery to reload; if empty, load the missing batches.
        accept_deletes: Whether a person consents to the deletion of any number of rows.
        workers: How many processes may load the delivery together.
        hand_out: Lets another process load a share; None if there is no other.
    """

    url: str = field(repr=False)
    run_id: str
    target: Target
    delivery: Delivery
    open_batches: OpenBatches
    force: bool = False
    batches: frozenset[int] = frozenset()
    accept_deletes: bool = False
    workers: int = 1
    hand_out: HandOut | None = None


@dataclass(frozen=True)
class ReplayRequest:
    """A request to replay records of the quarantine that came in one delivery.

    Attributes:
        url: ``postgresql://…`` of the warehouse.
        run_id: Id of the run that replays.
        target: The table to write.
        delivery: The delivery that the records came in.
        ids: Ids of the records.
        make_batch: Makes a batch, with a given number, from those records that still wait.
    """

    url: str = field(repr=False)
    run_id: str
    target: Target
    delivery: Delivery
    ids: Sequence[int]
    make_batch: MakeBatch


@dataclass(frozen=True)
class LoadReport:
    """The result of a load.

    Attributes:
        delivery: The delivery after the load.
        status: ``loaded``; ``resumed``, when an earlier run had committed some of its batches; ``unchanged``, when
            there was nothing to do.
        counts: Of the whole delivery, including batches that an earlier run committed; all zero when nothing was read.
        rules: How many records of the whole delivery broke each rule, including rules that are only reported.
        written: Counts of the batches that this run wrote.
        seconds: Seconds by phase: ``read`` (parse, validate, transform), ``prepare`` (sort, hash), ``database``, and
            ``wait`` (the database waits for the other phases); the phases overlap.
    """

    delivery: Delivery
    status: LoadStatus
    counts: Counts = field(default_factory=Counts)
    rules: dict[str, int] = field(default_factory=dict)
    written: Counts = field(default_factory=Counts)
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Loader(Declaration):
    """Writes the batches of a delivery, each exactly once in effect.

    A subclass is a frozen dataclass; its fields are its settings.
    """

    @property
    def rules(self) -> tuple[RuleInfo, ...]:
        """The rules, other than those of the schema, by which the loader rejects records."""
        return ()

    @abstractmethod
    def load(self, request: LoadRequest) -> LoadReport:
        """Write the batches of a delivery that are missing.

        Args:
            request: The delivery, the table and the run.

        Returns:
            The result of the load.

        Raises:
            BusyError: If another run is loading the partition.
            TooManyRejectedError: If more records are rejected than the target consents to.
            TooManyDeletedError: If more rows would be deleted than the write mode consents to.
            LoadError: If the database refuses a batch; batches before it stay committed.
        """

    @abstractmethod
    def replay(self, request: ReplayRequest) -> Counts:
        """Write the quarantined records that now keep all rules; the others keep waiting, with the rules they break.

        Args:
            request: The records, the table and the run.

        Returns:
            Counts of the records that were still waiting; all zero when none were.

        Raises:
            BusyError: If a run is loading the partition.
            LoadError: If the database refuses them; nothing was written.
        """
