"""Statistics that alert rules compare with: usual times and volumes, the last delivery, waiting records. Read-only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from etl_assets.model.run import RunEnd
    from etl_assets.postgres.connection import Connection

_HISTORY_LENGTH: Final = 60
"""The most runs or deliveries that a median is taken of."""


@dataclass(frozen=True)
class UsualRun:
    """The medians of the newest runs of a source.

    Attributes:
        runs: Number of these runs.
        seconds: Median of their durations; 0.0 when there were none.
        read: Median of the numbers of records that they read; 0.0 when there were none.
    """

    runs: int = 0
    seconds: float = 0.0
    read: float = 0.0


def usual_run(connection: Connection, run: RunEnd) -> UsualRun:
    """Return the medians of the earlier runs of a source that succeeded and took a delivery.

    If this run read records, they are the runs that read some; otherwise those that read none. Runs that found nothing
    to do do not count.
    """
    row = connection.execute(
        "SELECT count(*), coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds), 0), "
        "coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY read), 0) FROM (SELECT read, "
        "extract(epoch FROM ended_at - started_at)::double precision AS seconds FROM etl.run WHERE source = %s "
        "AND status = 'succeeded' AND step <> 'replay' AND unchanged_since IS NULL AND (read > 0) = %s "
        "AND NOT (run_id = %s AND partition = %s) ORDER BY started_at DESC LIMIT %s) earlier",
        (run.source, run.counts.read > 0, run.run_id, run.partition, _HISTORY_LENGTH),
    ).fetchone()
    return UsualRun(*row) if row else UsualRun()


def last_delivery(connection: Connection, source: str) -> datetime | None:
    """Return when the newest complete delivery of a source was fetched; None when there is none."""
    row = connection.execute(
        "SELECT max(fetched_at) FROM etl.delivery WHERE source = %s AND status = 'complete'", (source,)
    ).fetchone()
    return row[0] if row else None


def count_waiting(
    connection: Connection, source: str, *, since: datetime | None = None, before: datetime | None = None
) -> int:
    """Return how many records of a source wait in the quarantine and were rejected after or before a moment."""
    row = connection.execute(
        "SELECT count(*) FROM etl.rejected WHERE source = %(source)s AND status IN ('open', 'parked') "
        "AND (%(since)s::timestamptz IS NULL OR rejected_at > %(since)s) "
        "AND (%(before)s::timestamptz IS NULL OR rejected_at < %(before)s)",
        {"source": source, "since": since, "before": before},
    ).fetchone()
    return int(row[0]) if row else 0
