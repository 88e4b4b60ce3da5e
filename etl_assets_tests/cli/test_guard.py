"""The guard of the Dagster UI, before an application that answers everything; a real server, asked over raw sockets."""

from __future__ import annotations

import socket
import threading
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute

from etl_assets.cli.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request
    from starlette.websockets import WebSocket

_METHODS = ["GET", "POST", "DELETE"]
_UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


async def _answer(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("answered")


async def _accept(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    routes = [WebSocketRoute("/graphql", _accept), Route("/{path:path}", _answer, methods=_METHODS)]
    guarded = Guard(Starlette(routes=routes), frozenset({"dagster.example.org"}))
    server = uvicorn.Server(uvicorn.Config(guarded, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join()


def _ask(port: int, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
    """Send a request to the server; return its status and the rest of its answer. ``{port}`` stands for its port."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    lines += [] if "Connection" in headers else ["Connection: close"]
    with closing(socket.create_connection(("127.0.0.1", port), timeout=60)) as client:
        client.sendall("\r\n".join([*lines, "", ""]).replace("{port}", str(port)).encode())
        answer = b"".join(iter(lambda: client.recv(65536), b"")).decode("latin-1")
    return int(answer.split()[1]), answer


def _status(port: int, method: str, path: str, **headers: str) -> int:
    return _ask(port, method, path, {"Host": "127.0.0.1:{port}"} | headers)[0]


@pytest.mark.parametrize(
    "host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST", "127.0.0.2", "[::1]:8080", "dagster.example.org"]
)
def test_loopback_and_declared_hosts_are_answered_on_any_port(port: int, host: str) -> None:
    assert _status(port, "GET", "/runs", Host=host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:{port}", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example@localhost.",
        "10.0.0.1", "0.0.0.0:{port}", "[", "", "localhost, evil.example", "evil.dagster.example.org",
    ],
)  # fmt: skip
def test_a_name_that_was_rebound_to_loopback_is_refused(port: int, host: str) -> None:
    status, answer = _ask(port, "GET", "/runs", {"Host": host})
    assert status in {400, 403}
    assert "answered" not in answer


def test_a_refusal_says_what_to_do(port: int) -> None:
    _, answer = _ask(port, "GET", "/runs", {"Host": "evil.example"})
    assert "Nothing was done" in answer
    assert "ETL_ASSETS_UI_HOSTS" in answer


@pytest.mark.parametrize(
    "page", ["http://127.0.0.1:{port}", "HTTP://127.0.0.1:{port}", "https://dagster.example.org", None]
)
def test_pages_of_the_ui_and_programs_may_change_something(port: int, page: str | None) -> None:
    assert _status(port, "POST", "/graphql", **({"Origin": page} if page else {})) == 200
    assert _status(port, "POST", "/graphql", **({"Referer": f"{page}/runs"} if page else {})) == 200


@pytest.mark.parametrize(
    "page",
    ["http://evil.example", "null", "http://127.0.0.1:1", "http://localhost:{port}", "http://[", "file://", ""],
)
def test_pages_of_other_sites_may_not(port: int, page: str) -> None:
    for method, path in (("POST", "/graphql"), ("POST", "/report_asset_check/x"), ("GET", "/logs/x")):
        assert _status(port, method, path, Origin=page) == 403
    assert _status(port, "POST", "/graphql", Referer=page) == 403
    assert _status(port, "GET", "/graphql?query=%7Bversion%7D", Referer=page) == 403


def test_a_link_on_another_site_may_be_followed(port: int) -> None:
    assert _status(port, "GET", "/runs/1", Referer="https://mail.example/") == 200


@pytest.mark.parametrize("query", ["{version}", "query A {version} query B {version}", "no graphql", ""])
def test_graphql_by_get_may_query(port: int, query: str) -> None:
    assert _status(port, "GET", f"/graphql?query={quote(query)}") == 200


@pytest.mark.parametrize(
    "query",
    ["mutation {reloadWorkspace {x}}", "query A {version} mutation B {x}", "#\n mutation{x}", "subscription {x}"],
)
def test_graphql_by_get_may_not_change_anything(port: int, query: str) -> None:
    for prefix in ("", "query=%7Bversion%7D&"):
        assert _status(port, "GET", f"/graphql?{prefix}operationName=B&query={quote(query)}") == 403
    assert _status(port, "GET", f"/%67raphql?query={quote(query)}") == 403


@pytest.mark.parametrize(
    ("page", "status"),
    [("http://127.0.0.1:{port}", 101), (None, 101), ("http://evil.example", 403), ("null", 403)],
)
def test_a_websocket_is_opened_only_by_pages_of_the_ui_and_programs(port: int, page: str | None, status: int) -> None:
    assert _status(port, "GET", "/graphql", **_UPGRADE, **({"Origin": page} if page else {})) == status


def test_a_websocket_to_a_rebound_name_is_refused(port: int) -> None:
    assert _status(port, "GET", "/graphql", **_UPGRADE, Host="evil.example") == 403
