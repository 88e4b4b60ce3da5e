"""A file that a person brings for a source whose publisher is an API."""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO, cast

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
            stream = io.BufferedReader(cast("io.RawIOBase", fetched.stream))
            if stream.peek(len(MAGIC)).startswith(MAGIC):
                yield replace(fetched, stream=cast("BinaryIO", stream), validators={})
                return
            body = stream.read()
            head = PageHead(1, "GET", fetched.name, _OK, {}, len(body))
            yield Fetched(cast("BinaryIO", io.BytesIO(MAGIC + packed(head, body))), fetched.name, fetched.origin)
