"""Reads batches in a thread while earlier ones are frozen, and gives up on a database that has become silent."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from etl_assets.extract.prefetch import Ended, Failed, Prefetch

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_GRACE: Final = 5.0
"""Seconds for which a thread that should end is waited for, since the database may be silent."""


class SilentError(Exception):
    """No batch came for longer than allowed."""


class Ahead(Prefetch[pa.RecordBatch]):
    """A context in which a thread reads one batch ahead. Iterating raises a `SilentError` if none comes in time.

    Args:
        batches: From now on only the thread uses them, and the connection that they come from.
        seconds: For how long no batch may come.
        close: Closes the connection. The thread calls it if it is stuck, once it no longer is.

    Attributes:
        is_stuck: Whether the thread still waits for a silent database. Nobody else may close its connection then.
    """

    def __init__(self, batches: Generator[pa.RecordBatch], seconds: float, close: Callable[[], None]) -> None:
        super().__init__(batches)
        self.is_stuck = False
        self._seconds = seconds
        self._close = close
        self._lock = threading.Lock()
        self._has_ended = False
        self._is_done = False

    def _join(self) -> None:
        self._thread.join(None if self._has_ended else _GRACE)
        with self._lock:
            self.is_stuck = not self._is_done

    def _take(self) -> pa.RecordBatch | Failed | Ended:
        try:
            item = self._ready.get(timeout=self._seconds)
        except queue.Empty:
            raise SilentError from None
        self._has_ended = isinstance(item, Failed | Ended)
        return item

    def _pull(self) -> None:
        try:
            super()._pull()
        finally:
            with self._lock:
                self._is_done = True
            if self.is_stuck:
                self._close()
