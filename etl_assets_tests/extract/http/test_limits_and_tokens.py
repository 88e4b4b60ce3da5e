"""How fast requests follow each other, as declared and as servers say; and tokens that are asked for first."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from etl_assets import Http, OAuth2, PageNumber, Secret
from etl_assets.errors import DeclarationError, DeliveryError, DeliveryUnreachableError
from etl_assets.extract.http.pace import Pace, seconds_to_reset
from etl_assets_tests.apis import Api, Reply, numbered, page_of
from etl_assets_tests.extract.rest.fetching import extractor, landed

if TYPE_CHECKING:
    from etl_assets_tests.apis import Asked

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"x-ratelimit-remaining": "1", "x-ratelimit-reset": "30"}, None),
        ({"x-ratelimit-remaining": "0"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "30"}, 30.0),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "0.5"}, 0.5),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW.timestamp()) + 60)}, 60.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW.timestamp()) - 60)}, 0.0),
        ({"x-ratelimit-remaining": "many", "x-ratelimit-reset": "soon"}, None),
    ],
)
def test_a_server_says_when_more_requests_are_allowed(headers: dict[str, str], seconds: float | None) -> None:
    assert seconds_to_reset(headers, NOW) == seconds


def test_a_reset_as_a_moment_is_by_the_clock_of_the_server() -> None:
    server = datetime.now(UTC) - timedelta(days=3)
    headers = {
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": str(int(server.timestamp()) + 60),
        "Date": format_datetime(server.replace(microsecond=0), usegmt=True),
    }
    assert seconds_to_reset(headers) == pytest.approx(60, abs=1)


@pytest.mark.parametrize(
    ("limit", "interval", "pause"),
    [("50", "1s", 0.02), ("5", "500ms", 0.1), ("60", "1m", 1.0), ("10", "5", 0.5), ("0", "1s", 0), ("x", "1s", 0)],
)
def test_a_server_says_how_many_requests_are_allowed_in_a_time(limit: str, interval: str, pause: float) -> None:
    pace = Pace(0)
    pace.learn({"x-rate-limit-limit": limit, "x-rate-limit-interval": interval})
    assert [pace.wait(), pytest.approx(pace.wait(), abs=0.01)] == [0.0, pause]


def test_a_declared_pace_is_kept() -> None:
    with Api(lambda asked: Reply({"items": page_of(numbered(4), asked, 1)})) as api:
        access = Http(private=True, requests_per_second=20)
        began = time.monotonic()
        landed(extractor(api.url(), pagination=PageNumber(), access=access))
        assert len(api.asked) == 5
        assert time.monotonic() - began > 4 / 20


def test_a_pace_is_kept_from_several_threads_together() -> None:
    pace = Pace(10)
    assert [round(pace.wait(), 1) for _ in range(4)] == [0.0, 0.1, 0.2, 0.3]


def test_a_fetch_waits_until_more_requests_are_allowed() -> None:
    def answer(asked: Asked) -> Reply:
        headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "0.3"} if asked.params["page"] == "1" else {}
        return Reply({"items": page_of(numbered(2), asked, 1)}, headers=headers)

    with Api(answer) as api:
        began = time.monotonic()
        assert landed(extractor(api.url(), pagination=PageNumber())).ids == [1, 2]
        assert time.monotonic() - began > 0.3


def test_a_refusal_because_of_a_limit_is_another_attempt_later() -> None:
    answers = [
        Reply({"message": "rate limit"}, 403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "0.2"}),
        Reply({"items": numbered(1)}),
    ]
    with Api(lambda asked: answers.pop(0)) as api:  # noqa: ARG005 -- the second request is answered
        assert landed(extractor(api.url())).ids == [1]


def test_a_server_that_asks_for_a_longer_wait_than_declared_is_left_to_the_next_run() -> None:
    limited = Reply(status=429, headers={"Retry-After": "86400"})
    with (
        Api(lambda asked: limited) as api,  # noqa: ARG005 -- it always refuses
        pytest.raises(DeliveryUnreachableError, match=r"HTTP 429.*asks to wait 86400 seconds"),
    ):
        landed(extractor(api.url()))
    assert len(api.asked) == 1


class Guarded:
    """An API that wants a token, and the server that gives it.

    Attributes:
        valid: The token that is accepted now.
        granted: What the server of tokens answers, besides the token.
    """

    def __init__(self, **granted: Any) -> None:
        self.valid = "t0"
        self.granted = granted
        self.tokens = 0
        self.asked_for: list[Asked] = []

    def __call__(self, asked: Asked) -> Reply:
        if asked.path == "/token":
            self.asked_for.append(asked)
            self.tokens += 1
            self.valid = f"t{self.tokens}"
            return Reply({"access_token": self.valid, "token_type": "bearer", **self.granted})
        if asked.headers.get("authorization") != f"Bearer {self.valid}":
            return Reply(status=401)
        if asked.params["page"] == "2" and self.tokens == 1 and self.granted.get("revoked"):
            self.valid = "nothing"
            return Reply(status=401)
        return Reply({"items": page_of(numbered(3), asked, 1)})


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_SECRET", "p:w/ü")


def with_token(api: Api, **arguments: Any) -> Any:
    oauth2 = OAuth2(api.url("/token"), "me", Secret("SHOP_SECRET"), **arguments)
    return extractor(api.url(), pagination=PageNumber(), access=Http(private=True, wait=0.01, oauth2=oauth2))


def test_a_token_is_asked_for_once_and_sent_with_each_request() -> None:
    guarded = Guarded(expires_in=3600)
    with Api(guarded) as api:
        assert landed(with_token(api, scope="orders:read", audience="https://shop.example")).ids == [1, 2, 3]
    (asked,) = guarded.asked_for
    assert parse_qs(asked.body.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["orders:read"],
        "audience": ["https://shop.example"],
    }
    assert asked.headers["authorization"] == "Basic " + base64.b64encode(b"me:p%3Aw%2F%C3%BC").decode()


def test_id_and_secret_may_be_in_the_body() -> None:
    guarded = Guarded()
    with Api(guarded) as api:
        landed(with_token(api, client_in="body"))
    (asked,) = guarded.asked_for
    assert parse_qs(asked.body.decode())["client_secret"] == ["p:w/ü"]
    assert "authorization" not in asked.headers


def test_a_token_that_is_not_accepted_any_more_is_replaced_once() -> None:
    guarded = Guarded(revoked=True)
    with Api(guarded) as api:
        assert landed(with_token(api)).ids == [1, 2, 3]
    assert guarded.tokens == 2


@pytest.mark.parametrize("expires_in", [1, "20", 0])
def test_a_token_is_replaced_before_it_ends(expires_in: float | str) -> None:
    guarded = Guarded(expires_in=expires_in)
    with Api(guarded) as api:
        assert landed(with_token(api)).ids == [1, 2, 3]
    assert guarded.tokens == 4


@pytest.mark.parametrize(
    ("reply", "error", "problem"),
    [
        (Reply(status=503), DeliveryUnreachableError, "HTTP 503 when it was asked for a token"),
        (Reply({"error": "invalid_client"}, 401), DeliveryError, r"HTTP 401 when.*Check token_url, client_id"),
        (Reply({"token": "x"}), DeliveryError, "gave no bearer token"),
        (Reply({"access_token": "x", "token_type": "mac"}), DeliveryError, "gave no bearer token"),
        (Reply(b"<html>"), DeliveryError, "gave no bearer token"),
    ],
)
def test_a_server_that_gives_no_token_is_an_error_without_the_secret(
    reply: Reply, error: type[DeliveryError], problem: str
) -> None:
    with Api(lambda asked: reply if asked.path == "/token" else Reply(status=401)) as api:
        with pytest.raises(error, match=problem) as raised:
            landed(with_token(api))
        assert {asked.path for asked in api.asked} == {"/token"}
    assert "p:w" not in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"token_url": "login.example"}, "token_url.*is no address of the web"),
        ({"token_url": "https://me:x@login.example"}, "token_url"),
        ({"client_id": ""}, "client_id.*is empty"),
    ],
)
def test_a_login_that_cannot_be_is_refused_at_load(arguments: dict[str, Any], problem: str) -> None:
    given: dict[str, Any] = {"token_url": "https://login.example/token", "client_id": "me", **arguments}
    with pytest.raises(DeclarationError, match=problem):
        OAuth2(client_secret=Secret("SHOP_SECRET"), **given)


def test_a_token_beside_another_login_is_refused_at_load() -> None:
    oauth2 = OAuth2("https://login.example/token", "me", Secret("SHOP_SECRET"))
    with pytest.raises(DeclarationError, match=r"oauth2.*is declared beside bearer"):
        Http(bearer=Secret("T"), oauth2=oauth2)
