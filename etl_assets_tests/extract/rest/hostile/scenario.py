"""`Scenario`: what a server does, the declaration that it meets, and what must be true afterwards."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from etl_assets.errors import DeliveryError
    from etl_assets_tests.hostile_server import Answer, Request

PATH: Final = "/items"
CONTENTS: Final = "contents-of-a-record"
"""What no error may contain."""
SECRETS: Final = {"API_KEY": "k3y-of-the-api", "API_TOKEN": "t0ken-of-the-api", "CLIENT_SECRET": "s3cret-of-the-client"}
"""What no error may contain, and no other host may receive."""
PUBLISHED: Final = range(1, 7)
"""The records that a publisher has, unless a scenario says otherwise."""


@dataclass(frozen=True)
class Site:
    """The servers of one run.

    Attributes:
        url: The address of the server, without a path.
        other: The address of another server.
        private: The address of that other server by a name that is not declared to be private.
    """

    url: str
    other: str
    private: str


Answers: TypeAlias = "Callable[[Site], Answer]"
"""Makes what answers the requests of one run; it may keep a state."""


@dataclass(frozen=True, eq=False)
class Scenario:
    """One row of the table.

    Attributes:
        server: What the server does: what follows the words "the server".
        answers: What answers.
        requests: How many requests must have been sent to it.
        bound: What bounds time and bytes.
        refused: The class of the error; None if the delivery is landed.
        remedy: A pattern that the error must have.
        records: The records that the landed delivery must have.
        missing: How many of the publisher's records these lack.
        malformed: How many others must be malformed.
        note: A pattern of the note that the landed delivery must have.
        declared: Arguments of `RestExtractor`.
        access: Arguments of `Http`.
        token: What answers at the other server, which gives the token of a login by OAuth2.
        tls: Whether the server speaks TLS.
        is_proxy: Whether the server stands for every host of the internet.
    """

    server: str
    answers: Answers
    requests: int
    bound: str
    refused: type[DeliveryError] | None = None
    remedy: str = ""
    records: Iterable[int] = PUBLISHED
    missing: int = 0
    malformed: int = 0
    note: str = ""
    declared: Mapping[str, Any] = field(default_factory=dict)
    access: Mapping[str, Any] = field(default_factory=dict)
    token: Answers | None = None
    tls: bool = False
    is_proxy: bool = False


def every(answer: Answer) -> Answers:
    """Return what answers each request in the same way."""
    return lambda _: answer


def one_by_one(*answers: Answer) -> Answers:
    """Return what answers the first request by the first, and so on; the last one answers all others."""

    def begin(_: Site) -> Answer:
        waiting = list(answers)

        def answer(request: Request) -> None:
            current = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            current(request)

        return answer

    return begin


def document(records: Iterable[int] = PUBLISHED, **members: Any) -> bytes:
    """Return a page with records, and with other members."""
    items = [{"id": number, "name": CONTENTS} for number in records]
    return json.dumps({"items": items, **members}).encode()


def sends(body: bytes, status: str = "200 OK", **headers: Any) -> Answer:
    """Return what answers with a body of JSON."""
    return lambda request: send(request, body, status, **headers)


def send(request: Request, body: bytes, status: str = "200 OK", **headers: Any) -> None:
    """Answer with a body of JSON, and say that the connection will be closed."""
    request.answer(body, status, **{"Connection": "close", "Content_Type": "application/json", **headers})


def parameter(request: Request, name: str, default: str = "") -> str:
    """Return a parameter of the query of a request."""
    return parse_qs(urlsplit(request.path).query, keep_blank_values=True).get(name, [default])[0]


def number(request: Request, name: str = "page") -> int:
    """Return the number of the page that a request asks for."""
    return int(parameter(request, name, "1"))


def page_of(number: int, size: int = 2, last: int = 6) -> range:
    """Return the records of a page."""
    return range(1 + (number - 1) * size, 1 + min(number * size, last))
