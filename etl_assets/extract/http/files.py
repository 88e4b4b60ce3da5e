"""Fetches and polls one file by HTTP."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final, cast
from urllib.parse import unquote, urlsplit

from etl_assets.errors import DeliveryError
from etl_assets.extract.base import Fetched
from etl_assets.extract.http.body import Body, has_end
from etl_assets.extract.http.decoding import decoded
from etl_assets.extract.http.refused import refused
from etl_assets.extract.http.session import HttpSession
from etl_assets.extract.http.waits import GONE, LATER
from etl_assets.extract.location import without_secrets
from etl_assets.extract.validators import ETAG, MODIFIED, SIZE
from etl_assets.model.text import escape_control_characters

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from urllib3 import BaseHTTPResponse

    from etl_assets.extract.access.http import Http

_GOOD: Final = frozenset({200, 206})
_PART: Final = 206
_POLL_SECONDS: Final = 10.0
_VALIDATORS: Final = {"ETag": ETAG, "Last-Modified": MODIFIED, "Content-Length": SIZE}


@contextmanager
def fetch_by_http(url: str, http: Http) -> Iterator[Fetched]:
    """Open an address.

    Args:
        url: Begins with ``http://`` or ``https://``.
        http: How it is reached.

    Yields:
        The body, without its coding.

    Raises:
        DeliveryMissingError: If the server answers that there is nothing.
        DeliveryUnreachableError: If the server does not answer, or cannot now.
        DeliveryError: If the file cannot be fetched for another reason.
    """
    with HttpSession(http, url) as session:
        response = session.send("GET", url)
        with Body(session, url, response) as body:
            if response.status != 200:  # noqa: PLR2004 -- every other success has another body, or none
                raise refused(url, response.status, http, response.headers)
            coding = response.headers.get("Content-Encoding", "")
            stream = decoded(body, coding, url, http.max_bytes)
            if stream is body and not has_end(response.headers) and not http.accept_without_length:
                raise DeliveryError(
                    f"{without_secrets(url)} is sent without its length, so that a file which was cut short would look "
                    "whole. Nothing was written. If its server cannot do better, declare "
                    "access=Http(accept_without_length=True)."
                )
            name = unquote(urlsplit(url).path.rpartition("/")[2]) or urlsplit(url).hostname or "download"
            shown = without_secrets(url)
            yield Fetched(
                cast("BinaryIO", stream), escape_control_characters(name), shown, _validators(response.headers)
            )


def poll_by_http(url: str, http: Http) -> Mapping[str, str]:
    """Return the validators of an address, without fetching its body.

    A server that does not accept HEAD is asked for the first byte.

    Args:
        url: Begins with ``http://`` or ``https://``.
        http: How it is reached.

    Returns:
        ETag, modification time and size, as far as the server sends them.

    Raises:
        DeliveryMissingError: If the server answers that there is nothing.
        DeliveryUnreachableError: If the server does not answer, or cannot now.
        DeliveryError: If the server refuses HEAD and GET.
    """
    with HttpSession(http, url, seconds=_POLL_SECONDS, attempts=1) as session:
        response = session.send("HEAD", url)
        response.close()
        if response.status in _GOOD:
            return _validators(response.headers)
        if response.status not in GONE | (LATER - {500}):
            response = session.send("GET", url, {"Range": "bytes=0-0"})
            response.close()
        if response.status not in _GOOD:
            raise refused(url, response.status, http, response.headers)
        return _validators(_of_whole(response))


def _of_whole(response: BaseHTTPResponse) -> Mapping[str, str]:
    """Return the headers of a response, with the length of the whole if it is a part."""
    headers = dict(response.headers)
    if response.status == _PART:
        headers.pop("Content-Length", None)
        total = headers.get("Content-Range", "").rpartition("/")[2]
        if total.isdecimal():
            headers["Content-Length"] = total
    return headers


def _validators(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[header] for header, name in _VALIDATORS.items() if headers.get(header)}
