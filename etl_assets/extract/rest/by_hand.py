"""A file that a person brings for a source whose publisher is an API."""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from etl_assets.extract.base import Extractor, Fetched
from etl_assets.extract.local_files import fetch_local
from etl_assets.extract.pages import MAGIC, PageHead, packed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.model.partitions import Partition

_OK = 200


@dataclass(frozen=True)
class PageFile(Extractor):
    """The body of one answer in a file, or pages as they were frozen.

    Attributes:
        path: Of the file.
    """

    path: str

    @contextmanager
    def fetch(self, partition: Partition) -> Iterator[Fetched]:  # noqa: ARG002 -- there is one file
        """Open the file; see `Extractor.fetch`."""
        with fetch_local(self.path, "", 0.0, "") as fetched:
            begin = fetched.stream.read(len(MAGIC))
            if begin == MAGIC:
                yield replace(fetched, stream=cast("BinaryIO", _After(begin, fetched.stream)), validators={})
                return
            body = begin + fetched.stream.read()
            head = PageHead(1, "GET", fetched.name, _OK, {}, len(body))
            yield Fetched(cast("BinaryIO", io.BytesIO(MAGIC + packed(head, body))), fetched.name, fetched.origin)


class _After(io.RawIOBase):
    """Some bytes, and a stream after them."""

    def __init__(self, begin: bytes, stream: BinaryIO) -> None:
        super().__init__()
        self._begin = begin
        self._stream = stream

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer and return the number of bytes; 0 at the end."""
        chunk = self._begin[: len(buffer)] or self._stream.read(len(buffer))
        self._begin = self._begin[len(buffer) :]
        buffer[: len(chunk)] = chunk
        return len(chunk)
