"""Read-only queries for the results of runs and partitions, for their callers. No load depends on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from etl_assets.model.counts import Counts
from etl_assets.postgres.ledger.entries import COUNT_NAMES
from etl_assets.postgres.ledger.rebuilt import no_rebuild

if TYPE_CHECKING:
    from datetime import datetime

    from etl_assets.postgres.connection import Connection


@dataclass(frozen=True)
class RunSummary:
    """The row of one run of one source partition in the run history.

    Attributes:
        status: ``started``, ``succeeded``, ``failed``, ``cancelled`` or ``crashed``.
        delivery_id: Of the newest delivery concerned; None when the run failed before there was one.
        counts: What the run wrote.
        seconds: Duration by step or phase.
        error_class: Class name of the error that the run failed with; ``Cancelled`` or ``Crashed`` without an error.
        error: Text of the error, or what happened without an error.
        unchanged_since: When the delivery was fetched, of a run that found nothing to do; otherwise None.
    """

    status: str
    delivery_id: int | None
    counts: Counts
    seconds: dict[str, float]
    error_class: str | None
    error: str | None
    unchanged_since: datetime | None = None


def run_summary(connection: Connection, run_id: str, source: str, partition: str) -> RunSummary | None:
    """Return the row of a run in the history; None when the run never began."""
    row = connection.execute(
        f"SELECT status, delivery_id, seconds, error_class, error, unchanged_since, {', '.join(COUNT_NAMES)} "
        "FROM etl.run WHERE run_id = %s AND source = %s AND partition = %s",
        (run_id, source, partition),
    ).fetchone()
    if row is None:
        return None
    status, delivery_id, seconds, error_class, error, since, *counts = row
    return RunSummary(status, delivery_id, Counts(*counts), dict(seconds), error_class, error, since)


def complete_partitions(connection: Connection, source: str, fingerprint: str) -> set[str]:
    """Return the partitions of a source that need no run.

    The newest delivery is complete, no other one is to be loaded, and none is stale.

    Args:
        connection: To the warehouse.
        source: Name of the source.
        fingerprint: Of its declaration.
    """
    rows = connection.execute(
        "SELECT partition FROM etl.delivery WHERE source = %(source)s GROUP BY partition "
        "HAVING (array_agg(status ORDER BY id DESC))[1] = 'complete' AND bool_and(status IN ('complete', 'refused')) "
        "AND bool_and(status <> 'complete' OR (fingerprint = %(fingerprint)s AND NOT needs_reload))",
        {"source": source, "fingerprint": fingerprint},
    ).fetchall()
    return {partition for (partition,) in rows}


def delivered_partitions(connection: Connection) -> list[tuple[str, str, bool]]:
    """Return every source partition that has a complete delivery.

    Returns:
        Source, partition, and whether its run may be about to end: the run is under way, and the delivery was
        completed within the last minute.
    """
    rows = connection.execute(
        "SELECT d.source, d.partition, max(d.completed_at) > clock_timestamp() - interval '1 minute' AND EXISTS "
        "(SELECT FROM etl.run r WHERE r.source = d.source AND r.partition = d.partition AND r.status = 'started') "
        f"FROM etl.delivery d WHERE d.status = 'complete' AND {no_rebuild('d.source')} GROUP BY 1, 2 ORDER BY 1, 2"
    ).fetchall()
    return [(source, partition, bool(ending)) for source, partition, ending in rows]


def waiting_by_source(connection: Connection) -> dict[str, dict[str, int]]:
    """Return how many records are open and parked, by source; sources without any are left out."""
    rows = connection.execute(
        "SELECT source, count(*) FILTER (WHERE status = 'open'), count(*) FILTER (WHERE status = 'parked') "
        f"FROM etl.rejected WHERE status IN ('open', 'parked') AND {no_rebuild()} GROUP BY 1 ORDER BY 1"
    ).fetchall()
    return {source: {"open": open_, "parked": parked} for source, open_, parked in rows}
