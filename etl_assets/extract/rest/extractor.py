"""`RestExtractor`: the declaration of a REST API whose records come in pages.

This module declares and checks; `fetch` fetches the pages, and `poll` asks whether there is something new.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from etl_assets.errors import DeclarationError
from etl_assets.extract.access.http import Http
from etl_assets.extract.base import Extractor, check_no_file
from etl_assets.extract.incremental import Incremental
from etl_assets.extract.location import is_web, without_secrets
from etl_assets.extract.pages import Pages
from etl_assets.extract.rest.pagination import ONE_BY_ONE, FirstPages, Pagination
from etl_assets.extract.rest.parent import Parent
from etl_assets.extract.rest.placeholders import OF_PARTITION, SINCE, check_placeholders, names_in, texts_in
from etl_assets.model.partitions import Files, Periods

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from etl_assets.extract.base import Fetched, Format
    from etl_assets.model.partitions import Partition, Partitioning

MEBIBYTE: Final = 1024**2
MOST_PARALLEL: Final = 32
PREVIEW_PAGES: Final = 3


@dataclass(frozen=True)
class RestExtractor(Extractor):
    """Fetches the pages of a REST API: one delivery for each fetch of a partition.

    Attributes:
        format: The format of a page, which also says where its records are: ``Json("$.items")``.
        url: The address. It, the parameters, the headers and the body may have placeholders; see `placeholders`.
        params: The parameters of the query. One whose placeholder has no value is left out.
        method: ``GET`` or ``POST``.
        json: The body of a POST, as JSON.
        headers: Of each request, besides the login. Secrets belong into ``access``.
        pagination: How the records are cut into pages. None for one page: then a page that names a next one is refused.
        access: How the API is reached: login, limits, deadline.
        incremental: Fetches only what has changed since the last fetch; a parameter says since when by ``{since}``.
        newest_first: Whether the newest records come first. Then a fetch ends at the first page with a record that is
            older than where it begins, and the first page shows whether there is something new.
        parent: The records that pages are requested for; their columns are placeholders.
        parallel: How many requests are sent at the same time, if it is known which pages there are: by the total
            number of pages or records, or by the records of the parent.
        on_change: What is done about records that change while their pages are read, so that some may come twice and
            others not at all: ``restart`` from the first page, at most twice, or ``report`` it and take them.
        repeatable: Whether a POST may be sent again, since it changes nothing. A GET always may.
        max_pages: The largest number of pages of a delivery.
        max_page_bytes: The largest number of bytes of a page.
    """

    url: str
    params: dict[str, str] = field(default_factory=dict, kw_only=True)
    method: Literal["GET", "POST"] = field(default="GET", kw_only=True)
    json: dict[str, Any] | None = field(default=None, kw_only=True)
    headers: dict[str, str] = field(default_factory=dict, kw_only=True)
    pagination: Pagination | None = field(default=None, kw_only=True)
    access: Http = field(default_factory=Http, kw_only=True)
    incremental: Incremental | None = field(default=None, kw_only=True)
    newest_first: bool = field(default=False, kw_only=True)
    parent: Parent | None = field(default=None, kw_only=True)
    parallel: int = field(default=1, kw_only=True)
    on_change: Literal["restart", "report"] = field(default="restart", kw_only=True)
    repeatable: bool = field(default=False, kw_only=True)
    settle_seconds: float = field(default=0.0, kw_only=True)
    max_pages: int = field(default=10_000, kw_only=True)
    max_page_bytes: int = field(default=64 * MEBIBYTE, kw_only=True)

    def __hash__(self) -> int:
        return hash((self.url, self.method, self.format, self.pagination, *self.params.items()))

    @property
    def frozen_format(self) -> Format:
        """Pages, each of which ``format`` reads."""
        return Pages(self.format, tuple(self.parent.columns) if self.parent is not None else ())

    @property
    def shown(self) -> str:
        """The address in messages: without secrets and query."""
        return without_secrets(self.url.partition("?")[0])

    @property
    def is_incremental(self) -> bool:
        """Whether a fetch begins where the one before ended."""
        return self.incremental is not None or (self.parent is not None and self.parent.extractor.is_incremental)

    def check(self, where: str) -> None:
        """Raise unless the API can be asked as it is declared."""
        super().check(where)
        check_no_file(self, where)
        if not is_web(self.url):
            raise DeclarationError(where, "url", "is no address of the web", "Write https://…")
        self.access.check(self.url.partition("{")[0], where)
        self._check_texts(where)
        self._check_numbers(where)
        if self.json is not None and self.method == "GET":
            raise DeclarationError(where, "json", "is declared, and a GET has no body", "Write method='POST'")
        if self.pagination is not None:
            self.pagination.check(where)
        if self.parent is not None:
            self.parent.check(where)
            if not isinstance(self.parent.extractor, RestExtractor):
                raise DeclarationError(where, "parent", "is no RestExtractor", "Declare the parent's API by one")
        self._check_incremental(where)

    def _check_texts(self, where: str) -> None:
        known = {*OF_PARTITION, *((SINCE,) if self.incremental else ()), *(self.parent.columns if self.parent else ())}
        check_placeholders(self._texts, known, where)
        if "{" in re.split("[/?#]", self.url)[2]:
            raise DeclarationError(where, "url", "has a placeholder for its host", "Write the host")
        if SINCE in names_in(self.url):
            remedy = "Write it as a parameter, which is left out of the first fetch"
            raise DeclarationError(where, "url", "has {since}, which the first fetch does not have", remedy)
        if login := {"authorization", "cookie", "proxy-authorization"} & {name.lower() for name in self.headers}:
            problem, remedy = f"has {min(login)!r}", "Declare the login by access=Http(bearer=Secret('NAME'))"
            raise DeclarationError(where, "headers", problem, remedy)
        if self.parent is not None and not self.parent.columns.keys() & self._placeholders:
            name = next(iter(self.parent.columns), "id")
            problem = f"has no placeholder such as {{{name}}}, so that each parent would have the same pages"
            raise DeclarationError(where, "url", problem, "Write it into the url, the params or the json")

    def _check_numbers(self, where: str) -> None:
        for name, most in (("parallel", MOST_PARALLEL), ("max_pages", 10_000_000), ("max_page_bytes", 1024**3)):
            if not 1 <= getattr(self, name) <= most:
                raise DeclarationError(where, name, f"is {getattr(self, name)}", f"Write 1 to {most:,}")
        if self.parallel > 1 and self.parent is None and isinstance(self.pagination, ONE_BY_ONE | None):
            problem = "is more than 1, and only each page says which one follows"
            raise DeclarationError(where, "parallel", problem, "Leave it out, or declare PageNumber or Offset")

    def _check_incremental(self, where: str) -> None:
        if self.incremental is None:
            return
        self.incremental.check(where)
        if SINCE not in self._placeholders and not self.newest_first:
            problem = "is declared, and no parameter has {since}"
            remedy = "Write params={'since': '{since:%Y-%m-%dT%H:%M:%SZ}'}, or newest_first=True if it is sorted so"
            raise DeclarationError(where, "incremental", problem, remedy)

    def check_partitions(self, partitions: Partitioning | None, where: str) -> None:
        """Raise unless the partitions of a source have a value for each placeholder."""
        used = sorted(self._placeholders & set(OF_PARTITION))
        if used and (partitions is None or isinstance(partitions, Files)):
            problem = f"has {{{used[0]}}}, and the source has no partitions with one"
            raise DeclarationError(where, "extractor", problem, "Declare partitions, or leave the placeholder out")
        if {"start", "end"} & set(used) and not isinstance(partitions, Periods):
            problem = f"has {{{used[-1]}}}, which only partitions of time have"
            remedy = "Use {key}, or declare Daily, Weekly or Monthly partitions"
            raise DeclarationError(where, "extractor", problem, remedy)
        if partitions is None or used:
            return
        if self.parent is None:
            remedy = "Write {key} or {start:%Y-%m-%d} into the url or the params"
            raise DeclarationError(where, "extractor", "asks for the same in each partition", remedy)
        self.parent.extractor.check_partitions(partitions, where)

    @property
    def _texts(self) -> dict[str, Any]:
        return {"url": self.url, "params": self.params, "json": self.json or {}, "headers": self.headers}

    @property
    def _placeholders(self) -> set[str]:
        return {name for text in texts_in(self._texts) for name in names_in(text)}

    def fetch(self, partition: Partition) -> AbstractContextManager[Fetched]:
        """Fetch all pages; see `Extractor.fetch`."""
        return self.fetch_since(partition, {})

    def fetch_since(self, partition: Partition, state: Mapping[str, Any]) -> AbstractContextManager[Fetched]:
        """Fetch the pages of what has changed; see `Extractor.fetch_since`."""
        from etl_assets.extract.rest.fetch import fetch_pages  # noqa: PLC0415 -- declarations need no network

        return fetch_pages(self, partition, state)

    def poll(self, partition: Partition) -> Mapping[str, str] | None:
        """Return a digest of the first page, if it shows whether there is something new; see `Extractor.poll`."""
        return self.poll_since(partition, {})

    def poll_since(self, partition: Partition, state: Mapping[str, Any]) -> Mapping[str, str] | None:
        """Return whether the first page has something new; see `Extractor.poll_since`."""
        from etl_assets.extract.rest.poll import poll_pages  # noqa: PLC0415 -- as above

        return poll_pages(self, partition, state)

    def of_preview(self) -> RestExtractor:
        """Return the extractor of the first pages alone, and of the first records of a parent."""
        pagination = self.pagination and FirstPages(self.pagination, PREVIEW_PAGES)
        parent = self.parent and replace(self.parent, extractor=self.parent.extractor.of_preview(), most=PREVIEW_PAGES)
        return replace(self, pagination=pagination, parent=parent, parallel=1, on_change="report")

    def is_cut(self, statistics: Mapping[str, float]) -> bool:
        """See `Extractor.is_cut`; of a parent with more records than a preview asks for, nothing is known."""
        return self.parent is not None or statistics.get("pages", 0) >= PREVIEW_PAGES

    def of_file(self, path: str) -> Extractor:
        """Return the extractor of a file with the body of one page, or of a whole delivery as it was frozen."""
        from etl_assets.extract.rest.by_hand import PageFile  # noqa: PLC0415 -- rarely needed

        return PageFile(self.frozen_format, path)
