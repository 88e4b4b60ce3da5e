"""Reads batches in a thread while earlier ones are frozen, and gives up on a database that has become silent."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    import pyarrow as pa

_GRACE: Final = 5.0
"""Seconds for which a thread that should end is waited for, since the database may be silent."""


class SilentError(Exception):
    """No batch came for longer than allowed."""


class Ahead:
    """A context in which a thread reads one batch ahead.

    An error of the database is raised where its batch would have come. If the block is left early, the thread closes
    the batches.

    Args:
        batches: From now on only the thread uses them, and the connection that they come from.
        seconds: For how long no batch may come.
        close: Closes the connection. The thread calls it if it is stuck, once it no longer is.

    Attributes:
        is_stuck: Whether the thread still waits for a silent database. Nobody else may close its connection then.
    """

    def __init__(self, batches: Generator[pa.RecordBatch], seconds: float, close: Callable[[], None]) -> None:
        self.is_stuck = False
        self._close = close
        self._is_done = False
        self._lock = threading.Lock()
        self._batches = batches
        self._seconds = seconds
        self._ready: queue.SimpleQueue[pa.RecordBatch | BaseException | None] = queue.SimpleQueue()
        self._room = threading.Semaphore(1)
        self._stopped = False
        self._has_ended = False
        self._thread = threading.Thread(target=self._read, name="etl-assets-database", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._room.release()
        self._thread.join(None if self._has_ended else _GRACE)
        with self._lock:
            self.is_stuck = not self._is_done

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches.

        Raises:
            SilentError: If none comes for longer than allowed.
        """
        while True:
            try:
                batch = self._ready.get(timeout=self._seconds)
            except queue.Empty:
                raise SilentError from None
            self._has_ended = batch is None or isinstance(batch, BaseException)
            if batch is None:
                return
            if isinstance(batch, BaseException):
                raise batch
            self._room.release()
            yield batch
            del batch

    def _read(self) -> None:
        try:
            while self._room.acquire() and not self._stopped:
                self._ready.put(next(self._batches, None))
        except BaseException as error:  # noqa: BLE001 -- raised again where the batch would have come
            self._ready.put(error)
        finally:
            try:
                self._batches.close()
            finally:
                with self._lock:
                    self._is_done = True
                if self.is_stuck:
                    self._close()
