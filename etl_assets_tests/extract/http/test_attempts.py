"""When a request is sent again, and how long that takes."""

from __future__ import annotations

import re
import socket
import ssl
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import Csv, FileExtractor, Partition, Secret
from etl_assets.errors import DeliveryError, DeliveryMissingError, DeliveryUnreachableError
from etl_assets.extract.access.http import Http
from etl_assets.extract.http.session import HttpSession
from etl_assets.extract.http.waits import LONGEST_WAIT, backoff, retry_after
from etl_assets.extract.progress import shown
from etl_assets_tests.hostile_server import HostileServer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from etl_assets_tests.hostile_server import Answer, Request

QUICK = Http(private=True, wait=0, deadline=20)


def fetched(server: HostileServer, access: Http = QUICK) -> bytes:
    with FileExtractor(location=server.url(), format=Csv(), access=access).fetch(Partition()) as delivered:
        return delivered.stream.read()


def polled(server: HostileServer) -> Mapping[str, str] | None:
    return FileExtractor(location=server.url(), format=Csv(), access=QUICK).poll(Partition())


def _busy_then_good(times: int, status: str, **headers: Any) -> Answer:
    left = [times]

    def answer(request: Request) -> None:
        left[0] -= 1
        request.answer(b"x") if left[0] < 0 else request.answer(status=status, **headers)

    return answer


@pytest.mark.parametrize("status", ["408 X", "429 X", "500 X", "502 X", "503 X", "504 X"])
def test_a_server_that_cannot_now_is_asked_again(status: str) -> None:
    with HostileServer(_busy_then_good(3, status)) as server:
        assert fetched(server) == b"x"


def test_a_server_that_hangs_up_is_asked_again() -> None:
    left = [2]

    def answer(request: Request) -> None:
        left[0] -= 1
        if left[0] < 0:
            request.answer(b"x")

    with HostileServer(answer) as server:
        assert fetched(server) == b"x"


def test_a_wait_for_a_server_that_hangs_up_is_said() -> None:
    left, said = [1], list[str]()

    def answer(request: Request) -> None:
        left[0] -= 1
        if left[0] < 0:
            request.answer(b"x")

    with HostileServer(answer) as server, shown(said.append):
        assert fetched(server, replace(QUICK, wait=2.2)) == b"x"
        assert len(said) == 1
        assert re.fullmatch(rf"{server.url()} is asked again in [12] s\.", said[0])


@pytest.mark.parametrize(
    ("status", "asked"), [("404 X", 1), ("403 X", 1), ("400 X", 1), ("501 X", 1), ("503 X", 4), ("429 X", 4)]
)
def test_a_server_is_asked_no_more_than_it_helps(status: str, asked: int) -> None:
    with HostileServer(lambda request: request.answer(status=status)) as server:
        with pytest.raises(DeliveryError, match=f"HTTP {status[:3]}") as caught:
            fetched(server)
        assert len(server.requests) == asked
    assert isinstance(caught.value, DeliveryUnreachableError) == (asked > 1)
    assert isinstance(caught.value, DeliveryMissingError) == status.startswith("404")


@pytest.mark.parametrize("status", ["401 X", "403 X"])
def test_the_error_about_a_login_says_whether_one_is_declared(status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEED_TOKEN", "t0ken")
    with HostileServer(lambda request: request.answer(status=status)) as server:
        with pytest.raises(DeliveryError, match=r"Declare the login that it needs: access=Http\(…\)\."):
            fetched(server)
        with pytest.raises(DeliveryError, match="Check the declared login: the values of its secrets"):
            fetched(server, replace(QUICK, bearer=Secret("FEED_TOKEN")))


def test_a_request_that_may_have_done_something_is_sent_once() -> None:
    with (
        HostileServer(lambda request: request.answer(status="503 X")) as server,
        HttpSession(QUICK, server.url()) as session,
    ):
        assert session.send("POST", server.url(), body=b"{}").status == 503
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("Thu, 04 Jan 2024 06:00:30 GMT", 30.0),
        ("Thu, 04 Jan 2024 05:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
        ("9" * 400, 1e20),
    ],
)
def test_the_wait_that_a_server_asks_for_is_read_in_both_forms(text: str, seconds: float | None) -> None:
    asked = retry_after({"Retry-After": text}, datetime(2024, 1, 4, 6, tzinfo=UTC))
    assert asked == pytest.approx(seconds)


