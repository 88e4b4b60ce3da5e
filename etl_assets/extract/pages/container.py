"""How the pages of a delivery are frozen: a line of JSON that describes a page, then its body as it came.

The same answers give the same bytes, so that a second fetch of them is the same delivery: there is no time in them, and
of the headers only those that say what the body is. A person can read them with ``less``.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Annotated, BinaryIO, Final, NamedTuple, cast

import msgspec

from etl_assets.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC: Final = b"etl_assets pages 1\n"
"""The first line of a file of pages."""
_LONGEST_HEAD: Final = 1024 * 1024
_BUFFER: Final = 256 * 1024
_PART: Final = 16 * 1024 * 1024
"""So many bytes are read at once, since a head may name any number of them."""


class PageHead(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a page besides its body.

    Attributes:
        page: Number of the page in the delivery, from 1.
        method: Of the request.
        url: Of the request, without its login.
        status: Of the answer.
        headers: Of the answer, those that say what the body is and which page follows; by their names in lower case.
        size: Number of bytes of the body.
        sent: The body of the request; empty for none.
        values: Of the record that the request was made for: column to text. See `Parent`.
    """

    page: int
    method: str
    url: str
    status: int
    headers: dict[str, str]
    size: Annotated[int, msgspec.Meta(ge=0)]
    sent: str = ""
    values: dict[str, str] = {}


class Page(NamedTuple):
    """A frozen page.

    Attributes:
        head: What is known of it.
        body: As it came, without the coding of its transfer.
        offset: Of its head in the file.
        length: Number of bytes of head and body together.
    """

    head: PageHead
    body: bytes
    offset: int
    length: int

    @property
    def label(self) -> str:
        """How it is named to people."""
        return f"page {self.head.page}"


def packed(head: PageHead, body: bytes) -> bytes:
    """Return a page as it is frozen."""
    return b"%s\n%s\n" % (msgspec.json.encode(head), body)


def pages(stream: BinaryIO) -> Iterator[Page]:
    """Yield the pages of a file, from its start on.

    Raises:
        DeliveryError: If it is no file of pages.
    """
    buffered = io.BufferedReader(cast("io.RawIOBase", stream), _BUFFER)
    try:
        if exactly(buffered, len(MAGIC)) != MAGIC:
            raise _no_pages("does not begin as such a file")
        yield from pages_from(buffered, len(MAGIC))
    finally:
        buffered.detach()  # else it would close the stream


def pages_from(stream: BinaryIO, offset: int) -> Iterator[Page]:
    """Yield the pages from an offset on, at which the stream is."""
    decoder = msgspec.json.Decoder(PageHead)
    while line := stream.readline(_LONGEST_HEAD):
        try:
            head = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise _no_pages(f"has no head of a page at byte {offset}") from None
        body = exactly(stream, head.size + 1)
        if len(body) <= head.size:
            raise _no_pages(f"ends within page {head.page}")
        yield Page(head, body[:-1], offset, len(line) + len(body))
        offset += len(line) + len(body)


def exactly(stream: BinaryIO, count: int) -> bytes:
    """Read that many bytes; fewer only at the end."""
    parts = []
    while count and (part := stream.read(min(count, _PART))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _no_pages(problem: str) -> DeliveryError:
    return DeliveryError(
        f"The file has no pages of an API: it {problem}. Nothing was written. Bring a file that was landed from "
        "it, or the body of one answer."
    )
