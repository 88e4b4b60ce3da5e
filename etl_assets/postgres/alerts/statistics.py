"""What alert rules compare with: usual times and volumes, the last delivery, the age of what waits. Read-only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from etl_assets.model.run import RunEnd
    from etl_assets.postgres.connection import Connection

_RUNS: Final = 60
"""So many runs or deliveries back, at most."""


@dataclass(frozen=True)
class UsualRun:
    """What runs of a source were like.

    Attributes:
        runs: How many there were, of the newest.
        seconds: The median of how long they took; 0.0 when there were none.
        read: The median of how many records they read; 0.0 when there were none.
    """

    runs: int = 0
    seconds: float = 0.0
    read: float = 0.0


@dataclass(frozen=True)
class UsualVolume:
    """A delivery beside those before it.

    Attributes:
        records: How many records it has.
        usual: The median of those before it; None when there are none.
    """

    records: int
    usual: float | None


def usual_run(connection: Connection, run: RunEnd) -> UsualRun:
    """What earlier runs of a source were like that succeeded, took a delivery, and read something as this one did."""
    row = connection.execute(
        "SELECT count(*), coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds), 0), "
        "coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY read), 0) FROM (SELECT read, "
        "extract(epoch FROM ended_at - started_at)::double precision AS seconds FROM etl.run WHERE source = %s "
        "AND status = 'succeeded' AND step <> 'replay' AND (read > 0) = %s "
        "AND NOT (run_id = %s AND partition = %s) ORDER BY started_at DESC LIMIT %s) earlier",
        (run.source, run.counts.read > 0, run.run_id, run.partition, _RUNS),
    ).fetchone()
    return UsualRun(*row) if row else UsualRun()


def usual_volume(connection: Connection, source: str, delivery_id: int) -> UsualVolume | None:
    """How many records a delivery has, and how many the complete ones before it had; None if it is unknown."""
    row = connection.execute(
        "SELECT d.records, (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY records) FROM (SELECT records "
        "FROM etl.delivery WHERE source = d.source AND id < d.id AND status = 'complete' ORDER BY id DESC LIMIT %s) e) "
        "FROM etl.delivery d WHERE d.id = %s AND d.source = %s",
        (_RUNS, delivery_id, source),
    ).fetchone()
    return UsualVolume(*row) if row else None


def last_delivery(connection: Connection, source: str) -> datetime | None:
    """When the newest delivery of a source was fetched that is complete; None when there is none."""
    row = connection.execute(
        "SELECT max(fetched_at) FROM etl.delivery WHERE source = %s AND status = 'complete'", (source,)
    ).fetchone()
    return row[0] if row else None


def waiting(
    connection: Connection, source: str, *, since: datetime | None = None, before: datetime | None = None
) -> int:
    """How many records of a source wait in the quarantine that were rejected after a moment, or before one."""
    row = connection.execute(
        "SELECT count(*) FROM etl.rejected WHERE source = %(source)s AND status IN ('open', 'parked') "
        "AND (%(since)s::timestamptz IS NULL OR rejected_at > %(since)s) "
        "AND (%(before)s::timestamptz IS NULL OR rejected_at < %(before)s)",
        {"source": source, "since": since, "before": before},
    ).fetchone()
    return int(row[0]) if row else 0
