"""The Loader stage's contract: what it is asked, what it reports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from etl_assets.model.counts import Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import polars as pl

    from etl_assets.model.batch import Batch
    from etl_assets.model.delivery import Delivery
    from etl_assets.model.rule import RuleInfo
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.entries import Confirmation, Entry
    from etl_assets.postgres.ledger.quarantine import Rejected
    from etl_assets.schema import Schema

OpenBatches: TypeAlias = "Callable[[frozenset[int]], Iterator[Batch]]"
"""Gives the batches of a delivery, in order, other than those whose numbers it is called with."""
ReadConfirmed: TypeAlias = "Callable[[Connection, Sequence[Confirmation], int], Iterator[pl.DataFrame]]"
"""Reads again the rows of ledger entries that confirmed what the table had, those first that the batch of that number
is likely to meet: the schema's columns and ``RECORD_NO``, which is ``AFTER_ALL`` in rows of another delivery."""
MakeBatch: TypeAlias = "Callable[[Sequence[Rejected], int], Batch]"
"""Makes a batch of records of the quarantine, under a number."""
BeforeCommit: TypeAlias = "Callable[[Connection, Delivery, Entry], None]"
"""Writes more in the transaction of a batch, after its rows, its rejected records and its ledger entry."""
LoadStatus = Literal["loaded", "resumed", "unchanged"]


@dataclass(frozen=True)
class PartitionColumn:
    """What keeps the partitions of a source apart: a column of the key that says which one a row belongs to.

    Attributes:
        column: Its name.
        declaration: A text that changes when other values are to belong to a partition.
        outside: Which of some values belong to another partition than the one of a key.
    """

    column: str
    declaration: str
    outside: Callable[[str, pl.Series], pl.Series]


@dataclass(frozen=True)
class Target:
    """The table that a delivery ends in, and what is asked of its rows.

    Attributes:
        table: ``schema.table``.
        schema: The contract.
        fingerprint: Of the declaration under which the records are read.
        max_rejected: The share of a delivery's records that may be rejected.
        partition_column: What keeps partitions from having rows of one key; None where nothing does. If something does,
            they are written side by side.
        read_confirmed: Reads what newer entries of the ledger confirmed; None when nothing can come after.
    """

    table: str
    schema: Schema
    fingerprint: str
    max_rejected: float = 0.0
    partition_column: PartitionColumn | None = None
    read_confirmed: ReadConfirmed | None = None


@dataclass(frozen=True)
class LoadRequest:
    """What a loader is asked to load.

    Attributes:
        url: ``postgresql://…`` of the warehouse.
        run_id: Of the run that loads.
        target: Where to.
        delivery: What.
        open_batches: Opens the delivery's batches.
        force: Whether to reload a delivery that is complete.
        batches: Numbers of the only batches of a complete delivery to reload; none to load what is missing.
    """

    url: str = field(repr=False)
    run_id: str
    target: Target
    delivery: Delivery
    open_batches: OpenBatches
    force: bool = False
    batches: frozenset[int] = frozenset()


@dataclass(frozen=True)
class ReplayRequest:
    """What a loader is asked to replay: records of the quarantine that came in one delivery.

    Attributes:
        url: ``postgresql://…`` of the warehouse.
        run_id: Of the run that replays.
        target: Where to.
        delivery: That they came in.
        ids: Of the records.
        make_batch: Makes a batch of the records that still wait, under the number it is given.
    """

    url: str = field(repr=False)
    run_id: str
    target: Target
    delivery: Delivery
    ids: Sequence[int]
    make_batch: MakeBatch


@dataclass(frozen=True)
class LoadReport:
    """What became of a delivery.

    Attributes:
        delivery: As it stands afterwards.
        status: ``loaded``; ``resumed``, when an earlier run had committed some of its batches; ``unchanged``, when
            there was nothing to do.
        counts: Of the whole delivery, the earlier run's batches included; all zero when nothing was read.
        rules: How many records broke each rule, reported ones included; of the whole delivery.
        written: Counts of this run's batches alone.
        seconds: Seconds by phase: ``read`` (parse, validate, transform), ``prepare`` (sort, hash), ``database``, and
            ``wait`` (the database waiting for the others); the phases overlap.
    """

    delivery: Delivery
    status: LoadStatus
    counts: Counts = field(default_factory=Counts)
    rules: dict[str, int] = field(default_factory=dict)
    written: Counts = field(default_factory=Counts)
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Loader(ABC):
    """Writes the batches of a delivery, each exactly once in effect.

    A subclass is a frozen dataclass; its fields are its settings.
    """

    @property
    def rules(self) -> tuple[RuleInfo, ...]:
        """The rules besides those of the schema for which it rejects records."""
        return ()

    @abstractmethod
    def load(self, request: LoadRequest) -> LoadReport:
        """Write what is missing of a delivery.

        Args:
            request: What, where to, and for which run.

        Returns:
            What became of it.

        Raises:
            BusyError: If another run is loading the partition.
            TooManyRejectedError: If more records are rejected than the target consents to.
            LoadError: If the database does not take a batch; batches before it stay.
        """

    @abstractmethod
    def replay(self, request: ReplayRequest) -> Counts:
        """Write records of the quarantine that keep all rules by now; the others wait on, with the rules they break.

        Args:
            request: What, where to, and for which run.

        Returns:
            What became of the records that still waited; all zero when none did.

        Raises:
            BusyError: If a run is loading the partition.
            LoadError: If the database does not take them; nothing was written.
        """
