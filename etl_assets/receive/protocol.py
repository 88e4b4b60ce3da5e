"""The protocol of a connection: that of uvicorn with limits for what comes before, between and around bodies.

uvicorn limits neither the time nor the size of headers, and answers broken requests with plain text. This class uses
inner names of uvicorn; the tests send what it must stop.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

HEADER_SECONDS: Final = 4.0
"""Seconds within which the headers of a request must arrive, from the first byte of a request or of a connection."""
KEEP_ALIVE_SECONDS: Final = 15.0
"""Seconds after an answer within which the next request must begin."""
HEADER_BYTES: Final = 32 * 1024
"""The largest size of the headers of a request, and of whatever else is no body."""
CONNECTIONS: Final = 512
"""The largest number of connections of a process."""
_CHUNK: Final = 256 * 1024
"""How much asyncio reads at a time: of one chunk it is only known afterwards what it was."""


class GuardedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=False)  # such data may be the rest of a file
        self._deadline: asyncio.TimerHandle | None = None
        self._besides = 0
        self._header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin the time of the first headers; refuse one connection too many."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections are open. Send it again in a moment.")
        self._within(HEADER_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the time."""
        self._within(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse bytes; close the connection if too many of them are no body."""
        self._besides += len(data)
        super().data_received(data)
        if self._besides > HEADER_BYTES + _CHUNK:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """Begin the time of the headers."""
        super().on_message_begin()
        self._header_bytes = 0
        self._within(HEADER_SECONDS)

    def on_url(self, url: bytes) -> None:
        """Count the bytes of the address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count the bytes of a header, also of one after a body."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End the time of the headers."""
        self._within(None)
        self._besides = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take bytes of a body, which has limits of its own."""
        self._besides = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        """Begin the time until the next request, unless one is here already."""
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._within(KEEP_ALIVE_SECONDS)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP. A request before it on this connection is given up, for its end is not known."""
        del msg
        self._within(None)
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        if self._header_bytes > HEADER_BYTES:
            text = f"The headers have more than {HEADER_BYTES:,} bytes. Nothing was kept. Send shorter ones."
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text)
            return
        self._refuse(HTTPStatus.BAD_REQUEST, "This is no request of HTTP/1.1. Nothing was kept. Correct it.")

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > HEADER_BYTES:
            raise ValueError("The headers are too large.")  # the parser ends, and `send_400_response` is called

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        content = json.dumps({"error": text}).encode() + b"\n"
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
        head += f"content-length: {len(content)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + content)
        self.transport.close()

    def _within(self, seconds: float | None) -> None:
        """Close the connection after so many seconds, unless this is called again; with None, never."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.transport.abort)
