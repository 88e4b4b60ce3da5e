"""A TCP proxy between a run and its server, in a process of its own: it cuts one connection, or delays all."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from etl_assets_tests.chaos.processes import Flags

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets_tests.chaos.history import Fault

_COMMIT: Final = b"COMMIT\0"
_LONGEST_DELAY: Final = 0.01
_ANSWER: Final = 0.02
"""Seconds after which the server has committed, before its answer is thrown away."""


@contextmanager
def proxied(port: int, fault: Fault) -> Iterator[tuple[int, Flags]]:
    """Forward connections to a port of this machine for the length of a block.

    Args:
        port: Of the server.
        fault: Where one connection is cut; with an empty point, each answer is delayed.

    Yields:
        The port of the proxy, and its flags: ``MET`` when the fault has come.
    """
    flags = Flags()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        own = int(listener.getsockname()[1])
        pid = os.fork()
        if pid == 0:
            try:
                _Proxy(listener, port, fault, flags).serve()
            finally:
                os._exit(1)
    try:
        yield own, flags
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


class _Proxy:
    """Forwards what comes, until the fault is due."""

    def __init__(self, listener: socket.socket, port: int, fault: Fault, flags: Flags) -> None:
        self._listener = listener
        self._port = port
        self._fault = fault
        self._flags = flags
        self._selector = selectors.DefaultSelector()
        self._peers: dict[socket.socket, socket.socket] = {}
        self._clients: set[socket.socket] = set()
        self._bytes_left = 200 + int(fault.share * 30_000)
        self._commits_left = fault.times

    def serve(self) -> None:
        """Forward until the process is killed."""
        self._selector.register(self._listener, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._peers:
                    self._forward(key.fileobj)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self._port))
        except OSError:
            client.close()
            return
        self._peers |= {client: server, server: client}
        self._clients.add(client)
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(end, selectors.EVENT_READ)

    def _forward(self, end: socket.socket) -> None:
        try:
            data = end.recv(65_536)
            if not data:
                self._close(end)
            elif not self._cut(end, data):
                self._peers[end].sendall(data)
        except OSError:
            self._close(end)

    def _cut(self, end: socket.socket, data: bytes) -> bool:
        """Cut the connection if the fault is due; return whether the data are dealt with."""
        from_client = end in self._clients
        if not self._fault.point:
            self._flags.set(Flags.MET)
            time.sleep(0 if from_client else self._fault.share * _LONGEST_DELAY)
            return False
        if self._flags[Flags.MET] or not from_client:
            return False
        if self._fault.point == "at some byte":
            self._bytes_left -= len(data)
            due = self._bytes_left <= 0
            sent = data[: max(0, len(data) + self._bytes_left)]
        else:
            self._commits_left -= _COMMIT in data
            due = self._commits_left <= 0 and _COMMIT in data
            sent = data if self._fault.point == "after COMMIT" else b""
        if due:
            self._flags.set(Flags.MET)
            self._peers[end].sendall(sent)
            time.sleep(_ANSWER)
            self._close(end)
        return due

    def _close(self, end: socket.socket) -> None:
        for each in (end, self._peers.get(end)):
            if each is not None and each in self._peers:
                del self._peers[each]
                self._clients.discard(each)
                with contextlib.suppress(KeyError):
                    self._selector.unregister(each)
                each.close()
