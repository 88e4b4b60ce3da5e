"""Connections are watched by the deadline as long as somebody reads from them, and no longer."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from etl_assets.errors import DeliveryUnreachableError
from etl_assets.extract.access.http import Http
from etl_assets.extract.http.body import Body
from etl_assets.extract.http.session import HttpSession
from etl_assets_tests.hostile_server import HostileServer

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets_tests.hostile_server import Request


def _closing(request: Request) -> None:
    request.answer(b"x" * 1000, Connection="close")


@pytest.mark.parametrize("is_secure", [False, True])
def test_connections_that_a_server_closes_are_not_kept_open(certificate: Path, *, is_secure: bool) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if is_secure else None
    if tls is not None:
        tls.load_cert_chain(certificate)
    access = Http(private=True, wait=0, deadline=30, ca_file=str(certificate))
    with HostileServer(_closing, tls) as server, HttpSession(access, server.url()) as session:
        for _ in range(20):
            with Body(session, server.url(), session.send("GET", server.url())) as body:
                assert len(body.read()) == 1000
        assert len(server.requests) == 20
        assert len(session.deadline._sockets) <= 2


def test_connections_that_were_not_accepted_are_not_kept_open() -> None:
    with HostileServer(_closing) as server:
        url = server.url().replace("http:", "https:")
        with HttpSession(Http(private=True, wait=0, deadline=30, timeout=0.2, attempts=3), url) as session:
            with pytest.raises(DeliveryUnreachableError):
                session.send("GET", url)
            assert len(session.deadline._sockets) <= 2


def test_a_body_is_watched_although_its_connection_was_given_back() -> None:
    def answer(request: Request) -> None:
        request.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        request.drip(b"x" * 1000)

    with (
        HostileServer(answer) as server,
        HttpSession(Http(private=True, wait=0, deadline=0.4), server.url()) as session,
        Body(session, server.url(), session.send("GET", server.url())) as body,
        pytest.raises(DeliveryUnreachableError, match="was not there after"),
    ):
        body.read()
