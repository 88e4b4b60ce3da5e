"""Decodes bodies that a server packs although the request asks for none, within bounds.

What is frozen is the file and not how it was sent: a server may pack the same file differently each time.
"""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING, Any, Final

from etl_assets.errors import DeliveryError, DeliveryIncompleteError
from etl_assets.extract.http.body import too_large
from etl_assets.extract.location import without_secrets
from etl_assets.extract.unpack.member import MAX_RATIO, RATIO_FLOOR

if TYPE_CHECKING:
    from etl_assets.extract.http.body import Body

_CHUNK: Final = 64 * 1024
_BITS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}


def decoded(body: Body, coding: str, url: str, max_bytes: int) -> io.RawIOBase:
    """Return a stream of the decoded bytes of a body.

    Args:
        body: As it was sent.
        coding: The header ``Content-Encoding``; empty for none.
        url: The address, for errors.
        max_bytes: The largest number of decoded bytes.

    Raises:
        DeliveryError: If the coding is another than gzip or deflate, or several.
    """
    name = coding.strip().lower()
    if name in {"", "identity"}:
        return body
    if name not in _BITS:
        raise DeliveryError(
            f"{without_secrets(url)} is sent with the coding {name[:40]!r}, although it was asked for none. Nothing "
            "was written. Ask the publisher for a server that sends the file itself, or packs it by gzip once."
        )
    return _Decoded(body, _BITS[name], url, max_bytes)


class _Decoded(io.RawIOBase):
    """Decodes one stream after another, as gzip allows, and raises if the last one does not end."""

    def __init__(self, body: Body, bits: int, url: str, max_bytes: int) -> None:
        super().__init__()
        self._body = body
        self._bits = bits
        self._url = url
        self._max_bytes = max_bytes
        self._decoder: Any = zlib.decompressobj(bits)
        self._packed = b""
        self._count = 0

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._body.close()
        super().close()

    def readinto(self, buffer: Any, /) -> int:
        chunk = b""
        while not chunk:
            if not self._packed:
                self._packed = self._body.read(_CHUNK)
                if not self._packed:
                    self._check_end()
                    return 0
            chunk = self._decode(min(len(buffer), _CHUNK))
        self._count += len(chunk)
        if self._count > self._max_bytes:
            raise too_large(self._url, self._max_bytes)
        if self._count > max(RATIO_FLOOR, self._body.received * MAX_RATIO):
            raise DeliveryError(
                f"{without_secrets(self._url)} unpacks to more than {MAX_RATIO} times its size. Nothing was written. "
                "Ask the publisher for a server that sends the file itself."
            )
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def _decode(self, count: int) -> bytes:
        if self._decoder.eof:
            self._decoder = zlib.decompressobj(self._bits)
        try:
            chunk: bytes = self._decoder.decompress(self._packed, count)
        except zlib.error:
            raise self._incomplete("damaged") from None
        self._packed = self._decoder.unused_data if self._decoder.eof else self._decoder.unconsumed_tail
        return chunk

    def _check_end(self) -> None:
        if not self._decoder.eof:
            raise self._incomplete("cut short")

    def _incomplete(self, problem: str) -> DeliveryIncompleteError:
        return DeliveryIncompleteError(
            f"{without_secrets(self._url)} is {problem} after {self._count} decoded bytes. Nothing was written. Run "
            "again; if that does not help, ask the publisher."
        )
