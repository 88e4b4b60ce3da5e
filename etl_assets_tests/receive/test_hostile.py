"""Connections that are slow, broken, too large or too many: none is kept, none stops the others."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psutil
import pytest

from etl_assets.receive.protocol import HEADER_BYTES, HEADER_SECONDS, KEEP_ALIVE_SECONDS
from etl_assets_tests.receive.receiving import TOKEN, head, read_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets_tests.receive.receiving import Receiving

MOST = HEADER_SECONDS + 3.0


@pytest.fixture(autouse=True)
def nothing_is_kept(shared: Receiving) -> Iterator[None]:
    """No test of this module leaves a file or a part; the receiver answers after each."""
    before = shared.files("small") + shared.files("orders")
    yield
    shared.until(lambda: not shared.parts("small") + shared.parts("orders"))
    assert shared.files("small") + shared.files("orders") == before
    assert shared.send("", method="GET", path="/health").status == 200


def seconds_until_closed(connection: socket.socket, drip: bytes = b"", every: float = 0.3) -> float:
    """Return after which time the receiver closes a connection on which bytes drip."""
    started = time.monotonic()
    connection.settimeout(every)
    while time.monotonic() - started < 60:
        try:
            if drip:
                connection.sendall(drip)
            if not connection.recv(65536):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - started


def read_answer(connection: socket.socket) -> bytes:
    """Read one answer to a request for the health."""
    data = b""
    while not data.endswith(b'{"status": "ok"}\n'):
        chunk = connection.recv(4096)
        assert chunk
        data += chunk
    return data


HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
BEGUN = b"PUT /receive/orders HTTP/1.1\r\n"
SLOW: dict[str, tuple[bytes, bytes, bytes, float]] = {
    "silent": (b"", b"", b"", MOST),
    "headers drip": (b"", BEGUN, b"X-A: b\r\n", MOST),
    "one header drips": (b"", BEGUN, b"x", MOST),
    "only blank lines": (b"", b"", b"\r\n", MOST),
    "headers of a second request drip": (HEALTH, BEGUN, b"X-A: b\r\n", MOST),
    "blank lines after an answer": (HEALTH, b"", b"\r\n", KEEP_ALIVE_SECONDS + MOST),
}
"""What is answered, sent after it, and drips; and the seconds within which the connection must be closed."""


@pytest.fixture(scope="module")
def lasted(shared: Receiving) -> dict[str, float]:
    """How long each slow connection lasted; all are open at the same time."""

    def measure(name: str) -> float:
        answered, begun, drip, _ = SLOW[name]
        with shared.connection(answered) as connection:
            if answered:
                assert read_answer(connection).startswith(b"HTTP/1.1 200 ")
            connection.sendall(begun)
            return seconds_until_closed(connection, drip)

    with ThreadPoolExecutor(len(SLOW)) as threads:
        return dict(zip(SLOW, threads.map(measure, SLOW), strict=True))


@pytest.mark.parametrize("name", SLOW)
def test_a_connection_without_whole_headers_is_closed(lasted: dict[str, float], name: str) -> None:
    assert lasted[name] < SLOW[name][3]


def test_a_publisher_who_pauses_between_requests_keeps_the_connection(shared: Receiving) -> None:
    with shared.connection(HEALTH) as connection:
        assert read_answer(connection).startswith(b"HTTP/1.1 200 ")
        time.sleep(HEADER_SECONDS + 1)
        connection.sendall(HEALTH)
        assert read_answer(connection).startswith(b"HTTP/1.1 200 ")


def test_a_real_publisher_is_served_beside_sixty_silent_connections(shared: Receiving) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(shared.connection())
        started = time.monotonic()
        assert shared.send("small", b"x" * 1001).status == 413
        assert time.monotonic() - started < 60 * HEADER_SECONDS


def test_connections_beyond_the_largest_number_are_refused_and_the_others_go_on(shared: Receiving) -> None:
    assert shared.process is not None
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(shared.connection()) for _ in range(540)]
        refused = 0
        for connection in opened[-20:]:
            connection.settimeout(5)
            with contextlib.suppress(OSError):
                refused += connection.recv(4096).startswith(b"HTTP/1.1 503 ")
        assert refused
        assert shared.process.poll() is None
    shared.until(lambda: _health(shared))


def _health(shared: Receiving) -> bool:
    try:
        return shared.send("", method="GET", path="/health").status == 200
    except OSError:
        return False


def test_a_body_that_pauses_is_refused(shared: Receiving) -> None:
    with shared.connection(head("small", "Content-Length: 100") + b"x") as connection:
        assert read_all(connection).startswith(b"HTTP/1.1 408 ")


def test_a_body_that_drips_is_refused_after_its_time(shared: Receiving) -> None:
    started = time.monotonic()
    with shared.connection(head("small", "Content-Length: 100")) as connection:
        answers: list[bytes] = []
        reader = threading.Thread(target=lambda: answers.append(read_all(connection)))
        reader.start()
        with contextlib.suppress(OSError):
            while reader.is_alive():
                connection.sendall(b"x")
                time.sleep(0.3)
        reader.join()
    assert answers[0].startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - started < 3 + MOST


def test_a_body_shorter_than_its_length_is_not_kept(shared: Receiving) -> None:
    with shared.connection(head("orders", "Content-Length: 100") + b"id\n1\n"):
        pass


@pytest.mark.parametrize("after", ["close", "keep-alive"])
def test_a_body_longer_than_its_length_is_not_acknowledged_and_not_kept(shared: Receiving, after: str) -> None:
    with shared.connection(
        head("orders", "Content-Length: 5", f"Connection: {after}") + b"id\n1\n2\n3\n"
    ) as connection:
        assert read_all(connection).startswith(b"HTTP/1.1 400 ")


def test_chunks_that_are_cut_are_not_kept(shared: Receiving) -> None:
    for end in (b"", b"5\r\nid\n1\n\r\n", b"5\r\nid"):
        with shared.connection(head("orders", "Transfer-Encoding: chunked") + end):
            pass


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: -1",),
        ("Content-Length: five",),
        ("Transfer-Encoding: gzip",),
        ("Bad Header: x",),
        ("X: a\0b",),
    ],
)
def test_a_request_with_two_readings_or_none_is_refused(shared: Receiving, lines: tuple[str, ...]) -> None:
    with shared.connection(head("orders", *lines) + b"5\r\nid\n1\n\r\n0\r\n\r\n") as connection:
        assert read_all(connection)[:12] in {b"HTTP/1.1 400", b"HTTP/1.1 413"}


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200,
        b"GET\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PUT \xff\xfe HTTP/1.1\r\n\r\n",
        b"\0" * 1000,
    ],
)
def test_what_is_no_request_is_answered_in_json_and_closed(shared: Receiving, data: bytes) -> None:
    with shared.connection(data) as connection:
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 4")
    assert b'{"error": ' in answer


@pytest.mark.parametrize("where", ["one header", "many headers", "address"])
def test_headers_that_are_too_large_are_refused(shared: Receiving, where: str) -> None:
    much = HEADER_BYTES + 1
    data = {
        "one header": head("orders", "X: " + "a" * much, "Content-Length: 0"),
        "many headers": head("orders", *["X: abcdef"] * (much // 7), "Content-Length: 0"),
        "address": b"PUT /" + b"a" * much + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    }[where]
    with shared.connection(data) as connection:
        assert read_all(connection).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("begin", ["header", "trailer", "extension"])
def test_endless_bytes_beside_a_body_end_the_connection_and_take_no_memory(shared: Receiving, begin: str) -> None:
    data = {
        "header": b"PUT /receive/orders HTTP/1.1\r\nX: ",
        "trailer": head("orders", "Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\nX: ",
        "extension": head("orders", "Transfer-Encoding: chunked") + b"1;x=",
    }[begin]
    assert shared.process is not None
    process = psutil.Process(shared.process.pid)
    before = process.memory_info().rss
    sent = 0
    with shared.connection(data) as connection, contextlib.suppress(OSError):
        while sent < 64 * 1024 * 1024:
            connection.sendall(b"a" * 65536)
            sent += 65536
    assert sent < 32 * 1024 * 1024
    assert process.memory_info().rss - before < 32 * 1024 * 1024


def test_many_pipelined_requests_are_answered_and_take_no_memory(shared: Receiving) -> None:
    data = head("orders", "Content-Length: 0") * 3000
    with shared.connection() as connection:
        sender = threading.Thread(target=lambda: _send(connection, data))
        sender.start()
        answer = read_all(connection)
        sender.join()
    assert answer.startswith(b"HTTP/1.1 400 ")


def _send(connection: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)


def test_nothing_of_a_publisher_gets_into_the_log(shared: Receiving) -> None:
    shared.send("secret_path", b"secret body", Authorization="Bearer secret-token")
    with shared.connection(b"PUT /secret\x1b[2J HTTP/1.1\r\nsecret: secret\r\n\r\n") as connection:
        read_all(connection)
    time.sleep(0.2)
    log = "".join(shared.log)
    assert "secret" not in log
    assert TOKEN not in log
    assert "Traceback" not in log
