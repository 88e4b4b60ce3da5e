"""Servers that are slow, break off, pack, or send too much."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING, Any, Final

from etl_assets import Ndjson
from etl_assets.errors import DeliveryError, DeliveryIncompleteError, DeliveryUnreachableError
from etl_assets_tests.extract.rest.hostile.scenario import Scenario, document, every, one_by_one, send, sends

if TYPE_CHECKING:
    from etl_assets_tests.hostile_server import Answer, Request

WHOLE: Final = document()
_SHORT: Final = {"deadline": 0.9}
_DEADLINE: Final = "`deadline` of the access"
_ATTEMPTS: Final = "`attempts` of the access"
_ONCE: Final = "one request"


def _raw(*parts: bytes) -> Answer:
    return lambda request: request.send(b"".join(parts))


def _head(*lines: bytes) -> bytes:
    return b"\r\n".join((b"HTTP/1.1 200 OK", b"Content-Type: application/json", *lines, b"", b""))


def _drip_headers(request: Request) -> None:
    request.send(b"HTTP/1.1 200 OK\r\n")
    request.drip(b"X: y\r\n" * 10_000, 0.01)


def _drip(*lines: bytes) -> Answer:
    def answer(request: Request) -> None:
        request.send(_head(*lines))
        request.drip(b" " * 10_000, 0.01)

    return answer


def _for_ever(request: Request) -> None:
    while True:
        request.send(b"HTTP/1.1 100 Continue\r\n\r\n")


def _in_pieces(request: Request) -> None:
    """Break off after 50 bytes; go on where a range asks for."""
    match = re.fullmatch(r"bytes=([0-9]+)-", request.headers.get("range", ""))
    begin = int(match[1]) if match else 0
    ranged = {"Content_Range": f"bytes {begin}-{len(WHOLE) - 1}/{len(WHOLE)}"} if match else {}
    status = "206 Partial Content" if match else "200 OK"
    request.answer(WHOLE[begin : begin + 50], status, len(WHOLE) - begin, ETag='"1"', Connection="close", **ranged)


def _packed(body: bytes, coding: str = "gzip", **headers: Any) -> Answer:
    return sends(body, Content_Encoding=coding, **headers)


def _send_bomb(request: Request) -> None:
    """Send 100 MB of blanks before a document, packed."""
    _packed(gzip.compress(b" " * 100_000_000 + WHOLE, 1))(request)


def _wait_for_the_client(request: Request) -> None:
    """Send nothing until the client hangs up."""
    request.connection.recv(1)


def _endless(request: Request) -> None:
    request.send(_head())
    while True:
        request.send(b" " * 65536)


def _hang_up(_: Request) -> None:
    """Close the connection."""


SCENARIOS: Final = (
    Scenario(
        "takes the request and sends nothing",
        every(_wait_for_the_client),
        1,
        _DEADLINE,
        DeliveryUnreachableError,
        "deadline=…",
        access=_SHORT,
    ),
    Scenario(
        "sends nothing, each time",
        every(_wait_for_the_client),
        2,
        "`timeout` and `attempts` of the access",
        DeliveryUnreachableError,
        "Check the address",
        access={"timeout": 0.2, "attempts": 2},
    ),
    Scenario(
        "drips header lines for ever",
        every(_drip_headers),
        1,
        _DEADLINE,
        DeliveryUnreachableError,
        "deadline=…",
        access=_SHORT,
    ),
    Scenario(
        "drips the body, byte by byte",
        every(_drip(b"Content-Length: 10000")),
        1,
        _DEADLINE,
        DeliveryUnreachableError,
        "deadline=…",
        access=_SHORT,
    ),
    Scenario(
        "drips a body without its length",
        every(_drip()),
        1,
        _DEADLINE,
        DeliveryUnreachableError,
        "deadline=…",
        access=_SHORT,
    ),
    Scenario(
        "announces for ever that an answer follows",
        every(_for_ever),
        1,
        _DEADLINE,
        DeliveryUnreachableError,
        "deadline=…",
        access=_SHORT,
    ),
    Scenario(
        "hangs up three times, then answers", one_by_one(_hang_up, _hang_up, _hang_up, sends(WHOLE)), 4, _ATTEMPTS
    ),
    Scenario(
        "does not speak HTTP",
        every(_raw(b"SSH-2.0-OpenSSH_9.6\r\n")),
        4,
        _ATTEMPTS,
        DeliveryUnreachableError,
        "Check the address",
    ),
    Scenario(
        "sends a header of 10 MB",
        every(_raw(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 10_000_000, b"\r\nContent-Length: 2\r\n\r\n{}")),
        4,
        "64 KiB for a line of the header",
        DeliveryUnreachableError,
        "Check the address",
    ),
    Scenario(
        "sends a million header lines",
        every(_raw(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1_000_000, b"Content-Length: 2\r\n\r\n{}")),
        4,
        "100 lines of the header",
        DeliveryUnreachableError,
        "Check the address",
    ),
    Scenario(
        "announces more bytes than it sends",
        every(_raw(_head(b"Content-Length: %d" % (len(WHOLE) + 9)), WHOLE)),
        4,
        _ATTEMPTS,
        DeliveryIncompleteError,
        "Run again",
    ),
    Scenario(
        "announces fewer bytes than it sends, so that a record is cut",
        every(_raw(_head(b"Content-Length: %d" % (len(WHOLE) - 9)), WHOLE)),
        4,
        _ATTEMPTS,
        DeliveryIncompleteError,
    ),
    Scenario(
        "announces a length of 5,000 digits",
        every(_raw(_head(b"Content-Length: " + b"9" * 5_000), WHOLE)),
        1,
        _ONCE,
    ),
    Scenario(
        "breaks off after 50 bytes, and sends the rest of the same version when asked",
        every(_in_pieces),
        -(-len(WHOLE) // 50),
        _ATTEMPTS,
    ),
    Scenario(
        "breaks off between two chunks",
        every(_raw(_head(b"Transfer-Encoding: chunked"), b"%x\r\n" % len(WHOLE), WHOLE, b"\r\n")),
        4,
        _ATTEMPTS,
        DeliveryIncompleteError,
        "Run again",
    ),
    Scenario(
        "breaks off within a chunk",
        every(_raw(_head(b"Transfer-Encoding: chunked"), b"%x\r\n" % (len(WHOLE) + 50), WHOLE)),
        4,
        _ATTEMPTS,
        DeliveryIncompleteError,
        "Run again",
    ),
    Scenario("sends JSON without its length, whole", every(_raw(_head(), WHOLE)), 1, _ONCE),
    Scenario(
        "sends JSON without its length, cut in a record",
        every(_raw(_head(), WHOLE[:100])),
        4,
        _ATTEMPTS,
        DeliveryIncompleteError,
        "Run again",
    ),
    Scenario(
        "sends JSON without its length, cut between two records",
        every(_raw(_head(), WHOLE[: WHOLE.index(b"}, ") + 1])),
        4,
        _ATTEMPTS,
        DeliveryIncompleteError,
        "Run again",
    ),
    Scenario(
        "sends lines of JSON without their length, which look whole wherever they are cut",
        every(_raw(_head(), b'{"id": 1}\n{"id": 2}\n')),
        1,
        _ONCE,
        DeliveryError,
        r"accept_without_length=True",
        declared={"format": Ndjson()},
    ),
    Scenario(
        "cuts a body packed by gzip, and announces the length of what is left",
        every(_packed(gzip.compress(WHOLE)[:-9])),
        4,
        _ATTEMPTS,
        DeliveryIncompleteError,
        "Run again",
    ),
    Scenario(
        "packs a page as two streams of gzip",
        every(_packed(gzip.compress(WHOLE[:50]) + gzip.compress(WHOLE[50:]))),
        1,
        _ONCE,
    ),
    Scenario(
        "packs 100 MB into 100 KB",
        every(_send_bomb),
        1,
        "`max_page_bytes`",
        DeliveryError,
        "max_page_bytes=…",
        declared={"max_page_bytes": 1_000_000},
    ),
    Scenario(
        "packs a page twice (`gzip, gzip`)",
        every(_packed(gzip.compress(gzip.compress(WHOLE)), "gzip, gzip")),
        1,
        _ONCE,
        DeliveryError,
        "Ask the publisher",
    ),
    Scenario(
        "packs a page in a way that was not asked for (`br`)",
        every(_packed(b"\x0b\x02\x80[]\x03", "br")),
        1,
        _ONCE,
        DeliveryError,
        "Ask the publisher",
    ),
    Scenario(
        "names the coding gzip for a page that is not packed",
        every(_packed(WHOLE)),
        4,
        _ATTEMPTS,
        DeliveryIncompleteError,
        "Run again",
    ),
    Scenario(
        "sends a page of 10 MB",
        every(lambda request: send(request, b" " * 10_000_000 + WHOLE)),
        1,
        "`max_page_bytes`",
        DeliveryError,
        "max_page_bytes=…",
        declared={"max_page_bytes": 1_000_000},
    ),
    Scenario(
        "sends a page without end",
        every(_endless),
        1,
        "`max_page_bytes`",
        DeliveryError,
        "max_page_bytes=…",
        declared={"max_page_bytes": 1_000_000},
    ),
    Scenario(
        "sends a part of a page (206) although the whole was asked for",
        every(sends(WHOLE, "206 Partial Content", Content_Range="bytes 0-9/999")),
        1,
        _ONCE,
        DeliveryError,
        "Check the location",
    ),
)
