"""A publisher with a REST API, which a test programs by a function of what is asked."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

Json: TypeAlias = Any


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes:
        params: Of the query.
        headers: By names in lower case.
        json: The body, if it is JSON.
        body: The body.
    """

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    json: Json
    body: bytes


@dataclass(frozen=True)
class Reply:
    """One answer; a body that is not bytes is sent as JSON.

    Attributes:
        broken: ``silent``: the connection is closed without an answer; ``cut``: in the middle of the body.
    """

    body: Json = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    broken: Literal["", "silent", "cut"] = ""


Answer: TypeAlias = "Callable[[Asked], Reply]"


@dataclass
class Api:
    """Answers each request by a function. Use it as a context manager.

    Attributes:
        answer: What answers; it may be called from several threads.
        asked: All requests so far.
    """

    answer: Answer
    asked: list[Asked] = field(default_factory=list)

    def __enter__(self) -> Self:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                asked = _read(self)
                api.asked.append(asked)
                reply = api.answer(asked)
                body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.close_connection = bool(reply.broken)
                if reply.broken == "silent":
                    return
                self.send_response(reply.status)
                for name, value in {"Content-Length": str(len(body)), **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if reply.broken == "cut" else body)

            do_GET = do_POST = do_HEAD = _answer  # noqa: N815 -- names of the base class

            def log_message(self, *_: object) -> None:
                """Write no log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, path: str = "/items") -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{path}"

    @property
    def targets(self) -> list[str]:
        """Path and parameters of each request, as ``/items page=2``."""
        return [
            " ".join([asked.path, *(f"{name}={value}" for name, value in asked.params.items())]) for asked in self.asked
        ]


def _read(handler: BaseHTTPRequestHandler) -> Asked:
    parts = urlsplit(handler.path)
    body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    headers = {name.lower(): value for name, value in handler.headers.items()}
    params = dict(parse_qsl(parts.query, keep_blank_values=True))
    return Asked(handler.command, parts.path, params, headers, document, body)


def numbered(count: int, first: int = 1) -> list[dict[str, Any]]:
    """Return so many records."""
    return [{"id": number, "name": f"item {number}"} for number in range(first, first + count)]


def page_of(records: Sequence[Json], asked: Asked, size: int) -> list[Json]:
    """Return the page with the number that is asked for."""
    number = int(asked.params.get("page", "1"))
    return list(records[(number - 1) * size : number * size])
