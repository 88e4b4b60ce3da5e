"""Several processes load one delivery: each prepares a share of the batches, and all are written in their order.

A batch is written when the ledger has the one before, so that the table, the counts and the rejected records are those
of one process. The run keeps the lock of the partition, and its epoch fences all of them. It takes over what a process
leaves that ends, or that never began.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from etl_assets.load.partition_lock import PartitionLock
from etl_assets.postgres.connection import abandon_session, open_session
from etl_assets.postgres.ledger import entries, locks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection

HandOut: TypeAlias = "Callable[[Share], None]"
"""Lets another process load a share, now or later."""
START_SECONDS: Final = 15.0
"""How long a run waits for a process to begin with its share."""
_POLL_SECONDS: Final = 0.02


@dataclass(frozen=True)
class Share:
    """Every so many batches of a delivery, which one process prepares. It contains only what JSON can.

    Attributes:
        source: Name of the source.
        partition: Key of the partition.
        run_id: Of the run that has the partition.
        epoch: Of the run.
        delivery: Id of the delivery.
        missing: Numbers of the batches that the ledger lacked, in order.
        number: Of the share; 0 is that of the run, which has the last batch.
        of: How many shares there are.
    """

    source: str
    partition: str
    run_id: str
    epoch: int
    delivery: int
    missing: tuple[int, ...]
    number: int
    of: int

    @property
    def own(self) -> frozenset[int]:
        """Numbers of its batches."""
        return frozenset(batch for batch in self.missing if self.owner(batch) == self.number)

    def owner(self, batch: int) -> int:
        """Return the number of the share that has a batch."""
        return (len(self.missing) - 1 - self.missing.index(batch)) % self.of

    def before(self, batch: int) -> int | None:
        """Return the missing batch before one; None if it is the first."""
        place = self.missing.index(batch)
        return self.missing[place - 1] if place else None

    @property
    def holder(self) -> locks.Holder:
        """The run, whose epoch the fence checks."""
        return locks.Holder(self.source, self.partition, self.run_id, self.epoch)

    def lock_number(self, number: int) -> int:
        """Return the number of the lock that the process of a share holds as long as it lives."""
        return locks.lock_number(f"\0share {self.delivery} {self.epoch}", str(number))


class ShareLock(PartitionLock):
    """The session of a process that loads a share. It has the run's epoch, and no lock of the partition.

    Args:
        url: Of the warehouse.
        share: What the process loads.
    """

    def __init__(self, url: str, share: Share) -> None:
        self._url = url
        self._share = share
        self.connection = open_session(url)
        self.holder = share.holder
        try:
            self._lock_again()
        except BaseException:
            abandon_session(url, self.connection)
            raise

    def _lock_again(self) -> None:
        self.connection.execute("SELECT pg_advisory_lock(%s)", (self._share.lock_number(self._share.number),))


class Turns:
    """Says when a batch of a delivery may be written.

    Args:
        delivery: The delivery.
        share: That of this process.
    """

    def __init__(self, delivery: Delivery, share: Share) -> None:
        self.share = share
        self._delivery = delivery
        self._begun: set[int] = set()
        self._until = time.monotonic() + START_SECONDS

    @contextmanager
    def turn(self, connection: Connection, batch: int) -> Iterator[bool]:
        """Keep every other process from writing; yield whether the batch is still to be written."""
        number = locks.lock_number(f"\0turn {self._delivery.id}", "")
        connection.execute("SELECT pg_advisory_lock(%s)", (number,))
        try:
            yield not self._is_written(connection, batch)
        finally:
            if not connection.broken:
                connection.execute("SELECT pg_advisory_unlock(%s)", (number,))

    def come(self, connection: Connection, batch: int) -> bool:
        """Wait until a batch of this share may be written; return False if the run does without this process.

        The run is asked while nothing changes: it may have ended, or have been taken over.
        """
        before = self.share.before(batch)
        while before is not None and not self._is_written(connection, before):
            if not self.is_wanted(connection):
                return False
            time.sleep(_POLL_SECONDS)
        return self.is_wanted(connection)

    def is_wanted(self, connection: Connection) -> bool:
        """Return whether the run still has the partition."""
        lock = locks.lock_number(self.share.source, self.share.partition)
        return lock in locks.held_lock_numbers(connection) and locks.has_epoch(connection, self.share.holder)

    def is_written_elsewhere(self, connection: Connection, batch: int) -> bool:
        """Wait for the process that has a batch; return False if it is gone, or has not begun in time."""
        owner = self.share.owner(batch)
        lock = self.share.lock_number(owner)
        while not self._is_written(connection, batch):
            if lock in locks.held_lock_numbers(connection):
                self._begun.add(owner)
            elif owner in self._begun or time.monotonic() > self._until:
                return self._is_written(connection, batch)
            time.sleep(_POLL_SECONDS)
        return True

    def _is_written(self, connection: Connection, batch: int) -> bool:
        return entries.find_batch(connection, self._delivery, batch) is not None
