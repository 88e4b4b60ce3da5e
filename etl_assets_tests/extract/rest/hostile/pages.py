"""Servers whose pages repeat, never end, do not add up, or change while they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from etl_assets import Cursor, Offset, PageNumber
from etl_assets.errors import DeliveryError, DeliveryIncompleteError
from etl_assets_tests.extract.rest.hostile.scenario import (
    Scenario,
    document,
    every,
    number,
    one_by_one,
    page_of,
    parameter,
    send,
    sends,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets_tests.extract.rest.hostile.scenario import Answers, Site
    from etl_assets_tests.hostile_server import Answer, Request

_DIGESTS: Final = "the digests of the pages"
_MOST: Final = "`max_pages`"
_PAGES: Final = "the pages"
_THRICE: Final = "three readings"
_BY_NUMBER: Final = {"pagination": PageNumber()}
_BY_TOTAL: Final = {"pagination": PageNumber(total="$.total")}
_BY_CURSOR: Final = {"pagination": Cursor("$.next")}
_BY_OFFSET: Final = {"pagination": Offset(limit=2, total="$.total")}


def numbered(page: Callable[[int], bytes], **headers: Any) -> Answers:
    """Return a server of pages by number."""
    return every(lambda request: send(request, page(number(request)), **headers))


def _by_cursors(pages: dict[str, tuple[Any, object]]) -> Answers:
    """Return a server of pages by cursor, each with its records and the next cursor."""

    def answer(request: Request) -> None:
        records, following = pages[parameter(request, "cursor")]
        send(request, document(records, next=following))

    return every(answer)


def _scroll(_: Site) -> Answer:
    """Return a server with one cursor for all pages, which remembers where it is."""
    page = iter(range(1, 9))

    def answer(request: Request) -> None:
        current = next(page)
        send(request, document(page_of(current), next="scroll" if current < 4 else None))

    return answer


def table(*changes: tuple[int, Callable[[list[int]], None]], most: int = 2) -> Answers:
    """Return a server of records by offset, which change before some of the requests."""

    def begin(_: Site) -> Answer:
        rows, asked = list(range(1, 7)), [0]

        def answer(request: Request) -> None:
            asked[0] += 1
            for when, change in changes:
                if when in {asked[0], 0}:
                    change(rows)
            start = int(parameter(request, "offset", "0"))
            send(request, document(rows[start : start + most], total=len(rows)))

        return answer

    return begin


def delete_first(rows: list[int]) -> None:
    del rows[0]


def _insert_first(rows: list[int]) -> None:
    rows.insert(0, max(rows) + 1)


def _versions(_: Site) -> Answer:
    """Return a server whose first page gets a record between the pages, and has an ETag."""
    rows, asked = list(range(1, 6)), [0]

    def answer(request: Request) -> None:
        asked[0] += 1
        if asked[0] == 2:
            rows.insert(0, 6)
        page = number(request)
        tag = f'"{len(rows)}"'
        if request.headers.get("if-none-match") == tag:
            send(request, b"", "304 Not Modified")
        else:
            send(request, document(rows[2 * page - 2 : 2 * page]), ETag=tag)

    return answer


def _new_tag_each_time(_: Site) -> Answer:
    asked = [0]

    def answer(request: Request) -> None:
        asked[0] += 1
        send(request, document(page_of(number(request))), ETag=f'"{asked[0]}"')

    return answer


def _growing_total(_: Site) -> Answer:
    asked = [0]

    def answer(request: Request) -> None:
        asked[0] += 1
        send(request, document(page_of(number(request)), total=6 + asked[0]))

    return answer


def _missing(from_page: int) -> Answers:
    def answer(request: Request) -> None:
        page = number(request)
        send(request, document(page_of(page)), "404 Not Found" if page >= from_page else "200 OK")

    return every(answer)


SCENARIOS: Final = (
    Scenario(
        "sends the same page for each number",
        numbered(lambda _: document((1, 2))),
        2,
        _DIGESTS,
        DeliveryError,
        "name of its parameter",
        declared=_BY_NUMBER,
    ),
    Scenario(
        "sends new records for ever",
        numbered(lambda page: document((2 * page, 2 * page + 1))),
        5,
        _MOST,
        DeliveryError,
        "max_pages=…",
        declared={**_BY_NUMBER, "max_pages": 5},
    ),
    Scenario(
        "names a number of pages without bound (and is asked in parallel)",
        numbered(lambda page: document(page_of(page), pages=10**18)),
        1,
        _MOST,
        DeliveryError,
        "max_pages=…",
        declared={"pagination": PageNumber(total_pages="$.pages"), "parallel": 4},
    ),
    Scenario(
        "sends an empty page for ever, with a new cursor each",
        every(lambda request: send(request, document((), next=parameter(request, "cursor") + "x"))),
        5,
        _MOST,
        DeliveryError,
        "max_pages=…",
        declared={**_BY_CURSOR, "max_pages": 5},
    ),
    Scenario("repeats the cursor while the records differ", _scroll, 4, _PAGES, declared=_BY_CURSOR),
    Scenario(
        "leads from cursor a to b, and back to a",
        _by_cursors({"": ((1, 2), "a"), "a": ((3, 4), "b"), "b": ((5, 6), "a")}),
        4,
        _DIGESTS,
        DeliveryError,
        "Check the pagination",
        declared=_BY_CURSOR,
    ),
    Scenario(
        "names a cursor that is an object",
        _by_cursors({"": ((1, 2), {"after": 2})}),
        1,
        "one request",
        DeliveryError,
        "Correct the path",
        declared=_BY_CURSOR,
    ),
    Scenario(
        "names cursors of 20 digits, and the cursor 0",
        _by_cursors({"": ((1, 2), 98765432109876543210), "98765432109876543210": ((3, 4), 0), "0": ((5, 6), None)}),
        3,
        _PAGES,
        declared=_BY_CURSOR,
    ),
    Scenario(
        "names a cursor of 1 MB",
        _by_cursors({"": ((1, 2), "x" * 1_000_000)}),
        1,
        "64 KiB for an address",
        DeliveryError,
        "ask the publisher",
        declared=_BY_CURSOR,
    ),
    Scenario(
        "puts line ends and a header into a cursor",
        _by_cursors({"": ((1, 2), "a\r\nX-Evil: 1"), "a\r\nX-Evil: 1": (range(3, 7), None)}),
        2,
        _PAGES,
        declared=_BY_CURSOR,
    ),
    Scenario(
        "answers 204 to the last cursor",
        one_by_one(sends(document(next="a")), sends(b"", "204 No Content")),
        2,
        _PAGES,
        declared=_BY_CURSOR,
    ),
    Scenario(
        "answers 204: it has no records",
        every(sends(b"", "204 No Content")),
        1,
        "one request",
        records=(),
        note="has no record",
        declared=_BY_TOTAL,
    ),
    Scenario("gives fewer records a page than it is asked for", table(most=1), 6, _PAGES, declared=_BY_OFFSET),
    Scenario(
        "sends an empty page in the middle (with `total`)",
        numbered(lambda page: document(() if page == 2 else page_of(page), total=4)),
        4,
        _THRICE,
        DeliveryError,
        "cut them by partitions",
        declared=_BY_TOTAL,
    ),
    Scenario(
        "names a total that is too large",
        numbered(lambda page: document(page_of(page), total=9)),
        8,
        _THRICE,
        DeliveryError,
        "leave total= out",
        declared=_BY_TOTAL,
    ),
    Scenario(
        "names a total that is too small",
        every(
            lambda request: send(
                request,
                document(
                    page_of(int(parameter(request, "cursor", "1"))),
                    total=4,
                    next=int(parameter(request, "cursor", "1")) % 3 + 1
                    if parameter(request, "cursor", "1") != "3"
                    else None,
                ),
            )
        ),
        6,
        _THRICE,
        DeliveryError,
        "leave total= out",
        declared={"pagination": Cursor("$.next", total="$.total")},
    ),
    Scenario(
        "names a total of 5,000 digits",
        numbered(lambda page: document(page_of(page), total="9" * 5_000)),
        1,
        "one request",
        DeliveryError,
        "Correct the path",
        declared=_BY_TOTAL,
    ),
    Scenario(
        "names another total on each page",
        _growing_total,
        12,
        _THRICE,
        DeliveryIncompleteError,
        "on_change",
        declared=_BY_TOTAL,
    ),
    Scenario(
        "names no total where it is declared",
        numbered(lambda page: document(page_of(page))),
        1,
        "one request",
        DeliveryError,
        "Correct the path",
        declared=_BY_TOTAL,
    ),
    Scenario(
        "loses a record between two pages",
        table((2, delete_first)),
        6,
        _THRICE,
        records=range(2, 7),
        declared=_BY_OFFSET,
    ),
    Scenario(
        'loses a record between two pages (with `on_change="report"`)',
        table((2, delete_first)),
        3,
        _PAGES,
        records=(1, 2, 4, 5, 6),
        missing=1,
        note="Some may be missing",
        declared={**_BY_OFFSET, "on_change": "report"},
    ),
    Scenario(
        "gets a record at the front between two pages",
        table((2, _insert_first)),
        8,
        _THRICE,
        records=range(1, 8),
        declared=_BY_OFFSET,
    ),
    Scenario(
        "gets a record before each request",
        table((0, _insert_first)),
        42,
        _THRICE,
        DeliveryIncompleteError,
        "on_change",
        declared=_BY_OFFSET,
    ),
    Scenario(
        "changes the first page while the others are read, and names its version",
        _versions,
        10,
        _THRICE,
        declared=_BY_NUMBER,
    ),
    Scenario("names another version of the same page each time", _new_tag_each_time, 5, _PAGES, declared=_BY_NUMBER),
    Scenario(
        "has the same record on two pages",
        _by_cursors({"": ((1, 2), "a"), "a": ((2, 3), None)}),
        2,
        _PAGES,
        records=(1, 2, 2, 3),
        declared=_BY_CURSOR,
    ),
    Scenario("answers 404 to page 3", _missing(3), 3, _PAGES, DeliveryIncompleteError, "total", declared=_BY_NUMBER),
)