@pytest.mark.parametrize(
    "wait",
    [
        "999999999",
        str(int(LONGEST_WAIT) + 1),
        "30",
        "Fri, 01 Jan 2100 00:00:00 GMT",
    ],
)
def test_a_wait_beyond_the_deadline_or_the_longest_wait_ends_the_fetch_at_once(wait: str) -> None:
    with HostileServer(_busy_then_good(1, "429 X", Retry_After=wait)) as server:
        begin = time.monotonic()
        with pytest.raises(DeliveryUnreachableError, match="HTTP 429"):
            fetched(server)
        assert time.monotonic() - begin < 15
        assert len(server.requests) == 1


def test_waits_double_and_are_random_within_bounds() -> None:
    for attempt, longest in ((1, 1.0), (2, 2.0), (3, 4.0), (99, LONGEST_WAIT)):
        assert longest / 2 <= backoff(1.0, attempt) <= longest


@pytest.mark.parametrize("refusal", ["400 X", "403 X", "405 X", "500 X", "501 X"])
@pytest.mark.parametrize("partial", [True, False])
def test_a_server_that_refuses_head_is_polled_by_its_first_byte(refusal: str, *, partial: bool) -> None:
    def answer(request: Request) -> None:
        if request.method == "HEAD":
            request.answer(status=refusal)
        elif partial:
            request.answer(b"a", "206 Partial Content", ETag='"1"', Content_Range="bytes 0-0/1234")
        else:
            request.answer(b"a" * 1234, ETag='"1"')

    with HostileServer(answer) as server:
        assert polled(server) == {"etag": '"1"', "size": "1234"}
        assert server.requests[1].headers["range"] == "bytes=0-0"


def test_a_poll_that_is_refused_altogether_raises() -> None:
    with HostileServer(lambda request: request.answer(status="403 X")) as server:
        with pytest.raises(DeliveryError, match="HTTP 403"):
            polled(server)
        assert len(server.requests) == 2


def test_a_certificate_that_nobody_trusts_is_refused_unless_its_authority_is_declared(certificate: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with HostileServer(lambda request: request.answer(b"x"), tls) as server:
        with pytest.raises(DeliveryError, match=r"certificate.*ca_file"):
            fetched(server)
        assert fetched(server, Http(private=True, ca_file=str(certificate))) == b"x"


def test_a_redirect_from_https_to_http_is_refused(certificate: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    answer = lambda request: request.answer(status="301 X", Location="http://127.0.0.1/x")  # noqa: E731 -- a line
    with HostileServer(answer, tls) as server, pytest.raises(DeliveryError, match="from https to http"):
        fetched(server, Http(private=True, ca_file=str(certificate)))


def test_a_server_that_does_not_speak_tls_is_unreachable() -> None:
    with HostileServer(lambda request: request.answer(b"x")) as server:
        access = Http(private=True, attempts=1, timeout=0.3)
        extractor = FileExtractor(location=server.url().replace("http:", "https:"), format=Csv(), access=access)
        with pytest.raises(DeliveryUnreachableError), extractor.fetch(Partition()):
            pass


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("http://nowhere.invalid/a.csv", "its name does not resolve"),
        ("http://127.0.0.1:{port}/a.csv", "nothing listens there"),
    ],
)
def test_an_error_says_why_a_server_cannot_be_reached(url: str, cause: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    extractor = FileExtractor(location=url.format(port=port), format=Csv(), access=Http(private=True, attempts=1))
    with pytest.raises(DeliveryUnreachableError, match=cause), extractor.fetch(Partition()):
        pass


def test_a_deadline_that_passed_between_two_requests_is_named() -> None:
    with (
        HostileServer(lambda request: request.answer(b"x")) as server,
        HttpSession(replace(QUICK, deadline=0.3), server.url()) as session,
    ):
        session.send("GET", server.url()).close()
        time.sleep(0.4)
        with pytest.raises(DeliveryUnreachableError, match=r"was not there after 0.3 seconds"):
            session.send("GET", server.url())
        assert len(server.requests) == 1


def test_a_request_that_the_server_does_not_allow_now_is_not_tried_again() -> None:
    def answer(request: Request) -> None:
        request.answer(b"x", X_RateLimit_Remaining="0", X_RateLimit_Reset="4000")

    patient = replace(QUICK, wait=30.0, attempts=2, deadline=600)
    with HostileServer(answer) as server, HttpSession(patient, server.url()) as session:
        session.send("GET", server.url()).close()
        begin = time.monotonic()
        with pytest.raises(DeliveryUnreachableError, match=r"allows no more requests for \d{4} seconds"):
            session.send("GET", server.url())
        assert time.monotonic() - begin < 25
        assert len(server.requests) == 1
