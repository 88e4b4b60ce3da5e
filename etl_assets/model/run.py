"""Runs in the run history: the key of a run, and its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from etl_assets.model.counts import Counts

RunStatus = Literal["started", "succeeded", "failed", "cancelled", "crashed"]
RunFault = Literal["failed", "cancelled", "crashed"]
CANCELLED: Final = "Cancelled"
"""Error class of runs that were asked to end."""


@dataclass(frozen=True)
class RunKey:
    """One run of one source partition.

    Attributes:
        run_id: Dagster's.
        source: Name of the source, or of the table of an asset that was written by hand.
        partition: Key of the partition; the empty text when there is none.
    """

    run_id: str
    source: str
    partition: str

    @property
    def values(self) -> tuple[str, str, str]:
        """The three fields, in the order of declaration."""
        return self.run_id, self.source, self.partition


@dataclass(frozen=True)
class RunEnd:
    """The end of one run of one source partition.

    Attributes:
        run_id: Dagster's.
        source: Name of the source, or of the table of an asset that was written by hand.
        partition: Key of the partition; the empty text when there is none.
        status: How it ended.
        delivery_id: Of the newest delivery concerned; None when the run ended before there was one.
        counts: What the run wrote.
        seconds: Seconds from its start to its end, by the database's clock.
        error_class: Class name of the error that the run failed with; empty when there was none.
        error: Text of the error, without record contents.
        replay: Whether the run replayed records of the quarantine, and took no delivery.
    """

    run_id: str
    source: str
    partition: str
    status: RunStatus
    delivery_id: int | None = None
    counts: Counts = field(default_factory=Counts)
    seconds: float = 0.0
    error_class: str = ""
    error: str = ""
    replay: bool = False
