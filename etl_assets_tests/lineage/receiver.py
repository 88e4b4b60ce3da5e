"""A server that takes events of OpenLineage, and refuses what is none by the specification."""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Iterator

_TYPES = {"START", "COMPLETE", "ABORT", "FAIL", "OTHER", "RUNNING"}


@dataclass
class Receiver:
    """The server.

    Attributes:
        url: Its address.
        status: What it answers to valid events.
        events: The events that it took.
    """

    url: str = ""
    status: int = 200
    events: list[dict[str, Any]] = field(default_factory=list)

    def take(self, body: bytes) -> int:
        if self.status != 200:
            return self.status
        event = json.loads(body)
        check(event)
        self.events.append(event)
        return 200


def check(event: dict[str, Any]) -> None:
    """Raise an error unless an event has what the specification 2-0-2 requires, and no more at its top."""
    assert event.keys() <= {"eventTime", "eventType", "producer", "schemaURL", "run", "job", "inputs", "outputs"}
    assert datetime.fromisoformat(event["eventTime"]).tzinfo is not None
    assert event["eventType"] in _TYPES
    assert event["producer"].startswith("https://")
    assert event["schemaURL"].startswith("https://openlineage.io/spec/")
    UUID(event["run"]["runId"])
    assert event["job"]["namespace"]
    assert event["job"]["name"]
    for dataset in (*event.get("inputs", ()), *event.get("outputs", ())):
        assert dataset["namespace"]
        assert dataset["name"]
    for facet in _facets(event):
        assert facet["_producer"].startswith("https://")
        assert facet["_schemaURL"].startswith("https://openlineage.io/spec/facets/")


def _facets(event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for holder in (event["run"], event["job"], *event.get("inputs", ()), *event.get("outputs", ())):
        for kind in ("facets", "inputFacets", "outputFacets"):
            yield from (holder.get(kind) or {}).values()


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """A server on a free port of 127.0.0.1, for the length of a block."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                status = receiver.take(body)
            except (AssertionError, KeyError, ValueError):
                status = 422
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield receiver
        server.shutdown()
        thread.join()
