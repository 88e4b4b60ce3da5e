"""Which run may write a source partition: its lock, its fence, and the lock for writes to one table."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from etl_assets.errors import BusyError, FencedError

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection

_WRITES: Final = "\0turn"
"""Replaces the partition in the number of the lock for the writes of a source."""

_NEW_TABLE: Final = "\0new"
"""Replaces the partition in the number of the lock for the new table of a source."""
_HELD_LOCKS: Final = (
    "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 "
    "AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@dataclass(frozen=True)
class Holder:
    """The run that holds a source partition, and its epoch."""

    source: str
    partition: str
    run_id: str
    epoch: int

    def __str__(self) -> str:
        return f"{self.source} ({self.partition})" if self.partition else self.source


def lock_number(source: str, partition: str) -> int:
    """Return the number of a partition's advisory lock: the first 8 bytes of a SHA-256, as a signed integer."""
    digest = sha256(f"{source}\0{partition}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def lock(connection: Connection, source: str, partition: str) -> None:
    """Take the session lock of a source partition, which lasts until the connection ends.

    Raises:
        BusyError: If another session holds it.
    """
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", (lock_number(source, partition),)).fetchone()
    if not row or not row[0]:
        subject = f"{source} ({partition})" if partition else source
        raise BusyError(
            f"Another run is loading {subject}. This one wrote nothing. Wait for the other, then run it again."
        )


def try_lock_new_table(connection: Connection, source: str) -> bool:
    """Take the session lock for the new table of a source; return False if another session has it."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", (lock_number(source, _NEW_TABLE),)).fetchone()
    return bool(row and row[0])


def unlock(connection: Connection) -> None:
    """Release every session lock of a connection."""
    connection.execute("SELECT pg_advisory_unlock_all()")


def take_over(connection: Connection, source: str, partition: str, run_id: str) -> Holder:
    """Take over a source partition under a new epoch, which fences off every earlier holder.

    Args:
        connection: Of a session that holds the lock.
        source: Name of the source.
        partition: Key of the partition.
        run_id: Of the run that takes over.
    """
    row = connection.execute(
        "INSERT INTO etl.fence AS f (source, partition, epoch, run_id) VALUES (%s, %s, 1, %s) "
        "ON CONFLICT (source, partition) DO UPDATE SET epoch = f.epoch + 1, run_id = excluded.run_id, "
        "taken_at = clock_timestamp() RETURNING epoch",
        (source, partition, run_id),
    ).fetchone()
    return Holder(source, partition, run_id, row[0] if row else 0)


def fence(connection: Connection, holder: Holder) -> None:
    """Check, inside a batch transaction, that no newer run has taken over the partition of the holder.

    No run can take over until the transaction ends.

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


def has_epoch(connection: Connection, holder: Holder) -> bool:
    """Return whether no newer run has taken over the partition of the holder, as things are now."""
    row = connection.execute(
        "SELECT epoch FROM etl.fence WHERE source = %s AND partition = %s", (holder.source, holder.partition)
    ).fetchone()
    return row is not None and row[0] == holder.epoch


def lock_writes(connection: Connection, source: str, *, shared: bool = False) -> None:
    """Take the lock for the writes of a source, until the transaction ends; wait while another batch has it.

    Without the lock, one transaction could overwrite a row that another leaves unchanged, and neither would notice.

    Args:
        connection: In a transaction.
        source: Name of the source.
        shared: Whether other transactions that also share the lock may write at the same time: they must have no key
            in common with this one.
    """
    function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
    connection.execute(f"SELECT {function}(%s)", (lock_number(source, _WRITES),))


def held_lock_numbers(connection: Connection) -> frozenset[int]:
    """Return the numbers of all advisory locks that any session of the database holds now."""
    return frozenset(number for (number,) in connection.execute(_HELD_LOCKS).fetchall())
