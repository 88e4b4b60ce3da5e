"""Who may write a source partition: its lock, its fence, and the turns of those who write one table."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from etl_assets.errors import BusyError, FencedError

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection

_TURN: Final = "\0turn"
"""Stands in the place of a partition in the number of the lock that writers of a source take in turn."""

_HELD: Final = (
    "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 "
    "AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@dataclass(frozen=True)
class Holder:
    """Who holds a source partition: the run, and the epoch it was given."""

    source: str
    partition: str
    run_id: str
    epoch: int

    def __str__(self) -> str:
        return f"{self.source} ({self.partition})" if self.partition else self.source


def lock_number(source: str, partition: str) -> int:
    """The number of the advisory lock of a source partition: the first 8 bytes of a SHA-256, as a signed integer."""
    digest = sha256(f"{source}\0{partition}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def lock(connection: Connection, source: str, partition: str) -> None:
    """Take the session lock of a source partition, which lives until the connection ends.

    Raises:
        BusyError: If another session holds it.
    """
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", (lock_number(source, partition),)).fetchone()
    if not row or not row[0]:
        what = f"{source} ({partition})" if partition else source
        raise BusyError(
            f"Another run is loading {what}. This one wrote nothing. Wait for the other, then run it again."
        )


def unlock(connection: Connection) -> None:
    """Give back every session lock of a connection."""
    connection.execute("SELECT pg_advisory_unlock_all()")


def take(connection: Connection, source: str, partition: str, run_id: str) -> Holder:
    """Take over a source partition: every earlier holder is fenced off from now on.

    Args:
        connection: Of a session that holds the lock.
        source: Name of the source.
        partition: Key of the partition.
        run_id: Of the run that takes it.
    """
    row = connection.execute(
        "INSERT INTO etl.fence AS f (source, partition, epoch, run_id) VALUES (%s, %s, 1, %s) "
        "ON CONFLICT (source, partition) DO UPDATE SET epoch = f.epoch + 1, run_id = excluded.run_id, "
        "taken_at = clock_timestamp() RETURNING epoch",
        (source, partition, run_id),
    ).fetchone()
    return Holder(source, partition, run_id, row[0] if row else 0)


def fence(connection: Connection, holder: Holder) -> None:
    """Make sure, inside a batch transaction, that the holder has not been replaced; nobody can until it ends.

    Raises:
        FencedError: If a newer run has taken over.
    """
    row = connection.execute(
        "SELECT epoch FROM etl.fence WHERE source = %s AND partition = %s FOR SHARE",
        (holder.source, holder.partition),
    ).fetchone()
    if row is None or row[0] != holder.epoch:
        raise FencedError(
            f"A newer run has taken over {holder}. This run wrote nothing more. Nothing needs doing: the newer run "
            "goes on where this one stopped."
        )


def lock_writes(connection: Connection, source: str, *, shared: bool = False) -> None:
    """Wait until no other batch transaction writes the rows of a source; the turn ends with the present transaction.

    What one transaction leaves as it was, another that runs shared it could overwrite, and neither would know.

    Args:
        connection: In a transaction.
        source: Name of the source.
        shared: Whether others may write at the same time that ask for the same: their keys are none of this one's.
    """
    function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
    connection.execute(f"SELECT {function}(%s)", (lock_number(source, _TURN),))


def held(connection: Connection) -> frozenset[int]:
    """The numbers of all advisory locks that any session of the database holds now."""
    return frozenset(number for (number,) in connection.execute(_HELD).fetchall())
