"""`Deadline`: shuts connections when the time for a fetch is over.

A timeout of a socket is for one read, so that a server which sends a byte now and then would keep a fetch for ever.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from functools import partial
from threading import RLock, Timer
from typing import TYPE_CHECKING, Self

from etl_assets.errors import DeliveryUnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable
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
        self._sockets: set[socket.socket] = set()
        self._lock = RLock()  # a collection of garbage within it may end the watch of a connection
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
            for watched in list(self._sockets):
                watched.close()
            self._sockets.clear()

    def watch(self, connection: socket.socket) -> Callable[[], None]:
        """Shut a connection when the time is over. It may be wrapped by TLS afterwards.

        Returns:
            What ends that; until then the connection stays open, even if it was closed elsewhere.
        """
        watched = connection.dup()
        with self._lock:
            self._sockets.add(watched)
            if self._expired:
                self._shut()
        return partial(self._forget, watched)

    def _forget(self, watched: socket.socket) -> None:
        with self._lock:
            self._sockets.discard(watched)
            watched.close()

    def check(self) -> None:
        """Raise a `DeliveryUnreachableError` if the time is over: then an end of a body means nothing."""
        if self._expired:
            seconds = round(self._seconds, 1) if self._seconds < 1 else round(self._seconds)
            raise DeliveryUnreachableError(
                f"{self._where} was not there after {seconds:g} seconds. Nothing was written. Run "
                "again; if it always takes longer, declare more seconds with deadline=… of its access."
            )

    @property
    def left(self) -> float:
        """The seconds that are left; a little more than 0 if there are none."""
        return max(0.001, self._end - time.monotonic())

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
        for watched in list(self._sockets):
            with suppress(OSError):  # the other side may have closed it
                watched.shutdown(socket.SHUT_RDWR)
