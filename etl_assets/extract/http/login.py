"""How a declared login is written into a request: in its headers, or in its address."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from urllib3.util import make_headers

if TYPE_CHECKING:
    from etl_assets.extract.access.http import Http


def login_headers(http: Http, token: str | None) -> dict[str, str]:
    """Return the headers with the declared login, and with a token if it is one by OAuth2.

    Raises:
        SettingsError: If a secret has no value.
    """
    headers: dict[str, str] = {}
    if http.password is not None:
        headers["Authorization"] = make_headers(basic_auth=f"{http.user}:{http.password.read()}")["authorization"]
    if http.bearer is not None:
        headers["Authorization"] = f"Bearer {http.bearer.read()}"
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if http.key is not None and not http.key_parameter:
        headers[http.key_header] = http.key.read()
    return headers


def with_key(http: Http, url: str) -> str:
    """Return an address with the key in its query, if it is declared to be there."""
    if http.key is None or not http.key_parameter:
        return url
    address, mark, fragment = url.partition("#")
    joint = "&" if "?" in address else "?"
    return f"{address}{joint}{quote(http.key_parameter)}={quote(http.key.read(), safe='')}{mark}{fragment}"
