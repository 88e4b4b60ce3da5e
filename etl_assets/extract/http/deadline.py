"""`Deadline`: shuts connections when the time for a fetch is over.

A timeout of a socket is for one read, so that a server which sends a byte now and then would keep a fetch for ever.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from threading import Lock, Timer
from typing import TYPE_CHECKING, Self

from etl_assets.errors import DeliveryUnreachableError

if TYPE_CHECKING:
    from types import TracebackType


class Deadline:
    """The end of the time for one fetch, with all its attempts. It begins where the block is entered."""

    def __init__(self, seconds: float, where: str) -> None:
        """Set the time.

        Args:
            seconds: From the start of the block.
            where: What is fetched, without secrets, for the error.
        """
        self._seconds = seconds
        self._where = where
        self._sockets: list[socket.socket] = []
        self._lock = Lock()
        self._expired = False
        self._timer = Timer(seconds, self._expire)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._end = time.monotonic() + self._seconds
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._timer.cancel()
        with self._lock:
            for watched in self._sockets:
                watched.close()
            self._sockets.clear()

    def watch(self, connection: socket.socket) -> None:
        """Shut a connection when the time is over. It may be wrapped by TLS afterwards."""
        with self._lock:
            self._sockets.append(connection.dup())
            if self._expired:
                self._shut()

    def check(self) -> None:
        """Raise a `DeliveryUnreachableError` if the time is over: then an end of a body means nothing."""
        if self._expired:
            raise DeliveryUnreachableError(
                f"{self._where} was not there after {self._seconds:g} seconds. Nothing was written. Run again; if it "
                "always takes longer, declare more seconds with deadline=… of its access."
            )

    def sleep(self, seconds: float) -> bool:
        """Wait, and return True; return False at once if the time would be over before."""
        if seconds >= self._end - time.monotonic():
            return False
        time.sleep(seconds)
        return True

    def _expire(self) -> None:
        with self._lock:
            self._expired = True
            self._shut()

    def _shut(self) -> None:
        for watched in self._sockets:
            with suppress(OSError):  # the other side may have closed it
                watched.shutdown(socket.SHUT_RDWR)
