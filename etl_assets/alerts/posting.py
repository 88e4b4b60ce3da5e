"""Posts JSON over HTTP, through the proxy and with the certificates that the environment names, as Apprise does."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from urllib3 import PoolManager, ProxyManager, Retry, Timeout
from urllib3.exceptions import HTTPError
from urllib3.util import make_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

_CERTIFICATES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_MOST_BYTES: Final = 1_000_000


@dataclass(frozen=True)
class Answer:
    """What a server answered.

    Attributes:
        status: The status code; 0 if there was no answer.
        body: The body; without an answer, the class of the error.
    """

    status: int
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body as a JSON object; an empty one if it is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def post(url: str, value: Mapping[str, Any], headers: Mapping[str, str], seconds: float, *, verify: bool) -> Answer:
    """Post a JSON object, and return the answer. It is posted once, and follows no redirect.

    Args:
        url: Where to.
        value: The object.
        headers: Besides the content's type.
        seconds: How long to wait for the answer.
        verify: Whether the certificate of the server must be valid.
    """
    sent = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "etl_assets", **headers}
    with _pools(url, verify=verify) as pools:
        try:
            answer = pools.request(
                "POST",
                url,
                body=json.dumps(value).encode(),
                headers=sent,
                timeout=Timeout(total=seconds),
                retries=Retry(0, redirect=False),
                preload_content=False,
            )
            return Answer(answer.status, answer.read(_MOST_BYTES))
        except HTTPError as error:
            cause = getattr(error, "reason", None) or error
            return Answer(0, type(cause).__name__.encode())


def _pools(url: str, *, verify: bool) -> PoolManager:
    parts = urlsplit(url)
    named = next((os.environ[name] for name in _CERTIFICATES if os.environ.get(name)), None)
    certificates: dict[str, Any] = (
        {"cert_reqs": "CERT_REQUIRED", "ca_cert_dir" if named and Path(named).is_dir() else "ca_certs": named}
        if verify
        else {"cert_reqs": "CERT_NONE"}
    )
    proxy = None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
    if not proxy:
        return PoolManager(**certificates)
    login = urlsplit(proxy)
    credentials = f"{unquote(login.username)}:{unquote(login.password or '')}" if login.username else None
    return ProxyManager(proxy, proxy_headers=make_headers(proxy_basic_auth=credentials), **certificates)
