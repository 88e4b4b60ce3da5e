"""Opens a file by HTTP and sees to it that the whole body arrives.

Here lives plain fetching of one address with the standard library. Pages of an API are another extractor's business.
"""

from __future__ import annotations

import http.client
import io
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast
from urllib.parse import unquote, urlsplit

from etl_assets.errors import DeliveryError, DeliveryIncompleteError, DeliveryMissingError
from etl_assets.extract.base import Fetched
from etl_assets.extract.location import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

_AGENT: Final = "etl_assets"
_GONE: Final = frozenset({404, 410})
_VALIDATORS: Final = {"ETag": "etag", "Last-Modified": "modified", "Content-Length": "size"}


@contextmanager
def fetched_by_http(url: str, timeout: float) -> Iterator[Fetched]:
    """Open an address.

    Args:
        url: Begins with ``http://`` or ``https://``.
        timeout: Seconds without a byte after which the fetch is given up.

    Yields:
        The body.

    Raises:
        DeliveryMissingError: If the server says that there is nothing.
        DeliveryError: If it cannot be had otherwise.
    """
    request = urllib.request.Request(url, headers={"User-Agent": _AGENT, "Accept-Encoding": "identity"})  # noqa: S310 -- the scheme is checked by the caller
    try:
        response = urllib.request.urlopen(request, timeout=timeout)  # noqa: S310 -- as above
    except urllib.error.HTTPError as error:
        with error:
            if error.code in _GONE:
                raise DeliveryMissingError(
                    f"There is nothing at {shown(url)} (HTTP {error.code}). Nothing was written. "
                    "Correct the location, or wait until it is published."
                ) from None
            raise DeliveryError(
                f"{shown(url)} answered HTTP {error.code}. Nothing was written. "
                "Look whether it needs a login, or try again later."
            ) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DeliveryError(
            f"{shown(url)} cannot be reached ({_reason(error)}). Nothing was written. "
            "Look at the address and the network, then run again."
        ) from None
    with response:
        headers = response.headers
        validators = {name: headers[header] for header, name in _VALIDATORS.items() if headers[header]}
        name = unquote(urlsplit(url).path.rpartition("/")[2]) or urlsplit(url).hostname or "download"
        yield Fetched(cast("BinaryIO", _Body(response, shown(url))), name, shown(url), validators)


def _reason(error: Exception) -> str:
    """What kind of failure it was, without the address that some texts repeat."""
    cause = getattr(error, "reason", None)
    return type(cause).__name__ if isinstance(cause, Exception) else type(error).__name__


class _Body(io.RawIOBase):
    """A response's body that ends only where its length or its last chunk says so."""

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
