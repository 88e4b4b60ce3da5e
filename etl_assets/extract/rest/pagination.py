"""The ways in which APIs cut their records into pages. One's own way is a class that derives from `Pagination`.

A pagination only says which request follows a page. `client` sends the requests, and `chain` guards against pages that
repeat, never end, lead elsewhere, or do not add up.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import urlsplit, urlunsplit

from etl_assets.errors import DeclarationError, DeliveryError
from etl_assets.extract.formats.json.path import Path
from etl_assets.extract.rest.request import Place
from etl_assets.model.declaration import Declaration
from etl_assets.model.text import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from etl_assets.extract.rest.answer import Answer
    from etl_assets.extract.rest.request import Request

_LINK: Final = re.compile(r"<([^<>]*)>((?:[^,<]|,(?!\s*<))*)")
_REL: Final = re.compile(r""";\s*rel\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s;,"']+))""", re.IGNORECASE)
_DIGITS: Final = re.compile(r"[0-9]{1,18}")
_NO_CONTENT: Final = 204


@dataclass(frozen=True)
class Pagination(Declaration):
    """How the records of an API are cut into pages.

    Attributes:
        total: Path of the number of all records in a page, such as ``$.total``. If it is declared, the records are
            counted, and a fetch with another number of them is not taken for whole.
    """

    paths: ClassVar[tuple[str, ...]] = ("total",)
    """Names of the fields that are paths in a page; a class of one's own adds its own."""
    total: str = field(default="", kw_only=True)

    def check(self, where: str) -> None:
        """Raise a `DeclarationError` unless the paths can be read."""
        for name in self.paths:
            if text := getattr(self, name):
                _check_path(text, where, name)

    def first(self, request: Request) -> Request:
        """Return the request for the first page."""
        return request

    @abstractmethod
    def following(self, answer: Answer) -> Request | None:
        """Return the request for the page that follows; None after the last one."""

    def has_ended(self, answer: Answer) -> bool:
        """Return whether a page shows that it is the last, whatever else it names: it has no records."""
        return not answer.records

    def others(self, answer: Answer) -> Iterable[Request] | None:  # noqa: ARG002 -- most only know the next one
        """Return the requests for all pages after the first one, if that says which they are; else None.

        They are made one after the other, since a server may name any number of pages.
        """
        return None

    def expected(self, answer: Answer) -> int | None:
        """Return the number of all records, as a page says; None if none is declared, or the page has no content.

        Raises:
            DeliveryError: If it is declared, and the page does not have it.
        """
        return _number(answer, self.total, "total") if self.total and answer.status != _NO_CONTENT else None


@dataclass(frozen=True)
class SinglePage(Pagination):
    """There is one page, which has all records."""

    def following(self, answer: Answer) -> Request | None:  # noqa: ARG002 -- there is none
        """Return None."""
        return None


