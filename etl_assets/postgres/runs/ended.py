"""Runs that have ended, in the order in which they began, for those who pass them on. Read-only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg.rows import class_row

from etl_assets.postgres.ledger.rebuilt import no_rebuild

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from etl_assets.postgres.connection import Connection


@dataclass(frozen=True)
class EndedRun:
    """A row of ``etl.run`` whose run has ended and had something to do, with its delivery.

    Attributes:
        id: Of the row.
        run_id: Dagster's.
        source: Name of the source, or of the table of an asset that was written by hand.
        partition: Key of the partition; the empty text when there is none.
        job: Name of Dagster's job.
        status: ``succeeded``, ``failed``, ``cancelled`` or ``crashed``.
        started_at: When it began.
        ended_at: When it ended.
        read: How many records it read.
        written: How many rows it inserted, updated or deleted.
        error_class: Class of its error; None when there was none.
        error: Text of the error, without record contents; None when there was none.
        origin: Where its delivery was fetched from, without secrets; None if it has none.
        size: Bytes of the delivery; None if it has none.
    """

    id: int
    run_id: str
    source: str
    partition: str
    job: str
    status: str
    started_at: datetime
    ended_at: datetime
    read: int
    written: int
    error_class: str | None
    error: str | None
    origin: str | None
    size: int | None


def complete_until(connection: Connection, after: int) -> int:
    """Return the greatest id up to which every run has ended; rows that were just entered count as in progress.

    So a row is not missed that another transaction enters with a smaller id, and that cannot be seen yet.

    Args:
        connection: To the warehouse.
        after: An id up to which that is known.
    """
    row = connection.execute(
        "SELECT coalesce((SELECT min(id) - 1 FROM etl.run WHERE id > %s AND (status = 'started' "
        "OR started_at > clock_timestamp() - interval '10 seconds')), (SELECT max(id) FROM etl.run), 0)",
        (after,),
    ).fetchone()
    return int(row[0]) if row else 0


def ended_runs(connection: Connection, after: int, without: Collection[int], limit: int) -> list[EndedRun]:
    """Return runs that have ended and had something to do, oldest first.

    Args:
        connection: To the warehouse.
        after: Only rows with a greater id.
        without: Ids of rows that are left out.
        limit: The most runs to return.
    """
    with connection.cursor(row_factory=class_row(EndedRun)) as cursor:
        return cursor.execute(
            "SELECT r.id, r.run_id, r.source, r.partition, coalesce(r.job, '') AS job, r.status, r.started_at, "
            "coalesce(r.ended_at, r.started_at) AS ended_at, r.read, r.inserted + r.updated + r.deleted AS written, "
            "r.error_class, r.error, d.manifest ->> 'origin' AS origin, d.size "
            "FROM etl.run r LEFT JOIN etl.delivery d ON d.id = r.delivery_id "
            "WHERE r.id > %s AND r.id <> ALL (%s) AND r.status <> 'started' AND r.unchanged_since IS NULL "
            f"AND {no_rebuild('r.source')} ORDER BY r.id LIMIT %s",
            (after, list(without), limit),
        ).fetchall()


def check_outcomes(connection: Connection, run: EndedRun) -> list[tuple[str, bool]]:
    """Return the checks of a run, and the rules of those that have several, with whether they passed."""
    return connection.execute(
        "SELECT name, bool_and(passed) FROM etl.check_result WHERE run_id = %s AND source = %s AND partition = %s "
        "GROUP BY name ORDER BY name",
        (run.run_id, run.source, run.partition),
    ).fetchall()
