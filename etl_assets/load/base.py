"""The Loader stage's contract: what it is given, what it reports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from etl_assets.model.batch import Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import polars as pl

    from etl_assets.model.batch import Batch
    from etl_assets.model.delivery import Delivery
    from etl_assets.model.schema import Schema

    OpenBatches = Callable[[frozenset[int]], Iterator[Batch]]
    LookLater = Callable[[], "SeenLater"]

LoadStatus = Literal["loaded", "resumed", "unchanged"]


@dataclass(frozen=True)
class SeenLater:
    """What newer records confirmed without changing it: rows of these keys carry an older mark than they have earned.

    Attributes:
        keys: The newest sighting of each key: the key's columns, ``SEEN_ORDER`` if the schema has an ``order_by``,
            ``SEEN_RECORD``; older rows of these keys are not written. None when there is none.
        after_record: Records of the same delivery after this one were looked at too.
        line: Id of the newest ledger line that was looked at; 0 when there was none.
    """

    keys: pl.DataFrame | None = None
    after_record: int = 0
    line: int = 0


@dataclass(frozen=True)
class Target:
    """The table that a delivery ends in, and what is asked of its rows.

    Attributes:
        table: ``schema.table``.
        schema: The contract.
        fingerprint: Of the declaration under which the records are read.
        max_rejected: The share of a delivery's records that may be rejected.
        look_later: Finds what was seen again later without a change; None when nothing can come after.
    """

    table: str
    schema: Schema
    fingerprint: str
    max_rejected: float = 0.0
    look_later: LookLater | None = None


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


class Loader(ABC):
    """Writes the batches of a delivery, each exactly once in effect."""

    @abstractmethod
    def load(self, target: Target, delivery: Delivery, open_batches: OpenBatches) -> LoadReport:
        """Write what is missing of a delivery.

        Args:
            target: Where to.
            delivery: What.
            open_batches: Gives the batches other than those whose numbers it is called with, in order.

        Returns:
            What became of it.

        Raises:
            BusyError: If another run is at it.
            TooManyRejectedError: If more records are rejected than the target consents to.
            LoadError: If the database does not take a batch; batches before it stay.
        """
