"""A proxy before the test server, which a test takes away and brings back."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator


class Proxy:
    """Forwards connections to a server, unless it is away.

    Attributes:
        url: The URL of the same database through the proxy.
        refused: How many connections were refused while it was away.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname or "127.0.0.1", parts.port or 5432)
        self._listener = socket.create_server(("127.0.0.1", 0))
        credentials = parts.netloc.rpartition("@")[0]
        address = f"{credentials}@127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = parts._replace(netloc=address).geturl()
        self.refused = 0
        self._returns_after: int | None = 0
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def go_away(self, returns_after: int | None = None) -> None:
        """End every connection and refuse others: for ever, or until some were refused."""
        with self._lock:
            self.refused, self._returns_after = 0, returns_after
            while self._open:
                with suppress(OSError):
                    self._open.pop().shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End everything."""
        self.go_away()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self._returns_after is None or self.refused < self._returns_after:
                    self.refused += 1
                    client.close()
                    continue
                server = socket.create_connection(self._server)
                self._open += [client, server]
            for ends in ((client, server), (server, client)):
                self._threads.append(threading.Thread(target=_forward, args=ends))
                self._threads[-1].start()


def _forward(source: socket.socket, target: socket.socket) -> None:
    with source:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxied(url: str) -> Iterator[Proxy]:
    """Open a proxy for a block."""
    proxy = Proxy(url)
    try:
        yield proxy
    finally:
        proxy.close()
