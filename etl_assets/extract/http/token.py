"""Asks for the token of a login by OAuth2, keeps it while it is valid, and asks again when it is not any more."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

import msgspec
from urllib3.util import make_headers

from etl_assets.errors import DeliveryError, DeliveryUnreachableError
from etl_assets.extract.http.waits import LATER
from etl_assets.extract.location import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets.extract.access.oauth2 import OAuth2

_OK: Final = 200
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
"""What can be sent in a header."""
_LARGEST: Final = 1024 * 1024
_LEEWAY: Final = 30.0
"""Seconds before its end in which a token is not used any more, since it may end on the way."""
_LIFETIME: Final = 300.0
"""Seconds for which a token is used whose server does not say how long it is valid."""


class _Granted(msgspec.Struct):
    access_token: str
    token_type: str = "Bearer"  # noqa: S105 -- the kind of a token
    expires_in: float | str | None = None


class Token:
    """The token of one fetch, for any number of threads.

    Args:
        oauth2: Where it is asked for.
        post: Sends a POST with headers and a body, and returns the status and the first bytes of the answer.
    """

    def __init__(self, oauth2: OAuth2, post: Callable[[str, dict[str, str], bytes, int], tuple[int, bytes]]) -> None:
        self._oauth2 = oauth2
        self._post = post
        self._lock = threading.Lock()
        self._value = ""
        self._end = 0.0

    def value(self, *, refused: str | None = None) -> str:
        """Return a token that is valid now.

        Args:
            refused: A token that the publisher did not accept, so that another is asked for.

        Raises:
            DeliveryUnreachableError: If the server does not answer, or cannot now.
            DeliveryError: If it gives no token.
        """
        with self._lock:
            if self._value and self._value != refused and time.monotonic() < self._end:
                return self._value
            granted = self._ask()
            self._value = granted.access_token
            self._end = time.monotonic() + max(0.0, _seconds(granted.expires_in) - _LEEWAY)
            return self._value

    def _ask(self) -> _Granted:
        oauth2, shown = self._oauth2, without_secrets(self._oauth2.token_url)
        fields = {"grant_type": "client_credentials", "scope": oauth2.scope, "audience": oauth2.audience}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        secret = oauth2.client_secret.read()
        if oauth2.client_in == "header":
            login = f"{quote(oauth2.client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = make_headers(basic_auth=login)["authorization"]
        else:
            fields |= {"client_id": oauth2.client_id, "client_secret": secret}
        body = urlencode({name: value for name, value in fields.items() if value}).encode()
        status, answer = self._post(oauth2.token_url, headers, body, _LARGEST)
        if status in LATER:
            raise DeliveryUnreachableError(
                f"{shown} answered HTTP {status} when it was asked for a token. Nothing was written. Try again later."
            )
        if status != _OK:
            raise DeliveryError(
                f"{shown} answered HTTP {status} when it was asked for a token. Nothing was written. Check token_url, "
                "client_id, scope and the value of the secret of access=Http(oauth2=…)."
            )
        try:
            granted = msgspec.json.decode(answer, type=_Granted)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            granted = _Granted("")
        if not _TOKEN.fullmatch(granted.access_token) or granted.token_type.lower() != "bearer":
            raise DeliveryError(
                f"{shown} gave no bearer token. Nothing was written. Check that token_url is that of client "
                "credentials (RFC 6749, section 4.4)."
            )
        return granted


def _seconds(expires_in: float | str | None) -> float:
    """Return for how long a token is valid, in seconds; some servers write the number as a text."""
    try:
        return _LIFETIME if expires_in is None else float(expires_in)
    except ValueError:
        return _LIFETIME
