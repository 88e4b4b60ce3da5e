"""Servers that refuse, limit, or do not accept the login."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Final

from etl_assets import PageNumber
from etl_assets.errors import DeliveryError, DeliveryIncompleteError, DeliveryMissingError, DeliveryUnreachableError
from etl_assets_tests.extract.rest.hostile.scenario import (
    Scenario,
    document,
    every,
    number,
    one_by_one,
    page_of,
    send,
    sends,
)

if TYPE_CHECKING:
    from etl_assets_tests.extract.rest.hostile.scenario import Answers, Site
    from etl_assets_tests.hostile_server import Answer, Request

_WHOLE: Final = document()
_ONCE: Final = "one request"
_ATTEMPTS: Final = "`attempts` of the access"
_WAIT: Final = "`longest_wait` and `deadline` of the access"
_POST: Final = {"method": "POST", "json": {"all": True}}
_TOKEN: Final = json.dumps({"access_token": "granted", "token_type": "Bearer", "expires_in": 3600}).encode()


def _limited(wait: str) -> Answer:
    return sends(b"", "429 Too Many Requests", Retry_After=wait)


def _until_a_date(request: Request) -> None:
    _limited(format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True))(request)


def _none_left(seconds: str) -> Answer:
    """Return what answers with pages by number, after each of which no request is left for a while."""

    def answer(request: Request) -> None:
        limits: dict[str, Any] = {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": seconds}
        send(request, document(page_of(number(request))), **limits)

    return answer


def _accepting(token: str) -> Answers:
    """Return a server that accepts one token."""

    def answer(request: Request) -> None:
        accepted = request.headers.get("authorization") == f"Bearer {token}"
        send(request, _WHOLE, "200 OK" if accepted else "401 Unauthorized")

    return every(answer)


def _counting(_: Site) -> Answer:
    """Return a server that gives another token each time."""
    given = [0]

    def answer(request: Request) -> None:
        given[0] += 1
        send(request, _TOKEN.replace(b"granted", b"granted%d" % given[0]))

    return answer


def _slow(request: Request) -> None:
    request.send(b"HTTP/1.1 200 OK\r\n\r\n")
    request.drip(b" " * 10_000, 0.01)


def _by_token(server: str, token: Answers, error: type[DeliveryError], remedy: str = "", **access: Any) -> Scenario:
    return Scenario(server, _accepting("granted"), 0, _ONCE, error, remedy, token=token, access=access)


SCENARIOS: Final = (
    Scenario("answers 404", every(sends(b"", "404 Not Found")), 1, _ONCE, DeliveryMissingError, "Correct the location"),
    Scenario(
        "answers 503 twice, then fine",
        one_by_one(sends(b"", "503 X"), sends(b"", "503 X"), sends(_WHOLE)),
        3,
        _ATTEMPTS,
    ),
    Scenario(
        "answers 429 for ever", every(sends(b"", "429 X")), 4, _ATTEMPTS, DeliveryUnreachableError, "Try again later"
    ),
    Scenario("asks to wait a second (`Retry-After: 1`)", one_by_one(_limited("1"), sends(_WHOLE)), 2, _WAIT),
    Scenario("asks to wait until a date", one_by_one(_until_a_date, sends(_WHOLE)), 2, _WAIT),
    Scenario("asks to wait a day", every(_limited("86400")), 1, _WAIT, DeliveryUnreachableError, "86400 seconds"),
    Scenario(
        "asks to wait until a date that is none",
        one_by_one(_limited("Thu, 04 Jan 2024 06:00:00 +9999999999999999999"), sends(_WHOLE)),
        2,
        _ATTEMPTS,
    ),
    Scenario(
        "answers 500 to a POST",
        every(sends(b"", "500 X")),
        1,
        _ONCE,
        DeliveryUnreachableError,
        "Try again later",
        declared=_POST,
    ),
    Scenario(
        "answers 500 to a POST that may be repeated, then fine",
        one_by_one(sends(b"", "500 X"), sends(_WHOLE)),
        2,
        _ATTEMPTS,
        declared={**_POST, "repeatable": True},
    ),
    Scenario(
        "cuts the answer to a POST",
        every(lambda request: request.answer(_WHOLE, length=9999, Connection="close")),
        1,
        _ONCE,
        DeliveryIncompleteError,
        "Run again",
        declared=_POST,
    ),
    Scenario(
        "has no request left for a second after each page",
        every(_none_left("1")),
        4,
        _WAIT,
        declared={"pagination": PageNumber()},
    ),
    Scenario(
        "has no request left for an hour",
        every(_none_left("3600")),
        1,
        _WAIT,
        DeliveryUnreachableError,
        "longest_wait=…",
        declared={"pagination": PageNumber()},
    ),
    Scenario(
        "answers 403, and has no request left for a second",
        one_by_one(sends(b"", "403 X", X_RateLimit_Remaining="0", X_RateLimit_Reset="1"), sends(_WHOLE)),
        2,
        _WAIT,
    ),
    Scenario(
        "answers 403, and has no request left for an hour",
        every(sends(b"", "403 X", X_RateLimit_Remaining="0", X_RateLimit_Reset="3600")),
        1,
        _WAIT,
        DeliveryUnreachableError,
        "3600 seconds",
    ),
    Scenario(
        "writes its limits in numbers and dates that are none",
        every(
            sends(
                _WHOLE,
                X_RateLimit_Remaining="0",
                X_RateLimit_Reset="9" * 5_000,
                Date="Thu, 99 Jan 99999 99:99:99 +99999999999999999999",
            )
        ),
        1,
        _ONCE,
    ),
    Scenario("answers 403", every(sends(b"", "403 X")), 1, _ONCE, DeliveryError, "values of its secrets"),
    Scenario("answers 401", every(sends(b"", "401 X")), 1, _ONCE, DeliveryError, "values of its secrets"),
    Scenario(
        "does not accept the first token (OAuth2), and accepts the second",
        _accepting("granted2"),
        2,
        "one more token for a request",
        token=_counting,
    ),
    Scenario(
        "accepts no token (OAuth2)",
        _accepting("none"),
        2,
        "one more token for a request",
        DeliveryError,
        "values of its secrets",
        token=_counting,
    ),
    _by_token("that gives tokens answers 503", every(sends(b"", "503 X")), DeliveryUnreachableError, "Try again later"),
    _by_token(
        "that gives tokens answers with a page for browsers", every(sends(b"<html>")), DeliveryError, "token_url"
    ),
    _by_token("that gives tokens gives none", every(sends(b'{"token_type": "Bearer"}')), DeliveryError, "token_url"),
    _by_token(
        "that gives tokens gives one with a line end",
        every(sends(_TOKEN.replace(b"granted", b"a\\r\\nX-Evil: 1"))),
        DeliveryError,
        "token_url",
    ),
    _by_token(
        "that gives tokens refuses the client",
        every(sends(b'{"error": "invalid_client"}', "401 X")),
        DeliveryError,
        "value of the secret",
    ),
    _by_token("that gives tokens drips the answer", every(_slow), DeliveryUnreachableError, "Run again", deadline=2),
)
