"""`Request`: what is asked of an API for one page."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Place = Literal["query", "body"]
"""Where a parameter is: in the query of the address, or in the JSON of the body."""


@dataclass(frozen=True)
class Request:
    """A request for a page.

    Attributes:
        url: The address; it may have a query.
        params: Parameters of the query, which replace those of the same name in the address.
        method: ``GET`` or ``POST``.
        json: The body, as JSON; None for none.
        headers: Of this request, besides the login.
    """

    url: str
    params: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    json: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """The address with its parameters."""
        if not self.params:
            return self.url
        parts = urlsplit(self.url)
        own = parse_qsl(parts.query, keep_blank_values=True)
        query = urlencode([*((name, value) for name, value in own if name not in self.params), *self.params.items()])
        return urlunsplit(parts._replace(query=query))

    @property
    def names(self) -> list[str]:
        """The names of the parameters in the query."""
        return list(dict.fromkeys(name for name, _ in parse_qsl(urlsplit(self.target).query, keep_blank_values=True)))

    @property
    def body(self) -> bytes | None:
        """The bytes of the body; None for none."""
        return None if self.json is None else json.dumps(self.json, ensure_ascii=False).encode()

    def value(self, name: str, place: Place = "query") -> str | None:
        """Return the value of a parameter; None if it is not there."""
        if place == "body":
            found: Any = self.json
            for step in name.split("."):
                found = found.get(step) if isinstance(found, dict) else None
            return None if found is None else str(found)
        if name in self.params:
            return self.params[name]
        return dict(parse_qsl(urlsplit(self.url).query, keep_blank_values=True)).get(name)

    def having(self, name: str, value: str | int, place: Place = "query") -> Request:
        """Return the request with a parameter.

        Args:
            name: Of the parameter; in a body a path such as ``page.number``.
            value: Its value. A body has it as what it is, a query as text.
            place: Where it is.
        """
        if place == "query":
            return replace(self, params={**self.params, name: str(value)})
        return replace(self, json=_with(self.json or {}, name.split("."), value))

    def without(self, name: str) -> Request:
        """Return the request without a parameter of the query."""
        parts = urlsplit(self.url)
        own = parse_qsl(parts.query, keep_blank_values=True)
        left = [(known, value) for known, value in own if known != name]
        url = self.url if left == own else urlunsplit(parts._replace(query=urlencode(left)))
        return replace(self, url=url, params={known: value for known, value in self.params.items() if known != name})

    def at(self, url: str) -> Request:
        """Return the request for another address, which may be relative; it has its own query."""
        return replace(self, url=urljoin(self.target, url), params={})


def _with(document: Mapping[str, Any], steps: Sequence[str], value: object) -> dict[str, Any]:
    """Return a document with a value at some steps."""
    first, *rest = steps
    inner = document.get(first)
    return {**document, first: _with(inner if isinstance(inner, dict) else {}, rest, value) if rest else value}
