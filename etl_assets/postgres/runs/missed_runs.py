"""Finds the runs of the history that are under way, and keeps the time since which their process is missed.

A run is alive while it holds its own lock, or the lock of a source partition that it has taken over. This module only
reads which locks are held. It takes none of them, so that it disturbs no run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from etl_assets.model.run import RunKey
from etl_assets.postgres.ledger.locks import held_lock_numbers, lock_number
from etl_assets.postgres.runs.history import THIS_RUN
from etl_assets.postgres.runs.liveness import run_lock_number

if TYPE_CHECKING:
    from collections.abc import Collection

    from etl_assets.postgres.connection import Connection

MISSED_SECONDS: Final = 10
"""The least seconds between the first check that misses a run and the one that gives it up.

A server that restarts releases the locks of runs that are alive.
"""


@dataclass(frozen=True)
class StartedRun:
    """A row of the run history for a run that a process should be executing.

    Attributes:
        key: Of the run.
        status: In the history.
        host: Name of the machine that its process runs on.
        process: Id of the process on that machine; None when the run never came so far.
        alive: Whether the lock of the run, or of a source partition that it has taken over, is held.
        missed: Whether the run was missed before.
        missed_long: Whether it was missed so long ago that it may be given up.
    """

    key: RunKey
    status: str
    host: str
    process: int | None
    alive: bool
    missed: bool
    missed_long: bool


def find(connection: Connection, run_ids: Collection[str]) -> list[StartedRun]:
    """Return the rows of runs that are under way, and all rows of some runs.

    Args:
        connection: In autocommit, so that locks that are taken after the rows were read are seen.
        run_ids: Of runs that Dagster has under way, whatever their status in the history.
    """
    rows = connection.execute(
        "SELECT run_id, source, partition, status, host, process, missed_at IS NOT NULL, "
        "coalesce(missed_at <= clock_timestamp() - make_interval(secs => %s), false) FROM etl.run "
        "WHERE status = 'started' OR run_id = ANY (%s) ORDER BY id",
        (MISSED_SECONDS, list(run_ids)),
    ).fetchall()
    partition_locks = _partition_locks(connection, {row[0] for row in rows})
    locks = held_lock_numbers(connection)
    return [
        StartedRun(
            RunKey(run_id, source, partition),
            status,
            host,
            process,
            not locks.isdisjoint({run_lock_number(run_id), *partition_locks.get(run_id, ())}),
            missed,
            missed_long,
        )
        for run_id, source, partition, status, host, process, missed, missed_long in rows
    ]


def claim(connection: Connection, run: StartedRun) -> bool:
    """Lock the row of a run if it is still under way in the same process, and return whether it is.

    The lock is released when the transaction ends.
    """
    row = connection.execute(
        f"SELECT FROM etl.run WHERE {THIS_RUN} AND status = 'started' AND host = %s "
        "AND process IS NOT DISTINCT FROM %s FOR UPDATE",
        (*run.key.values, run.host, run.process),
    ).fetchone()
    return row is not None


def mark_missed(connection: Connection, key: RunKey) -> None:
    """Enter the first time at which the process of a run was missed."""
    connection.execute(
        f"UPDATE etl.run SET missed_at = coalesce(missed_at, clock_timestamp()) WHERE {THIS_RUN}", key.values
    )


def clear_missed(connection: Connection, key: RunKey) -> None:
    """Clear the time at which the process of a run was missed."""
    connection.execute(f"UPDATE etl.run SET missed_at = NULL WHERE {THIS_RUN}", key.values)


def _partition_locks(connection: Connection, run_ids: Collection[str]) -> dict[str, list[int]]:
    """Return, by run, the lock numbers of the source partitions that it was the last run to take over."""
    rows = connection.execute(
        "SELECT run_id, source, partition FROM etl.fence WHERE run_id = ANY (%s)", (list(run_ids),)
    ).fetchall()
    lock_numbers: dict[str, list[int]] = {}
    for run_id, source, partition in rows:
        lock_numbers.setdefault(run_id, []).append(lock_number(source, partition))
    return lock_numbers
