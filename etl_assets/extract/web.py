"""Fetches and polls one address by HTTP, and checks that the whole body arrives.

It uses the standard library. Pages of an API need another extractor.
"""

from __future__ import annotations

import http.client
import io
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast
from urllib.parse import unquote, urlsplit

from etl_assets.errors import (
    DeliveryError,
    DeliveryIncompleteError,
    DeliveryMissingError,
    DeliveryUnreachableError,
)
from etl_assets.extract.base import Fetched
from etl_assets.extract.location import without_secrets
from etl_assets.extract.validators import ETAG, MODIFIED, SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_AGENT: Final = "etl_assets"
_GONE: Final = frozenset({404, 410})
_LATER: Final = frozenset({408, 429, 502, 503, 504})
_BROKEN: Final = 500
_VALIDATORS: Final = {"ETag": ETAG, "Last-Modified": MODIFIED, "Content-Length": SIZE}


@contextmanager
def fetch_by_http(url: str, timeout: float) -> Iterator[Fetched]:
    """Open an address.

    Args:
        url: Begins with ``http://`` or ``https://``.
        timeout: Seconds without a byte after which the fetch fails.

    Yields:
        The body.

    Raises:
        DeliveryMissingError: If the server says that there is nothing.
        DeliveryUnreachableError: If the server does not answer, or cannot now.
        DeliveryError: If the file cannot be fetched for another reason.
    """
    try:
        response = _request(url, "GET", timeout)
    except urllib.error.HTTPError as error:
        with error:
            raise _refused(url, error.code) from None
    with response:
        name = unquote(urlsplit(url).path.rpartition("/")[2]) or urlsplit(url).hostname or "download"
        yield Fetched(
            cast("BinaryIO", _Body(response, without_secrets(url))), name, without_secrets(url), _validators(response)
        )


def poll_by_http(url: str, timeout: float) -> Mapping[str, str]:
    """Return the validators of an address, without fetching its body.

    Args:
        url: Begins with ``http://`` or ``https://``.
        timeout: Seconds without an answer after which the poll fails.

    Returns:
        ETag, modification time and size, as far as the server sends them; empty if it does not accept HEAD.

    Raises:
        DeliveryMissingError: If the server says that there is nothing.
        DeliveryUnreachableError: If the server does not answer, or cannot now.
    """
    try:
        response = _request(url, "HEAD", timeout)
    except urllib.error.HTTPError as error:
        with error:
            if error.code in _GONE | _LATER:
                raise _refused(url, error.code) from None
            return {}
    with response:
        return _validators(response)


def _request(url: str, method: str, timeout: float) -> Any:
    headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, headers=headers, method=method)  # noqa: S310 -- the scheme is checked by the caller
    try:
        return urllib.request.urlopen(request, timeout=timeout)  # noqa: S310 -- as above
    except urllib.error.HTTPError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        kind = DeliveryError if isinstance(error, ValueError) else DeliveryUnreachableError
        raise kind(
            f"{without_secrets(url)} cannot be reached ({_reason(error)}). Nothing was written. "
            "Check the address and the network, then run again."
        ) from None


def _refused(url: str, code: int) -> DeliveryError:
    if code in _GONE:
        return DeliveryMissingError(
            f"There is nothing at {without_secrets(url)} (HTTP {code}). Nothing was written. "
            "Correct the location, or wait until it is published."
        )
    kind = DeliveryUnreachableError if code in _LATER or code >= _BROKEN else DeliveryError
    return kind(
        f"{without_secrets(url)} answered HTTP {code}. Nothing was written. "
        "Check whether it needs a login, or try again later."
    )


def _validators(response: Any) -> dict[str, str]:
    return {name: response.headers[header] for header, name in _VALIDATORS.items() if response.headers[header]}


def _reason(error: Exception) -> str:
    """Return the class of the failure, without its text, which may repeat the address."""
    cause = getattr(error, "reason", None)
    return type(cause).__name__ if isinstance(cause, Exception) else type(error).__name__


class _Body(io.RawIOBase):
    """The body of a response, which raises if it ends before its length or its last chunk says so."""

    def __init__(self, response: Any, where: str) -> None:
        super().__init__()
        self._response = response
        self._where = where
        length = response.headers["Content-Length"]
        self._expected = int(length) if length and length.isdigit() and not response.chunked else None
        self._received = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        try:
            count: int = self._response.readinto(buffer)
        except (OSError, http.client.HTTPException) as error:
            raise self._cut_short(type(error).__name__) from None
        self._received += count
        if count == 0 and self._expected is not None and self._received != self._expected:
            raise self._cut_short(f"{self._received} of {self._expected} bytes")
        return count

    def _cut_short(self, detail: str) -> DeliveryIncompleteError:
        return DeliveryIncompleteError(
            f"{self._where} was cut short while it was fetched ({detail}). Nothing was written. Run again."
        )
