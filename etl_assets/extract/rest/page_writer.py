"""Writes the pages of a fetch into one file, as they are frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final

from etl_assets.extract.pages import MAGIC, PageHead, packed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_assets.extract.rest.answer import Answer
    from etl_assets.extract.rest.extractor import RestExtractor

_KEPT: Final = ("content-type", "link")
"""The headers of an answer that are frozen with its body."""


class PageWriter:
    """Writes pages to a file, in place of what it has."""

    def __init__(self, spool: BinaryIO, extractor: RestExtractor) -> None:
        spool.seek(0)
        spool.truncate()
        self.pages = 0
        self._spool = spool
        self._kept = _KEPT[:1] if extractor.access.key_parameter else _KEPT  # a link may repeat the key
        self._spool.write(MAGIC)

    def write(self, answer: Answer, values: Mapping[str, str]) -> None:
        """Append a page."""
        if not answer.body:
            return  # HTTP 204
        self.pages += 1
        request = answer.request
        headers = {name: answer.headers[name] for name in self._kept if name in answer.headers}
        sent = (request.body or b"").decode()
        head = PageHead(
            self.pages, request.method, request.target, answer.status, headers, len(answer.body), sent, dict(values)
        )
        self._spool.write(packed(head, answer.body))
