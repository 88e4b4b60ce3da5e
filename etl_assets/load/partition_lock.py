"""The lock of a source partition: a connection with the lock and its epoch, renewed when the connection breaks.

`delivery_load` and `transaction` decide what is written under the lock.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import psycopg
import stamina

from etl_assets.errors import BusyError
from etl_assets.postgres.connection import abandon_session, connect, end_session, open_session
from etl_assets.postgres.ledger import locks

if TYPE_CHECKING:
    from etl_assets.postgres.ledger.locks import Holder

_LOCK_SECONDS: Final = 40.0
"""Longer than the server needs to notice that the machine of a session, or the network to it, is gone."""


class PartitionLock:
    """Locks a source partition when it is created, and keeps the lock until `release`.

    Args:
        url: Of the warehouse.
        source: Name of the source.
        partition: Key of the partition.
        run_id: Id of the run that takes the lock.

    Attributes:
        connection: In autocommit; another one after `reconnect`.
        holder: The run and the epoch that the fence checks.

    Raises:
        BusyError: If another run has the lock.
    """

    def __init__(self, url: str, source: str, partition: str, run_id: str) -> None:
        self._url = url
        self._source = source
        self._partition = partition
        self.connection = open_session(url)
        try:
            locks.lock(self.connection, source, partition)
            self.holder: Holder = locks.take_over(self.connection, source, partition, run_id)
        except BaseException:
            abandon_session(url, self.connection)
            raise

    def reconnect(self) -> None:
        """Open another connection, and take the lock again unless a newer run has taken over.

        Raises:
            FencedError: If a newer run has taken over.
        """
        abandon_session(self._url, self.connection)
        self.connection = connect(self._url)
        self._lock_again()
        with self.connection.transaction():
            locks.fence(self.connection, self.holder)

    def release(self) -> None:
        """Release the lock at once: the server may need a moment to notice that a connection was closed."""
        with suppress(psycopg.Error):  # of a broken connection, which has no lock either
            locks.unlock(self.connection)
        end_session(self._url, self.connection)

    def _lock_again(self) -> None:
        """Take the lock again; the server may need a moment to notice that the broken session is gone."""
        for attempt in stamina.retry_context(on=BusyError, attempts=None, timeout=_LOCK_SECONDS, wait_max=0.5):
            with attempt:
                locks.lock(self.connection, self._source, self._partition)
