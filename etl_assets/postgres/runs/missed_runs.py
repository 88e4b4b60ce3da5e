"""Lines of the run history whose process may be gone: which they are, and since when they are missed.

A run is alive while it holds its own lock, or the lock of a source partition that it has taken over. Nothing is taken
here to find out, so that looking disturbs nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from etl_assets.model.run import RunKey
from etl_assets.postgres.ledger.locks import held, lock_number
from etl_assets.postgres.runs.history import THIS_RUN
from etl_assets.postgres.runs.liveness import run_lock_number

if TYPE_CHECKING:
    from collections.abc import Collection

    from etl_assets.postgres.connection import Connection

MISSED_SECONDS: Final = 10
"""A run that is not found is looked for again after so long: a server that restarts frees the locks of the living."""


@dataclass(frozen=True)
class StartedRun:
    """A line of the run history that somebody ought to be at.

    Attributes:
        key: Which run of which source partition.
        status: What the history says.
        host: Name of the machine that its process runs on.
        process: Its number there; None when the run never came so far.
        alive: Whether somebody is at it.
        missed: Whether it was missed before.
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
    """Lines that are under way, and all lines of some runs.

    Args:
        connection: In autocommit: a lock that is taken after the lines were read is seen.
        run_ids: Of runs that Dagster has under way, whatever the history says of them.
    """
    rows = connection.execute(
        "SELECT run_id, source, partition, status, host, process, missed_at IS NOT NULL, "
        "coalesce(missed_at <= clock_timestamp() - make_interval(secs => %s), false) FROM etl.run "
        "WHERE status = 'started' OR run_id = ANY (%s) ORDER BY id",
        (MISSED_SECONDS, list(run_ids)),
    ).fetchall()
    taken = _taken(connection, {row[0] for row in rows})
    locks = held(connection)
    return [
        StartedRun(
            RunKey(run_id, source, partition),
            status,
            host,
            process,
            not locks.isdisjoint({run_lock_number(run_id), *taken.get(run_id, ())}),
            missed,
            missed_long,
        )
        for run_id, source, partition, status, host, process, missed, missed_long in rows
    ]


def claim(connection: Connection, line: StartedRun) -> bool:
    """Lock a line in the present transaction, if it is still as it was seen: under way, in the same process."""
    row = connection.execute(
        f"SELECT FROM etl.run WHERE {THIS_RUN} AND status = 'started' AND host = %s "
        "AND process IS NOT DISTINCT FROM %s FOR UPDATE",
        (*line.key.values, line.host, line.process),
    ).fetchone()
    return row is not None


def miss(connection: Connection, key: RunKey) -> None:
    """Remember when a run was first looked for and not found."""
    connection.execute(
        f"UPDATE etl.run SET missed_at = coalesce(missed_at, clock_timestamp()) WHERE {THIS_RUN}", key.values
    )


def find_again(connection: Connection, key: RunKey) -> None:
    """Forget that a run was missed."""
    connection.execute(f"UPDATE etl.run SET missed_at = NULL WHERE {THIS_RUN}", key.values)


def _taken(connection: Connection, run_ids: Collection[str]) -> dict[str, list[int]]:
    """The locks of the source partitions that some runs were the last to take over."""
    rows = connection.execute(
        "SELECT run_id, source, partition FROM etl.fence WHERE run_id = ANY (%s)", (list(run_ids),)
    ).fetchall()
    taken: dict[str, list[int]] = {}
    for run_id, source, partition in rows:
        taken.setdefault(run_id, []).append(lock_number(source, partition))
    return taken
