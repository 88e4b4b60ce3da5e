"""Refuses requests to the Dagster UI that another web page may have caused in the user's browser.

Dagster's webserver asks for no password: who reaches it may start and cancel runs. It listens on loopback, but so does
every browser of this machine. A page on the internet can send requests there, and read the answers if it has made its
own name resolve to 127.0.0.1 (DNS rebinding). So the guard compares what a browser says of the page with the address of
the UI. It knows neither users nor passwords.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse
from starlette.datastructures import Headers, QueryParams
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_FORBIDDEN: Final = 403
_POLICY_VIOLATION: Final = 1008
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_GRAPHQL: Final = "/graphql"


@dataclass(frozen=True)
class Guard:
    """An ASGI application that passes a request on to another, or refuses it with a text that says why.

    Attributes:
        app: Dagster's webserver.
        hosts: Names under which the UI is reached, in addition to ``localhost`` and the addresses of loopback.
    """

    app: ASGIApp
    hosts: frozenset[str] = frozenset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or the opening of a websocket."""
        reason = self.refusal(scope) if scope["type"] in {"http", "websocket"} else None
        if reason is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": reason})
        else:
            await PlainTextResponse(f"{reason}\n", status_code=_FORBIDDEN)(scope, receive, send)

    def refusal(self, scope: Scope) -> str | None:
        """Return why a request is refused, what was not done and what to do; None if it is not refused."""
        headers = Headers(scope=scope)
        if not self._is_own_host(headers):
            return (
                "The Dagster UI is not known under the host of this request. Nothing was done. Open it as "
                "http://127.0.0.1, or name the host in ETL_ASSETS_UI_HOSTS."
            )
        if not self._comes_from_own_page(scope, headers):
            return (
                "This request comes from a page of another site. Nothing was done. Open the Dagster UI itself, or name "
                "the host of that page in ETL_ASSETS_UI_HOSTS."
            )
        if scope["type"] == "http" and scope["method"] in _SAFE and scope["path"] == _GRAPHQL and _changes(scope):
            return "GraphQL by GET may only query. Nothing was done. Send mutations by POST."
        return None

    def _is_own_host(self, headers: Headers) -> bool:
        given = headers.getlist("host")
        return len(given) == 1 and self._is_own(_host(f"//{given[0]}"))

    def _comes_from_own_page(self, scope: Scope, headers: Headers) -> bool:
        """Whether a request comes from a page of the UI, or from a program, which names no page.

        Browsers name the page in ``Origin`` whenever a request can change something, and for websockets. ``Referer``
        also comes with links, which may be followed from anywhere, as long as they only read a page.
        """
        pages = headers.getlist("origin")
        if not pages and (scope["path"] == _GRAPHQL or scope.get("method") not in _SAFE):
            pages = headers.getlist("referer")
        own = headers["host"].lower()
        return all(_address(page) == own or _host(page) in self.hosts for page in pages)

    def _is_own(self, host: str | None) -> bool:
        if host is None or host == "localhost" or host in self.hosts:
            return host is not None
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return False


def _address(page: str) -> str:
    """Return host and port of a page in lower case, as a browser writes them in ``Host``."""
    return page.lower().partition("://")[2].partition("/")[0]


def _host(url: str) -> str | None:
    """Return the host of a URL in lower case, without its port; None if there is none."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _changes(scope: Scope) -> bool:
    """Whether the GraphQL in the query string of a request has anything but queries."""
    try:
        document = parse(QueryParams(scope["query_string"]).get("query", ""))
    except GraphQLError:
        return False  # cannot be run
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    return any(operation.operation is not OperationType.QUERY for operation in operations)