@dataclass(frozen=True)
class PageNumber(Pagination):
    """Pages have numbers. Without any of the paths, the first page without records is the end.

    Attributes:
        parameter: The name of the number.
        start: The number of the first page.
        place: Where the parameter is; in a body its name may be a path such as ``page.number``.
        total_pages: Path of the number of all pages.
        has_more: Path of a value that is true while there are more pages.
    """

    paths: ClassVar[tuple[str, ...]] = ("total", "total_pages", "has_more")
    parameter: str = "page"
    start: int = field(default=1, kw_only=True)
    place: Place = field(default="query", kw_only=True)
    total_pages: str = field(default="", kw_only=True)
    has_more: str = field(default="", kw_only=True)

    def first(self, request: Request) -> Request:
        """Return the request with the number of the first page."""
        return request.having(self.parameter, self.start, self.place)

    def following(self, answer: Answer) -> Request | None:
        """Return the request for the next number."""
        number = _asked(answer, self.parameter, self.place) + 1
        if self.total_pages and not self.has_more:
            goes_on = number - self.start < _number(answer, self.total_pages, "total_pages")
        else:
            goes_on = _goes_on(self, answer)
        return answer.request.having(self.parameter, number, self.place) if goes_on else None

    def others(self, answer: Answer) -> Iterable[Request] | None:
        """Return the requests for all other numbers, if the number of pages or records is declared."""
        expected = self.expected(answer)
        if self.total_pages:
            pages = _number(answer, self.total_pages, "total_pages")
        elif expected is None or self.has_more:
            return None
        else:
            pages = -(-expected // answer.records) if answer.records else 1
        numbers = range(self.start + 1, self.start + pages)
        return (answer.request.having(self.parameter, number, self.place) for number in numbers)


@dataclass(frozen=True)
class Offset(Pagination):
    """A page begins after so many records. The next offset counts the records that came, not those that were asked for.

    Without any of the paths, the first page without records is the end.

    Attributes:
        parameter: The name of the offset.
        limit: The number of records to ask for; None to ask for none.
        limit_parameter: The name of that number.
        place: Where both are.
        has_more: Path of a value that is true while there are more pages.
    """

    paths: ClassVar[tuple[str, ...]] = ("total", "has_more")
    parameter: str = "offset"
    limit: int | None = field(default=None, kw_only=True)
    limit_parameter: str = field(default="limit", kw_only=True)
    place: Place = field(default="query", kw_only=True)
    has_more: str = field(default="", kw_only=True)

    def first(self, request: Request) -> Request:
        """Return the request with offset 0."""
        if self.limit is not None:
            request = request.having(self.limit_parameter, self.limit, self.place)
        return request.having(self.parameter, 0, self.place)

    def following(self, answer: Answer) -> Request | None:
        """Return the request for the records after those that came."""
        offset = _asked(answer, self.parameter, self.place) + answer.records
        return answer.request.having(self.parameter, offset, self.place) if _goes_on(self, answer) else None

    def others(self, answer: Answer) -> Iterable[Request] | None:
        """Return the requests for all other pages, each as long as the first one, if `total` is declared."""
        expected = self.expected(answer)
        if expected is None or self.has_more:
            return None
        offsets = range(answer.records, expected, answer.records) if answer.records else ()
        return (answer.request.having(self.parameter, offset, self.place) for offset in offsets)


@dataclass(frozen=True)
class Cursor(Pagination):
    """A page names the cursor of the next one; the last page names none.

    Attributes:
        next: Path of the cursor in a page, such as ``$.meta.next_cursor``.
        parameter: The name under which it is asked for.
        header: The header that has the cursor instead.
        start: The cursor of the first page, if it must have one.
        place: Where the parameter is.
        has_more: Path of a value that is true while there are more pages.
    """

    paths: ClassVar[tuple[str, ...]] = ("total", "next", "has_more")
    next: str = ""
    parameter: str = "cursor"
    header: str = field(default="", kw_only=True)
    start: str = field(default="", kw_only=True)
    place: Place = field(default="query", kw_only=True)
    has_more: str = field(default="", kw_only=True)

    def check(self, where: str) -> None:
        """Raise unless there is one place where the cursor is."""
        super().check(where)
        if bool(self.next) == bool(self.header):
            remedy = "Write next='$.path.of.the.cursor', or header='X-Next-Cursor'"
            raise DeclarationError(where, "next", "is missing, or declared beside header", remedy)

    def first(self, request: Request) -> Request:
        """Return the request with the cursor of the first page."""
        return request.having(self.parameter, self.start, self.place) if self.start else request

    def has_ended(self, answer: Answer) -> bool:
        """Return whether `has_more` is false, or a page without records leads to itself."""
        return not answer.records or bool(self.has_more and not _flag(answer, self.has_more))

    def following(self, answer: Answer) -> Request | None:
        """Return the request with the cursor that the page names."""
        cursor = answer.headers.get(self.header.lower()) if self.header else answer.value(self.next)
        if cursor is None or cursor == "" or cursor is False or (self.has_more and not _flag(answer, self.has_more)):
            return None
        if not isinstance(cursor, str | int):
            raise _no_value(answer, "next", self.next, "a text or a number")
        if not answer.records and str(cursor) == answer.request.value(self.parameter, self.place):
            return None  # a page without records that leads to itself is the end
        return answer.request.having(self.parameter, cursor, self.place)


@dataclass(frozen=True)
class LinkHeader(Pagination):
    """A page names the next one in the header ``Link`` (RFC 8288), as GitHub does.

    Attributes:
        rel: The relation of the next page.
        rebase: Whether only path and query of the link are taken, for servers that do not know their own address.
    """

    rel: str = "next"
    rebase: bool = field(default=False, kw_only=True)

    def following(self, answer: Answer) -> Request | None:
        """Return the request for the linked page."""
        known = list(links(answer))
        if not all(rels for _, rels in known) or _LINK.sub("", answer.headers.get("link", "")).strip(", \t"):
            raise DeliveryError(
                f"{answer.label} has a header Link that is not written as RFC 8288 says, so that it is not known "
                "whether a page follows. Nothing was written. Ask the publisher, or declare another pagination=…."
            )
        link = next((url for url, rels in known if self.rel.lower() in rels), None)
        return None if link is None else _linked(answer, link, rebase=self.rebase)


@dataclass(frozen=True)
class NextUrl(Pagination):
    """A page has the address of the next one in its JSON; the last one has none.

    Attributes:
        path: Of the address, such as ``$.next``.
        rebase: Whether only path and query of the address are taken, for servers that do not know their own.
    """

    paths: ClassVar[tuple[str, ...]] = ("total", "path")
    path: str = "$.next"
    rebase: bool = field(default=False, kw_only=True)

    def following(self, answer: Answer) -> Request | None:
        """Return the request for the address."""
        url = answer.value(self.path)
        if url is None or url == "" or url is False:
            return None
        if not isinstance(url, str):
            raise _no_value(answer, "path", self.path, "an address")
        return _linked(answer, url, rebase=self.rebase)


@dataclass(frozen=True)
class FirstPages(Pagination):
    """The first pages of another pagination, for a preview.

    Attributes:
        pagination: The other one.
        most: The number of pages.
    """

    pagination: Pagination
    most: int

    def first(self, request: Request) -> Request:
        """Return the request for the first page."""
        return self.pagination.first(request)

    def following(self, answer: Answer) -> Request | None:
        """Return the request for the page that follows; None after enough pages."""
        return self.pagination.following(answer) if answer.number < self.most else None


NAMED_BY_THE_PAGE: Final = Cursor | LinkHeader | NextUrl
"""The paginations whose next page is named by the page before."""
ONE_BY_ONE: Final = SinglePage | NAMED_BY_THE_PAGE
"""The paginations that know no page but the next one."""


def _goes_on(pagination: PageNumber | Offset, answer: Answer) -> bool:
    """Return whether more records follow, as a page says, or as the records so far show."""
    if pagination.has_more:
        return _flag(answer, pagination.has_more)
    expected = pagination.expected(answer)
    return answer.records > 0 and (expected is None or answer.so_far < expected)


def links(answer: Answer) -> Iterator[tuple[str, list[str]]]:
    """Yield address and relations of each link in the header ``Link`` of a page."""
    for url, parameters in _LINK.findall(answer.headers.get("link", "")):
        match = _REL.search(parameters)
        yield url, (match[1] or match[2] or match[3] or "").lower().split() if match else []


def _linked(answer: Answer, url: str, *, rebase: bool) -> Request:
    try:
        if rebase:
            url = urlunsplit(urlsplit(url)._replace(scheme="", netloc="", fragment=""))
        return replace(answer.request.at(url), json=answer.request.json)
    except ValueError:
        raise unreadable(answer) from None


def unreadable(answer: Answer) -> DeliveryError:
    """Return the error about a page that names the next one by no address."""
    return DeliveryError(
        f"{answer.label} names a next page whose address cannot be read. Nothing was written. Ask the publisher."
    )


def _asked(answer: Answer, parameter: str, place: Place) -> int:
    """Return the number that a request asked for."""
    return int(answer.request.value(parameter, place) or 0)


def _flag(answer: Answer, path: str) -> bool:
    value = answer.value(path)
    if not isinstance(value, bool):
        raise _no_value(answer, "has_more", path, "true or false")
    return value


def _number(answer: Answer, path: str, name: str) -> int:
    value = answer.value(path)
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _no_value(answer, name, path, "a number")
    return value


def _no_value(answer: Answer, name: str, path: str, kind: str) -> DeliveryError:
    return DeliveryError(
        f"{answer.label} does not have {kind} at {quoted(path)}, which {name}= names. Nothing was written. Correct the "
        "path, or leave it out."
    )


def _check_path(text: str, where: str, name: str) -> None:
    try:
        path = Path.parse(text)
    except ValueError as error:
        raise DeclarationError(where, name, f"{text!r} {error}", "Write a path such as $.meta.total") from None
    if None in path.steps or path.members or path.elements or not path.steps:
        raise DeclarationError(where, name, f"{text!r} names no single value", "Write a path such as $.meta.total")
