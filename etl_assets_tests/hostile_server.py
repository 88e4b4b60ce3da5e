"""A publisher that answers each connection with the bytes that a test writes, as slowly and as wrongly as it likes."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self, TypeAlias

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from types import TracebackType


@dataclass
class Request:
    """One request, and the connection to answer it by.

    Attributes:
        line: Method, target and version.
        headers: By names in lower case.
    """

    connection: socket.socket
    line: str
    headers: dict[str, str]

    @property
    def path(self) -> str:
        return self.line.split()[1]

    @property
    def method(self) -> str:
        return self.line.split()[0]

    def answer(self, body: bytes = b"", status: str = "200 OK", length: int | None = None, **headers: str) -> None:
        """Send a whole response with its length, or with another length than it has."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("Content-Length", str(len(body) if length is None else length))
        head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        self.send(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + (b"" if self.method == "HEAD" else body))

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def drip(self, data: bytes, pause: float = 0.05) -> None:
        """Send bytes one by one until the client hangs up."""
        for byte in data:
            self.send(bytes([byte]))
            time.sleep(pause)


Answer: TypeAlias = "Callable[[Request], None]"


@dataclass
class HostileServer:
    """Answers each request by a function, and closes the connection. Use it as a context manager.

    Attributes:
        answer: What answers.
        tls: For https.
        requests: All requests so far.
    """

    answer: Answer
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for thread in self._threads:
            thread.join()

    @property
    def port(self) -> int:
        return int(self._server.getsockname()[1])

    def url(self, path: str = "/a.csv", host: str = "127.0.0.1") -> str:
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{path}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            if self.tls is None:
                self._serve_one(connection)
                return
            with self.tls.wrap_socket(connection, server_side=True) as wrapped:
                self._serve_one(wrapped)

    def _serve_one(self, connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            if not (received := connection.recv(65536)):
                return
            head += received
        line, *lines = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in lines)}
        request = Request(connection, line, headers)
        self.requests.append(request)
        self.answer(request)
