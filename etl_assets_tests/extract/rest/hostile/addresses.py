"""Servers that lead elsewhere: by redirects, and by the address of the next page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from etl_assets import LinkHeader, NextUrl, Secret
from etl_assets.errors import DeliveryError
from etl_assets_tests.extract.rest.hostile.scenario import (
    PATH,
    SECRETS,
    Scenario,
    document,
    every,
    number,
    one_by_one,
    page_of,
    send,
    sends,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets_tests.extract.rest.hostile.scenario import Answers, Site
    from etl_assets_tests.hostile_server import Answer, Request

_WHOLE: Final = document()
_NEXT: Final = {"pagination": NextUrl("$.next")}
_LINKS: Final = {"pagination": LinkHeader()}
_REDIRECTS: Final = "ten redirects"
_NONE: Final = "nothing is sent there"
_PAGES: Final = "the pages"


def _redirects(location: str, status: str = "302 Found") -> Answer:
    return sends(b"", status, Location=location)


def _by_host(request: Request) -> None:
    """Stand for two hosts: the interface redirects to another, which has the records."""
    if request.headers["host"] == "api.example":
        _redirects("http://elsewhere.example/items")(request)
    else:
        send(request, _WHOLE)


def _names(url: str | Callable[[Site], str]) -> Answers:
    """Return a server whose first page names the next one; what it names is never asked for."""

    def begin(site: Site) -> Answer:
        address = url if isinstance(url, str) else url(site)
        return sends(document((1, 2), next=address))

    return begin


def _names_in_pages(address: Callable[[Site, int], str]) -> Answers:
    """Return a server of three pages, each of which names the next one."""

    def begin(site: Site) -> Answer:
        def answer(request: Request) -> None:
            page = number(request)
            send(request, document(page_of(page), next=address(site, page + 1) if page < 3 else None))

        return answer

    return begin


def _in_link(text: Callable[[str], str]) -> Answers:
    """Return a server of three pages, whose header ``Link`` is made of the address of the next one."""

    def answer(request: Request) -> None:
        page = number(request)
        following: dict[str, Any] = {"Link": text(f"{PATH}?page={page + 1}")} if page < 3 else {}
        send(request, document(page_of(page)), **following)

    return every(answer)


def _refused_next(server: str, url: str | Callable[[Site], str], remedy: str = "Nothing was") -> Scenario:
    return Scenario(server, _names(url), 1, _NONE, DeliveryError, remedy, declared=_NEXT)


SCENARIOS: Final = (
    Scenario(
        "redirects to another host, which has the records; the login does not go there",
        every(_by_host),
        2,
        _REDIRECTS,
        is_proxy=True,
    ),
    Scenario(
        "redirects to a private address",
        lambda site: _redirects(f"{site.private}{PATH}"),
        1,
        _NONE,
        DeliveryError,
        "no redirect may lead there",
    ),
    Scenario("redirects to itself", every(_redirects(PATH)), 11, _REDIRECTS, DeliveryError, "Correct the address"),
    Scenario(
        "redirects from https to http",
        every(_redirects("http://127.0.0.1/items")),
        1,
        _NONE,
        DeliveryError,
        "Correct the address",
        tls=True,
    ),
    Scenario(
        "redirects to `file:///etc/passwd`",
        every(_redirects("file:///etc/passwd")),
        1,
        _NONE,
        DeliveryError,
        "Correct the address",
    ),
    Scenario(
        "redirects to an address with a login",
        every(_redirects("http://me:hunter2@127.0.0.1/items")),
        1,
        _NONE,
        DeliveryError,
        "declare access=",
    ),
    Scenario("redirects within its host", one_by_one(_redirects("/moved"), sends(_WHOLE)), 2, _REDIRECTS),
    Scenario(
        "redirects a POST",
        every(_redirects("/moved", "307 Temporary Redirect")),
        1,
        _NONE,
        DeliveryError,
        "Check the location",
        declared={"method": "POST", "json": {"all": True}, "repeatable": True},
    ),
    _refused_next("names a next page on another host", "http://elsewhere.example/items?page=2", "rebase=True"),
    _refused_next("names a next page at a private address", lambda site: f"{site.private}{PATH}?page=2", "rebase=True"),
    _refused_next("names a next page by another scheme", "file:///etc/passwd", "rebase=True"),
    _refused_next("names a next page by https, and was asked by http", lambda site: f"https{site.url[4:]}{PATH}"),
    _refused_next("names a next page with a login", lambda site: site.url.replace("//", "//me:hunter2@") + "/items"),
    _refused_next("names a next page at port 99999", "http://127.0.0.1:99999/items"),
    _refused_next("names a next page whose address is none", "http://[::"),
    _refused_next("names a next page by an address of 1 MB", f"{PATH}?page={'2' * 1_000_000}"),
    Scenario(
        "names each page as the next one of itself",
        _names_in_pages(lambda _, page: f"{PATH}?page={page - 1}"),
        2,
        "the digests of the pages",
        DeliveryError,
        "Check the pagination",
        declared=_NEXT,
    ),
    Scenario(
        "puts line ends and a header into the address of the next page",
        _names_in_pages(lambda _, page: f"{PATH}?page={page}&x=\r\nX-Evil: 1"),
        3,
        _PAGES,
        declared=_NEXT,
    ),
    Scenario(
        "does not know its own address (with `rebase=True`)",
        _names_in_pages(lambda _, page: f"https://10.0.0.1:8080{PATH}?page={page}"),
        3,
        _PAGES,
        declared={"pagination": NextUrl("$.next", rebase=True)},
    ),
    Scenario(
        "repeats the key of the login in the address of the next page; it is not frozen there",
        _names_in_pages(lambda _, page: f"{PATH}?key={SECRETS['API_KEY']}&page={page}"),
        3,
        _PAGES,
        declared=_NEXT,
        access={"key": Secret("API_KEY"), "key_parameter": "key"},
    ),
    Scenario(
        "names no pagination that is declared, but a next page",
        _names_in_pages(lambda _, page: f"{PATH}?page={page}"),
        1,
        "one request",
        DeliveryError,
        "NextUrl",
    ),
    Scenario(
        "names the next page in the header `Link`",
        _in_link(lambda url: f'<{url}>; rel="next"'),
        3,
        _PAGES,
        declared=_LINKS,
    ),
    Scenario(
        "writes the relation of a `Link` in single quotes",
        _in_link(lambda url: f"<{url}>; rel='next'"),
        3,
        _PAGES,
        declared=_LINKS,
    ),
    Scenario(
        "sends a header `Link` whose bracket is not closed",
        _in_link(lambda url: f'<{url}; rel="next"'),
        1,
        "one request",
        DeliveryError,
        "Ask the publisher",
        declared=_LINKS,
    ),
    Scenario(
        "sends a header `Link` without a relation",
        _in_link(lambda url: f"<{url}>"),
        1,
        "one request",
        DeliveryError,
        "Ask the publisher",
        declared=_LINKS,
    ),
)
