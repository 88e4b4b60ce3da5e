"""Bodies that are slow, endless, cut, packed or changed: all bytes arrive, or an error."""

from __future__ import annotations

import gzip
import re
import time
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import Csv, FileExtractor, Partition
from etl_assets.errors import DeliveryError, DeliveryIncompleteError, DeliveryUnreachableError
from etl_assets.extract.access.http import Http
from etl_assets_tests.hostile_server import HostileServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets_tests.hostile_server import Answer, Request

TEXT = b"a,b\n" + b"".join(b"%d,x\n" % n for n in range(1000))
OLD = {"Last_Modified": "Wed, 03 Jan 2024 06:00:00 GMT", "Date": "Thu, 04 Jan 2024 06:00:00 GMT"}


def fetched(answer: Answer, **access: Any) -> bytes:
    declared = Http(**{"private": True, "wait": 0, "deadline": 20} | access)
    with (
        HostileServer(answer) as server,
        FileExtractor(location=server.url("/a.csv?t=hunter2"), format=Csv(), access=declared).fetch(
            Partition()
        ) as delivered,
    ):
        return delivered.stream.read()


def _drip_headers(request: Request) -> None:
    request.send(b"HTTP/1.1 200 OK\r\n")
    request.drip(b"X: y\r\n" * 1000)


def _drip_body(request: Request) -> None:
    request.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    request.drip(b"x" * 1000)


def _drip_without_length(request: Request) -> None:
    request.send(b"HTTP/1.1 200 OK\r\n\r\n")
    request.drip(b"x" * 1000)


def _send_nothing(request: Request) -> None:
    request.connection.recv(1)


@pytest.mark.parametrize("answer", [_drip_headers, _drip_body, _drip_without_length])
def test_a_server_that_sends_a_byte_now_and_then_is_left_at_the_deadline(answer: Answer) -> None:
    begin = time.monotonic()
    with pytest.raises(DeliveryUnreachableError, match=r"after 0\.4 seconds.*deadline="):
        fetched(answer, deadline=0.4, accept_without_length=True)
    assert time.monotonic() - begin < 40  # all of it takes 50


def test_a_server_that_sends_nothing_is_left_at_the_timeout() -> None:
    with pytest.raises(DeliveryUnreachableError, match="cannot be reached"):
        fetched(_send_nothing, timeout=0.2, attempts=2)


def test_an_endless_body_is_refused_at_the_largest_size() -> None:
    def answer(request: Request) -> None:
        request.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            request.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")

    with pytest.raises(DeliveryError, match=r"more than 100000 bytes.*max_bytes="):
        fetched(answer, max_bytes=100_000)


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + TEXT,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n0123456789abcdef\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n012345",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n0123456789abcdef\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(TEXT)[:-9],
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(TEXT)[:100],
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + TEXT,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n\r\n" + zlib.compress(TEXT)[:-3],
    ],
)
def test_a_body_cut_anywhere_is_incomplete(reply: bytes) -> None:
    with pytest.raises(DeliveryIncompleteError) as caught:
        fetched(lambda request: request.send(reply))
    assert "hunter2" not in str(caught.value)


def test_a_body_without_its_length_is_refused_unless_it_is_declared() -> None:
    reply = b"HTTP/1.1 200 OK\r\n\r\n" + TEXT
    with pytest.raises(DeliveryError, match="accept_without_length"):
        fetched(lambda request: request.send(reply))
    assert fetched(lambda request: request.send(reply), accept_without_length=True) == TEXT


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(TEXT)),
        ("x-gzip", gzip.compress(TEXT[:7]) + gzip.compress(b"") + gzip.compress(TEXT[7:])),
        ("deflate", zlib.compress(TEXT)),
        ("identity", TEXT),
    ],
)
def test_a_body_that_is_packed_although_none_was_asked_for_is_unpacked(coding: str, body: bytes) -> None:
    assert fetched(lambda request: request.answer(body, Content_Encoding=coding)) == TEXT


@pytest.mark.parametrize("coding", ["gzip, gzip", "br", "zstd", "compress"])
def test_another_packing_is_refused(coding: str) -> None:
    with pytest.raises(DeliveryError, match=f"the coding '{coding}'"):
        fetched(lambda request: request.answer(TEXT, Content_Encoding=coding))


