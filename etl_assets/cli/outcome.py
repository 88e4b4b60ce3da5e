"""The outcome of one run, as a table for people and as JSON for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from etl_assets.cli.terminal import console, count_text, table
from etl_assets.model.counts import Counts
from etl_assets.model.run import CANCELLED
from etl_assets.model.text import escape_control_characters

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

COLUMNS: Final = (
    "source", "partition", "delivery", "status", "read", "rejected", "filtered", "produced", "inserted", "updated",
    "unchanged", "duplicate", "deleted", "seconds",
)  # fmt: skip

_MOST_REMARKS: Final = 5
_OF_ALL: Final = frozenset({"SettingsError", "EnvironmentFaultError", "IncompatibleTableError", CANCELLED})
"""Errors that every further partition would have too, and the cancellation of the command by the user."""


@dataclass(frozen=True)
class Failure:
    """Why a run failed: the error's class and its text."""

    name: str
    message: str


@dataclass(frozen=True)
class Outcome:
    """The outcome of one run of one source partition.

    Attributes:
        source: Name of the source, or of the asset's table.
        partition: Key of the partition; None for a source without partitions.
        delivery: Id of the delivery; None if there is none.
        status: ``loaded``, ``resumed``, ``unchanged``, ``refused`` or ``failed``; ``replayed`` for a replay.
        counts: What the run read and wrote.
        took: Seconds from start to end.
        seconds: Seconds by phase.
        error: Why the run failed; None if it succeeded.
        remarks: What people should know besides: notes of the fetch, and checks that failed without stopping the run.
        since: When the delivery was fetched, if there was nothing to do; otherwise None.
    """

    source: str
    partition: str | None
    delivery: int | None
    status: str
    counts: Counts = field(default_factory=Counts)
    took: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)
    error: Failure | None = None
    remarks: tuple[str, ...] = ()
    since: datetime | None = None

    @property
    def concerns_all(self) -> bool:
        """Whether every further partition would end with the same error."""
        return self.error is not None and self.error.name in _OF_ALL

    @property
    def is_cancelled(self) -> bool:
        """Whether a person or the machine asked the run to end."""
        return self.error is not None and self.error.name == CANCELLED

    def as_json(self) -> dict[str, Any]:
        """Return the outcome as one JSON object."""
        counts = asdict(self.counts)
        counts.pop("accepted")
        return {
            "source": self.source,
            "partition": self.partition,
            "delivery": self.delivery,
            "status": self.status,
            "since": self.since.isoformat() if self.since else None,
            **counts,
            "seconds": {**self.seconds, "run": round(self.took, 3)},
            "error": {"class": self.error.name, "message": self.error.message} if self.error else None,
            "remarks": list(self.remarks),
        }

    def row(self) -> list[object]:
        """Return the outcome as a row with the cells of ``COLUMNS``."""
        values = {**self.as_json(), "seconds": self.took}
        cells = [values[name] for name in COLUMNS]
        cells[2] = None if self.delivery is None else str(self.delivery)
        return cells


def print_outcomes(outcomes: Sequence[Outcome]) -> None:
    """Print a table of outcomes, with a row of sums if there are several."""
    rows = [outcome.row() for outcome in outcomes]
    if len(outcomes) > 1:
        counts = sum((outcome.counts for outcome in outcomes), Counts())
        rows.append(Outcome("total", None, None, "", counts, sum(outcome.took for outcome in outcomes)).row())
    table(COLUMNS, rows, total=len(outcomes) > 1)
    for outcome in outcomes:
        name = escape_control_characters(f"{outcome.source} {outcome.partition or ''}".strip())
        for remark in outcome.remarks[:_MOST_REMARKS]:
            console().print(f"{name}: {escape_control_characters(remark)}", markup=False)
        if more := len(outcome.remarks[_MOST_REMARKS:]):
            console().print(
                f"{name}: {count_text(more, 'more remark')}; `etl-assets dev` shows all checks.", markup=False
            )
