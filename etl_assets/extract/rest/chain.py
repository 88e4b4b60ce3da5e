"""Follows a pagination from its first page to its last, and guards against what servers do wrong.

Pages that repeat, never end, or lead to another host are refused. What shows that records changed while they were read
is collected in `Chain.changes`.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.json import Json
from etl_assets.extract.http.session import origin
from etl_assets.extract.rest.pagination import NAMED_BY_THE_PAGE, SinglePage, links, unreadable
from etl_assets.extract.rest.signs import next_page_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from etl_assets.extract.incremental import Cursor
    from etl_assets.extract.rest.answer import Answer
    from etl_assets.extract.rest.client import Client
    from etl_assets.extract.rest.extractor import RestExtractor
    from etl_assets.extract.rest.request import Request

    Item = TypeVar("Item")
    Result = TypeVar("Result")

_LONGEST: Final = 64 * 1024
_LONGEST_BODY: Final = 256 * 1024
_AHEAD: Final = 2
"""Answers for each thread that may wait until those before them are taken."""


class Chain:
    """The pages of one first request.

    Attributes:
        changes: What shows that records changed while they were read, each as a clause; complete after the last page.
    """

    def __init__(self, extractor: RestExtractor, client: Client, since: Cursor | None = None) -> None:
        """Begin.

        Args:
            extractor: The declaration.
            client: Asks for a page.
            since: Where an incremental fetch begins; of one that has the newest records first, the end.
        """
        self.changes: list[str] = []
        self._since: Any = since if extractor.newest_first else None
        self._extractor = extractor
        self._client = client
        self._pagination = extractor.pagination or SinglePage()
        self._pages: dict[str, int] = {}
        self._asked: set[bytes] = set()
        self._totals: list[int] = []
        self._shown = extractor.shown

    def answers(self, request: Request) -> Iterator[Answer]:
        """Yield the pages in order, from that of a request on."""
        first = self._client.ask(self._pagination.first(request))
        last = first
        yield self._checked(first)
        others = self._pagination.others(first) if self._extractor.parallel > 1 else None
        if others is None:
            while not self._is_past(last) and (following := self._following(last)) is not None:
                last = self._client.ask(following, last.number + 1, last.so_far)
                yield self._checked(last)
        else:
            bounded = list(islice(others, self._extractor.max_pages))
            self._check_count(len(bounded) + 1)
            for last in self._in_parallel(bounded, first):
                yield self._checked(last)
        if not self._is_past(last):
            self._check_total(last)

    def _is_past(self, answer: Answer) -> bool:
        """Whether a page has a record that is older than where the fetch begins, so that no newer one follows."""
        incremental = self._extractor.incremental
        if self._since is None or incremental is None:
            return False
        texts = [
            text
            for batch in answer.batches
            if incremental.by in batch.names
            for text in batch.frame.get_column(incremental.by).drop_nulls()
        ]
        values: list[Any] = [value for text in texts if (value := incremental.read(text)) is not None]
        return any(value < self._since for value in values)

    def _in_parallel(self, requests: list[Request], first: Answer) -> Iterator[Answer]:
        so_far = first.so_far
        ask = enumerate(requests, start=first.number + 1)
        for answer in in_parallel(lambda item: self._client.ask(item[1], item[0]), ask, self._extractor.parallel):
            answer.earlier = so_far
            so_far = answer.so_far
            yield answer

    def _following(self, answer: Answer) -> Request | None:
        """Return the request for the next page, if there is one and it may be sent."""
        if self._extractor.pagination is None:
            self._check_single(answer)
            return None
        following = self._pagination.following(answer)
        if following is None:
            if isinstance(self._pagination, NAMED_BY_THE_PAGE) and not self._pagination.has_ended(answer):
                self._check_single(answer)
            return None
        if key := self._extractor.access.key_parameter:
            following = following.without(key)  # else it would be sent twice, and frozen with the page
        _check_length(following, answer)
        if _origin(following, answer) != _origin(answer.request, answer):
            raise DeliveryError(
                f"{answer.label} names a next page on another host or scheme. Nothing was sent there, and nothing was "
                "written. If the server does not know its own address, declare rebase=True of its pagination."
            )
        self._check_count(answer.number + 1)
        self._asked.add(_digest(answer.request))
        if not answer.records and _digest(following) in self._asked:
            return None  # pages without records that lead back to each other are the end
        return following

    def _checked(self, answer: Answer) -> Answer:
        """Return a page, unless an earlier one has the same records."""
        if answer.records:
            earlier = self._pages.setdefault(answer.digest, answer.number)
            if earlier != answer.number:
                raise DeliveryError(
                    f"{answer.label} has the same records as page {earlier}: the pages repeat, and it is not known "
                    "whether there are others. Nothing was written. Check the pagination: the name of its parameter, "
                    "and how the last page shows that it is the last."
                )
        if (expected := self._pagination.expected(answer)) is not None:
            self._totals.append(expected)
        return answer

    def _check_count(self, pages: int) -> None:
        if pages > self._extractor.max_pages:
            raise DeliveryError(
                f"{self._shown} has more than {self._extractor.max_pages:,} pages. Nothing was written. If it may have "
                "so many, declare max_pages=…; else check how the last page shows that it is the last."
            )

    def _check_single(self, answer: Answer) -> None:
        """Refuse a page that names a next one, if no pagination is declared, or one that does not find it."""
        sign = ""
        if any("next" in rels for _, rels in links(answer)):
            sign = "in its header Link: declare pagination=LinkHeader()"
        elif isinstance(self._extractor.format, Json) and (paths := next_page_paths(answer.value_at)):
            sign = f"in its JSON at {paths[0]}: declare NextUrl({paths[0]!r}) or Cursor({paths[0]!r})"
        problem = "no pagination is declared"
        if self._extractor.pagination is not None:
            problem = "the declared pagination finds none"
        if sign:
            raise DeliveryError(
                f"{answer.label} names a next page, and {problem}. Nothing was written. The page is named {sign}; or "
                "SinglePage(), if its records are all that is wanted."
            )

    def _check_total(self, last: Answer) -> None:
        """Compare the numbers of all records that the pages say with that of the records that came."""
        if not self._totals:
            return
        if len(set(self._totals)) > 1:
            self.changes.append(f"the number of records went from {self._totals[0]:,} to {self._totals[-1]:,}")
        if last.so_far != self._totals[-1]:
            self.changes.append(f"{last.so_far:,} records came, and there are {self._totals[-1]:,}")


def in_parallel(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Yield the results of a function in the order of its items; a few are made ahead, in threads.

    Args:
        function: May raise, which ends the iteration.
        items: Are taken as they are needed.
        threads: Number of threads; with one, nothing is made ahead.
    """
    if threads == 1:
        yield from map(function, items)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads, "etl-assets-pages") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= threads * _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _origin(request: Request, answer: Answer) -> tuple[str, str | None, int | None]:
    try:
        return origin(urlsplit(request.target))
    except ValueError:
        raise unreadable(answer) from None


def _check_length(request: Request, answer: Answer) -> None:
    """Raise if a page names the next one by more than a server would take; each page has its request with it."""
    if len(request.target) > _LONGEST or len(request.body or b"") > _LONGEST_BODY:
        raise DeliveryError(
            f"{answer.label} names the next page by more than {_LONGEST} characters. Nothing was written. Check the "
            "pagination: the path of what it names; else ask the publisher."
        )


def _digest(request: Request) -> bytes:
    return sha256(f"{request.target}\n".encode() + (request.body or b"")).digest()