def test_a_body_that_unpacks_to_too_much_is_refused() -> None:
    bomb = gzip.compress(bytes(10_000_000))
    with pytest.raises(DeliveryError, match="more than"):
        fetched(lambda request: request.answer(bomb, Content_Encoding="gzip"), max_bytes=1_000_000)


def _in_pieces(piece: int, **headers: Any) -> Answer:
    """Return a server that sends a piece of the text for each request, and ranges as they are asked for."""

    def answer(request: Request) -> None:
        match = re.fullmatch(r"bytes=([0-9]+)-", request.headers.get("range", ""))
        begin = int(match[1]) if match else 0
        ranged = {"Content_Range": f"bytes {begin}-{len(TEXT) - 1}/{len(TEXT)}"} if match else {}
        status = "206 Partial Content" if match else "200 OK"
        length = len(TEXT) - begin
        request.answer(TEXT[begin : begin + piece], status, length, **{**ranged, **headers})

    return answer


@pytest.mark.parametrize(("headers", "version"), [({"ETag": '"1"'}, '"1"'), (OLD, OLD["Last_Modified"])])
def test_a_download_that_breaks_again_and_again_is_resumed_where_it_stopped(
    headers: dict[str, str], version: str
) -> None:
    wanted = []

    def answer(request: Request) -> None:
        wanted.append((request.headers.get("range"), request.headers.get("if-range")))
        _in_pieces(1000, **headers)(request)

    assert fetched(answer) == TEXT
    assert wanted[:3] == [(None, None), ("bytes=1000-", version), ("bytes=2000-", version)]


def test_a_download_that_makes_no_progress_ends_after_the_declared_attempts() -> None:
    asked = []

    def answer(request: Request) -> None:
        asked.append(request.line)
        _in_pieces(0, ETag='"1"')(request)

    with pytest.raises(DeliveryIncompleteError, match="cut short"):
        fetched(answer, attempts=3)
    assert len(asked) == 3


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ETag": 'W/"1"', **OLD},
        {"Last_Modified": OLD["Last_Modified"]},
        {"Last_Modified": OLD["Date"], "Date": OLD["Date"]},
        {"Last_Modified": "yesterday", "Date": OLD["Date"]},
    ],
)
def test_a_download_of_a_version_that_is_not_named_for_certain_is_not_resumed(headers: dict[str, str]) -> None:
    asked = []

    def answer(request: Request) -> None:
        asked.append(request.line)
        _in_pieces(1000, **headers)(request)

    with pytest.raises(DeliveryIncompleteError):
        fetched(answer)
    assert len(asked) == 1


def _then(first: Answer, second: Answer) -> Answer:
    answers = iter([first])

    def answer(request: Request) -> None:
        next(answers, second)(request)

    return answer


def _range(text: str, **headers: Any) -> Callable[[Request], None]:
    return lambda request: request.answer(
        TEXT[1000:], "206 Partial Content", Content_Range=text, **({"ETag": '"1"'} | headers)
    )


_REST = f"bytes 1000-{len(TEXT) - 1}/{len(TEXT)}"


@pytest.mark.parametrize(
    "second",
    [
        _range(_REST, ETag='"2"'),
        _range(f"bytes 999-{len(TEXT) - 1}/{len(TEXT)}"),
        _range(f"bytes 1000-{len(TEXT)}/{len(TEXT) + 1}"),
        _range("bytes 1000-*/nonsense"),
        lambda request: request.answer(TEXT[1000:], "206 Partial Content", ETag='"1"'),
        lambda request: request.answer(TEXT, ETag='"2"'),
        lambda request: request.answer(TEXT[:-1], ETag='"1"'),
        lambda request: request.answer(status="416 Range Not Satisfiable", ETag='"1"'),
        lambda request: request.answer(status="403 Forbidden"),
    ],
)
def test_the_rest_of_another_version_or_of_another_place_is_not_taken(second: Answer) -> None:
    with pytest.raises(DeliveryIncompleteError, match="does not have the rest of the same version"):
        fetched(_then(_in_pieces(1000, ETag='"1"'), second))


def test_a_server_that_ignores_ranges_sends_all_again_and_the_known_part_is_skipped() -> None:
    assert fetched(_then(_in_pieces(1000, ETag='"1"'), lambda request: request.answer(TEXT, ETag='"1"'))) == TEXT
