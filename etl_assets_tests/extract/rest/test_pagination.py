"""Each way of cutting records into pages: every record once, in as many requests as that takes."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import (
    Cursor,
    Json,
    LinkHeader,
    NextUrl,
    Offset,
    PageNumber,
    Pagination,
    RestExtractor,
    SinglePage,
)
from etl_assets.errors import DeclarationError, DeliveryError
from etl_assets_tests.apis import Api, Reply, numbered, page_of
from etl_assets_tests.extract.rest.fetching import extractor, landed

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets import Answer as Page
    from etl_assets import Request
    from etl_assets_tests.apis import Asked

RECORDS = numbered(7)
ALL = list(range(1, 8))


def by_page(**envelope: Any) -> Callable[[Asked], Reply]:
    return lambda asked: Reply({"items": page_of(RECORDS, asked, 3), **envelope})


def by_offset(most: int, **envelope: Any) -> Callable[[Asked], Reply]:
    """Answers as a server that gives no more than so many records, whatever is asked for."""

    def answer(asked: Asked) -> Reply:
        offset, limit = int(asked.params.get("offset", 0)), int(asked.params.get("limit", most))
        return Reply({"items": RECORDS[offset : offset + min(limit, most)], **envelope})

    return answer


def test_pages_by_number_end_with_the_first_one_without_records() -> None:
    with Api(by_page()) as api:
        assert landed(extractor(api.url(), pagination=PageNumber())).ids == ALL
        assert api.targets == [f"/items page={number}" for number in (1, 2, 3, 4)]


def test_pages_by_number_end_with_the_last_one_if_their_number_is_known() -> None:
    with Api(by_page(pages=3)) as api:
        assert landed(extractor(api.url(), pagination=PageNumber(total_pages="$.pages"))).ids == ALL
        assert len(api.asked) == 3


def test_pages_by_number_end_with_the_last_record_if_the_number_of_records_is_known() -> None:
    with Api(by_page(meta={"total": "7"})) as api:
        assert landed(extractor(api.url(), pagination=PageNumber(total="$.meta.total"))).ids == ALL
        assert len(api.asked) == 3


def test_pages_go_on_while_there_are_more() -> None:
    def answer(asked: Asked) -> Reply:
        items = page_of(RECORDS, asked, 3)
        return Reply({"items": items, "more": items[-1]["id"] < 7})

    with Api(answer) as api:
        assert landed(extractor(api.url(), pagination=PageNumber(has_more="$.more"))).ids == ALL
        assert len(api.asked) == 3


def test_an_empty_page_in_the_middle_is_not_the_end_if_the_number_of_pages_is_known() -> None:
    pages = [RECORDS[:4], [], RECORDS[4:]]
    with Api(lambda asked: Reply({"items": pages[int(asked.params["page"])], "pages": 3})) as api:
        assert landed(extractor(api.url(), pagination=PageNumber(start=0, total_pages="$.pages"))).ids == ALL


@pytest.mark.parametrize("most", [1, 2, 3, 7, 100])
def test_an_offset_counts_the_records_that_came_and_not_those_that_were_asked_for(most: int) -> None:
    with Api(by_offset(most)) as api:
        assert landed(extractor(api.url(), pagination=Offset(limit=3))).ids == ALL


def test_a_cursor_is_followed_until_there_is_none() -> None:
    def answer(asked: Asked) -> Reply:
        start = int(asked.params.get("after", 0))
        following = start + 3 if start + 3 < 7 else None
        return Reply({"items": RECORDS[start : start + 3], "meta": {"next": following}})

    with Api(answer) as api:
        assert landed(extractor(api.url(), pagination=Cursor("$.meta.next", "after"))).ids == ALL
        assert api.targets == ["/items", "/items after=3", "/items after=6"]


def test_a_cursor_of_zero_is_a_cursor() -> None:
    pages: dict[str | None, Any] = {None: (RECORDS[:4], 0), "0": (RECORDS[4:], None)}
    with Api(lambda asked: Reply(dict(zip(("items", "next"), pages[asked.params.get("c")], strict=True)))) as api:
        assert landed(extractor(api.url(), pagination=Cursor("$.next", "c"))).ids == ALL


def test_a_cursor_that_repeats_is_followed_while_the_records_differ() -> None:
    left = [RECORDS[:3], RECORDS[3:6], RECORDS[6:], []]

    with Api(lambda asked: Reply({"items": left.pop(0), "next": "same"})) as api:  # noqa: ARG005 -- the server remembers
        assert landed(extractor(api.url(), pagination=Cursor("$.next", start="*"))).ids == ALL
        assert api.targets == ["/items cursor=*", *["/items cursor=same"] * 3]


def test_a_cursor_may_come_in_a_header_and_be_sent_in_the_body_of_a_post() -> None:
    def answer(asked: Asked) -> Reply:
        start = asked.json["page"].get("from", 0)
        following = {"X-Next": str(start + 3)} if start + 3 < 7 else {}
        return Reply({"items": RECORDS[start : start + 3]}, headers=following)

    def numbers(asked: Asked) -> Reply:
        asked.json["page"]["from"] = int(asked.json["page"].get("from", 0))
        return answer(asked)

    with Api(numbers) as api:
        pagination = Cursor(header="X-Next", parameter="page.from", place="body")
        source = extractor(api.url(), method="POST", json={"page": {"size": 3}, "q": "x"}, pagination=pagination)
        assert landed(source).ids == ALL
        assert [asked.json["q"] for asked in api.asked] == ["x"] * 3


@pytest.mark.parametrize("pagination", [LinkHeader(), LinkHeader(rebase=True)])
def test_the_header_link_is_followed(pagination: LinkHeader) -> None:
    def answer(asked: Asked) -> Reply:
        number = int(asked.params.get("page", 1))
        host = "http://inside.example" if pagination.rebase else ""
        link = (
            f'<{host}/items?page={number - 1}>; rel="prev", <{host}/items?page={number + 1}&q=a,b>; title="x"; rel=next'
        )
        return Reply({"items": page_of(RECORDS, asked, 3)}, headers={"Link": link} if number < 3 else {})

    with Api(answer) as api:
        assert landed(extractor(api.url(), params={"q": "a,b"}, pagination=pagination)).ids == ALL
        assert api.targets == ["/items q=a,b", "/items page=2 q=a,b", "/items page=3 q=a,b"]


def test_the_address_of_the_next_page_is_followed() -> None:
    def answer(asked: Asked) -> Reply:
        number = int(asked.params.get("page", 1))
        return Reply({"items": page_of(RECORDS, asked, 3), "next": f"items?page={number + 1}" if number < 3 else ""})

    with Api(answer) as api:
        assert landed(extractor(api.url(), pagination=NextUrl("$.next"))).ids == ALL


def test_ones_own_pagination_is_a_class_with_one_method() -> None:
    @dataclass(frozen=True)
    class ByLastId(Pagination):
        def following(self, answer: Page) -> Request | None:
            items = answer.document["items"]
            return answer.request.having("after_id", items[-1]["id"]) if items else None

    def answer(asked: Asked) -> Reply:
        after = int(asked.params.get("after_id", 0))
        return Reply({"items": RECORDS[after : after + 3]})

    with Api(answer) as api:
        assert landed(extractor(api.url(), pagination=ByLastId())).ids == ALL


def test_a_field_of_ones_own_pagination_may_have_the_name_of_a_path() -> None:
    @dataclass(frozen=True)
    class Elsewhere(SinglePage):
        path: str = "/v2/items"

    RestExtractor(Json(), "https://api.example.org/v1/items", pagination=Elsewhere()).check("source 'items'")


def test_several_pages_are_fetched_at_once_where_it_is_known_which_there_are() -> None:
    together = threading.Barrier(2, timeout=10)

    def answer(asked: Asked) -> Reply:
        if asked.params["page"] in ("2", "3"):
            together.wait()
        return Reply({"items": page_of(RECORDS, asked, 3), "total": 7})

    with Api(answer) as api:
        source = extractor(api.url(), pagination=PageNumber(total="$.total"), parallel=2)
        assert landed(source).ids == ALL
        assert len(api.asked) == 3


def test_pages_that_were_fetched_at_once_are_frozen_in_their_order() -> None:
    records = numbered(200)

    def answer(asked: Asked) -> Reply:
        offset = int(asked.params["offset"])
        return Reply({"items": records[offset : offset + 10], "total": 200})

    with Api(answer) as api:
        one = landed(extractor(api.url(), pagination=Offset(total="$.total")))
        many = landed(extractor(api.url(), pagination=Offset(total="$.total"), parallel=8))
    assert one.ids == many.ids == [record["id"] for record in records]
    assert one.manifest.sha256 == many.manifest.sha256


def test_a_thousand_small_pages_are_few_batches() -> None:
    records = numbered(1_000)

    def answer(asked: Asked) -> Reply:
        offset = int(asked.params["offset"])
        return Reply({"items": records[offset : offset + 1], "total": 1_000})

    with Api(answer) as api:
        source = extractor(api.url(), pagination=Offset(total="$.total"), parallel=4)
        delivery = landed(source)
    assert delivery.ids == [record["id"] for record in records]
    assert len(delivery.manifest.spans) == 1


def test_a_large_page_is_several_batches() -> None:
    with Api(lambda asked: Reply({"items": numbered(100)})) as api:  # noqa: ARG005 -- there is one page
        source = extractor(api.url(), format=Json("$.items", batch_bytes=500), pagination=SinglePage())
        delivery = landed(source)
    assert delivery.ids == list(range(1, 101))
    assert len(delivery.manifest.spans) > 5
    assert delivery.locations[50] == "page 1, $.items[50]"


@pytest.mark.parametrize(
    ("body", "headers", "remedy"),
    [
        ({"items": [{"id": 1}]}, {"Link": '</items?page=2>; rel="next"'}, r"pagination=LinkHeader\(\)"),
        ({"items": [{"id": 1}], "next": "/items?page=2"}, {}, r"NextUrl\('\$.next'\)"),
        ({"items": [{"id": 1}], "paging": {"next": "x"}}, {}, r"Cursor\('\$.paging.next'\)"),
    ],
)
def test_a_page_that_names_a_next_one_is_refused_if_no_pagination_is_declared(
    body: Any, headers: dict[str, str], remedy: str
) -> None:
    with Api(lambda asked: Reply(body, headers=headers)) as api:  # noqa: ARG005 -- there is one page
        with pytest.raises(DeliveryError, match=f"names a next page.*{remedy}"):
            landed(extractor(api.url()))
        assert landed(extractor(api.url(), pagination=SinglePage())).ids == [1]


@pytest.mark.parametrize(
    ("pagination", "problem"),
    [
        (PageNumber(total="total"), r"total.*does not begin with \$"),
        (PageNumber(total="$.a[*]"), "names no single value"),
        (Cursor(), r"next.*is missing"),
        (Cursor("$.next", header="X-Next"), "declared beside header"),
        (NextUrl("next"), "path"),
    ],
)
def test_a_pagination_that_cannot_be_followed_is_refused_at_load(pagination: Pagination, problem: str) -> None:
    with pytest.raises(DeclarationError, match=problem):
        extractor("https://api.example/items", pagination=pagination)


@pytest.mark.parametrize(
    ("pagination", "argument"),
    [
        (PageNumber(total="$.count"), "total="),
        (PageNumber(total_pages="$.count"), "total_pages="),
        (Offset(has_more="$.more"), "has_more="),
    ],
)
def test_a_page_without_what_its_pagination_needs_is_refused(pagination: Pagination, argument: str) -> None:
    with (
        Api(by_page()) as api,
        pytest.raises(DeliveryError, match=f"does not have .*which {argument} names.*Nothing was written"),
    ):
        landed(extractor(api.url(), pagination=pagination))


@pytest.mark.parametrize("pagination", [Cursor("$.nxt"), NextUrl("$.meta.next"), LinkHeader()])
@pytest.mark.parametrize("named_by", ["link", "json"])
def test_a_pagination_that_finds_no_next_page_where_another_would_is_refused(
    pagination: Pagination, named_by: str
) -> None:
    def answer(asked: Asked) -> Reply:
        headers = {"Link": '</items?page=2>; rel="next"'} if named_by == "link" else {}
        following = "/items?page=2" if named_by == "json" else None
        return Reply({"items": page_of(RECORDS, asked, 3), "next": following}, headers=headers)

    if isinstance(pagination, LinkHeader) and named_by == "link":
        pytest.skip("it finds that one")
    problem = "names a next page, and the declared pagination finds none"
    with Api(answer) as api, pytest.raises(DeliveryError, match=problem):
        landed(extractor(api.url(), pagination=pagination))


def test_a_cursor_that_is_always_there_ends_where_there_are_no_more() -> None:
    page = {"items": RECORDS, "next_cursor": "later", "more": False}
    with Api(lambda asked: Reply(page)) as api:  # noqa: ARG005 -- there is one page
        assert landed(extractor(api.url(), pagination=Cursor("$.next_cursor", has_more="$.more"))).ids == ALL
