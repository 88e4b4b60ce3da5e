"""`Body`: the bytes of a response, all of them or an error; a download that broke is resumed where it stopped."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, Final

from urllib3.exceptions import HTTPError

from etl_assets.errors import DeliveryError, DeliveryIncompleteError, DeliveryUnreachableError
from etl_assets.extract.http.waits import backoff, moment_of
from etl_assets.extract.location import without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3 import BaseHTTPResponse

    from etl_assets.extract.http.session import HttpSession

_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")
_LENGTH: Final = re.compile(r"[0-9]{1,18}")
_WHOLE: Final = 200
_PART: Final = 206
_CHUNK: Final = 256 * 1024


class Body(io.RawIOBase):
    """The body of the response to a GET, as it was sent.

    It raises if the body ends before its length or its last chunk says so, and cannot be resumed. A body is resumed if
    the server named a version of it (a strong ETag, or else a date of modification that is surely older than the
    response), and answers that it has the same version.

    Attributes:
        received: Number of bytes so far.
    """

    def __init__(self, session: HttpSession, url: str, response: BaseHTTPResponse, *, resumes: bool = True) -> None:
        """Begin.

        Args:
            session: Of the request.
            url: Of the request.
            response: The response, of which nothing was read.
            resumes: Whether it is resumed; only the answer to a GET of the address alone, without headers, can be.
        """
        super().__init__()
        self.received = 0
        self._session = session
        self._url = url
        self._response = response
        self._version = _strong_version(response.headers) if resumes else None
        self._size = _size(response.headers)
        self._failures = 0
        self._ahead = 0

    def readable(self) -> bool:
        """True."""
        return True

    def close(self) -> None:
        """Close the connection."""
        self._response.close()
        super().close()

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer and return the number of bytes; 0 at the end.

        Raises:
            DeliveryIncompleteError: If the body is cut short.
            DeliveryUnreachableError: If the time is over.
            DeliveryError: If there are more bytes than declared.
        """
        chunk = self._next(min(len(buffer), _CHUNK))
        self.received += len(chunk)
        if self.received > self._session.http.max_bytes:
            raise too_large(self._url, self._session.http.max_bytes)
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def _next(self, count: int) -> bytes:
        """Return the next bytes, none at the end; resume as often as it helps."""
        while True:
            try:
                chunk = self._response.read1(count, decode_content=False)
            except (HTTPError, OSError, ValueError) as error:
                self._resume(type(error).__name__)
                continue
            self._session.deadline.check()
            if self._ahead and chunk:
                chunk, self._ahead = chunk[self._ahead :], max(0, self._ahead - len(chunk))
                if not chunk:
                    continue
            if chunk:
                self._failures = 0
                return chunk
            if self._ahead or (self._size is not None and self.received != self._size):
                self._resume(f"{self.received} of {self._size} bytes")
                continue
            return b""

    def _resume(self, cause: str) -> None:
        """Ask for the rest of a body that broke; its connection is of no use any more."""
        self._response.close()
        self._session.deadline.check()
        self._failures += 1
        wait = backoff(self._session.http.wait, self._failures)
        if self._version is None or self._failures >= self._session.attempts or not self._session.deadline.sleep(wait):
            raise self._cut_short(cause)
        wanted = {"Range": f"bytes={self.received}-", "If-Range": self._version}
        try:
            self._response = self._session.send("GET", self._url, wanted)
        except DeliveryUnreachableError:
            self._session.deadline.check()
            raise self._cut_short(cause) from None
        if not self._continues():
            raise self._cut_short(f"{cause}, and the server does not have the rest of the same version")

    def _continues(self) -> bool:
        """Whether the new response has the rest of the same version, or all of it again."""
        headers = self._response.headers
        if _strong_version(headers) != self._version:
            return False
        if self._response.status == _WHOLE:
            self._ahead = self.received
            return _size(headers) == self._size
        match = _RANGE.fullmatch(headers.get("Content-Range", ""))
        if self._response.status != _PART or match is None or int(match[1]) != self.received:
            return False
        total = None if match[2] == "*" else int(match[2])
        if self._size is None:
            self._size = total
        self._ahead = 0
        return total == self._size

    def _cut_short(self, detail: str) -> DeliveryIncompleteError:
        return DeliveryIncompleteError(
            f"{without_secrets(self._url)} was cut short while it was fetched ({detail}). Nothing was written. Run "
            "again."
        )


def has_end(headers: Mapping[str, str]) -> bool:
    """Return whether a response marks the end of its body, so that a body which was cut short is noticed."""
    return _size(headers) is not None or _is_chunked(headers)


def too_large(url: str, most: int) -> DeliveryError:
    """Return the error about a file with too many bytes."""
    return DeliveryError(
        f"{without_secrets(url)} has more than {most} bytes. Nothing was written. If it may be that large, declare "
        "max_bytes=… of its access."
    )


def _size(headers: Mapping[str, str]) -> int | None:
    length = headers.get("Content-Length", "")
    return int(length) if _LENGTH.fullmatch(length) and not _is_chunked(headers) else None


def _is_chunked(headers: Mapping[str, str]) -> bool:
    return headers.get("Transfer-Encoding", "").lower() == "chunked"


def _strong_version(headers: Mapping[str, str]) -> str | None:
    """Return what names a version of a body for certain, in the form of the header ``If-Range``; None for nothing."""
    etag = headers.get("ETag", "")
    if etag:
        return etag if etag.startswith('"') else None
    modified, now = moment_of(headers.get("Last-Modified", "")), moment_of(headers.get("Date", ""))
    if modified is None or now is None or (now - modified).total_seconds() <= 1:
        return None
    return headers["Last-Modified"]
