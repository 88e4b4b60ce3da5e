"""Records that change while their pages are read: the fetch starts over, or takes what came and says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import Cursor, Offset, PageNumber, SinglePage
from etl_assets.errors import DeliveryError, DeliveryIncompleteError
from etl_assets_tests.apis import Api, Reply, numbered, page_of
from etl_assets_tests.extract.rest.fetching import extractor, landed

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets_tests.apis import Asked

PAGES = PageNumber(total="$.total")


class Changing:
    """Serves records by page, and changes them after the first answers.

    Args:
        change: What is done after an answer, while there are changes left.
        times: Number of changes.
    """

    def __init__(self, change: Callable[[list[Any]], None], times: int = 1) -> None:
        self.records = numbered(9)
        self._change = change
        self._left = times

    def __call__(self, asked: Asked) -> Reply:
        reply = Reply({"items": page_of(self.records, asked, 3), "total": len(self.records)})
        if self._left:
            self._left -= 1
            self._change(self.records)
        return reply


def delete_first(records: list[Any]) -> None:
    del records[0]


def insert_first(records: list[Any]) -> None:
    records.insert(0, {"id": 100 + len(records), "name": "new"})


@pytest.mark.parametrize("change", [delete_first, insert_first])
def test_a_change_of_the_number_of_records_lets_the_fetch_start_over(change: Callable[[list[Any]], None]) -> None:
    server = Changing(change)
    with Api(server) as api:
        delivery = landed(extractor(api.url(), pagination=PAGES))
    assert delivery.ids == [record["id"] for record in server.records]
    assert delivery.manifest.notes == ()


def test_records_that_change_for_ever_are_refused_and_nothing_is_landed() -> None:
    with (
        Api(Changing(insert_first, times=1_000)) as api,
        pytest.raises(
            DeliveryIncompleteError, match=r"changed each of 3 times.*Nothing was written.*on_change='report'"
        ),
    ):
        landed(extractor(api.url(), pagination=PAGES))


def test_a_change_may_be_taken_and_is_said() -> None:
    with Api(Changing(delete_first)) as api:
        delivery = landed(extractor(api.url(), pagination=PAGES, on_change="report"))
        assert len(api.asked) == 3
    (note,) = delivery.manifest.notes
    assert note.startswith("The records changed while their pages were read: the number of records went from 9 to 8")
    assert 4 not in delivery.ids


def test_an_api_that_gives_fewer_records_than_it_counts_is_refused() -> None:
    def answer(asked: Asked) -> Reply:
        offset = int(asked.params["offset"])
        return Reply({"items": numbered(10)[offset : offset + 5], "total": 25})

    with (
        Api(answer) as api,
        pytest.raises(DeliveryError, match=r"10 records came, and there are 25, twice the same.*partitions"),
    ):
        landed(extractor(api.url(), pagination=Offset(total="$.total")))


class Versioned:
    """Serves two pages with validators, and changes the first one after it was read."""

    def __init__(self, times: int, **headers: str) -> None:
        self.left = times
        self.version = 1
        self.headers = headers

    def __call__(self, asked: Asked) -> Reply:
        number = int(asked.params["page"])
        headers = {name: value.format(self.version) for name, value in self.headers.items()} if number == 1 else {}
        conditions = {asked.headers.get("if-none-match"), asked.headers.get("if-modified-since")}
        if number == 1 and conditions & set(headers.values()):
            return Reply(status=304)
        items = [{"id": number, "version": self.version if number == 1 else 0}] if number < 3 else []
        if number == 2 and self.left:
            self.left -= 1
            self.version += 1
        return Reply({"items": items}, headers=headers)


@pytest.mark.parametrize("headers", [{"ETag": '"{}"'}, {"ETag": 'W/"{}"'}, {"Last-Modified": "version {}"}])
def test_a_first_page_that_is_another_one_at_the_end_lets_the_fetch_start_over(headers: dict[str, str]) -> None:
    with Api(Versioned(1, **headers)) as api:
        delivery = landed(extractor(api.url(), pagination=PageNumber()))
        assert [record["version"] for record in delivery.records] == ["2", "0"]
        assert len(api.asked) == 2 * (3 + 1)


def test_a_first_page_that_is_still_the_same_costs_one_request_with_its_validators() -> None:
    with Api(Versioned(0, ETag='"{}"')) as api:
        landed(extractor(api.url(), pagination=PageNumber()))
        assert [asked.headers.get("if-none-match") for asked in api.asked] == [None, None, None, '"1"']


def test_a_server_that_names_another_version_of_the_same_records_each_time_does_no_harm() -> None:
    versions = iter(range(100))

    def answer(asked: Asked) -> Reply:
        return Reply({"items": page_of(numbered(6), asked, 3)}, headers={"ETag": f'"{next(versions)}"'})

    with Api(answer) as api:
        assert landed(extractor(api.url(), pagination=PageNumber())).ids == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(("pagination", "asked"), [(SinglePage(), 1), (Cursor("$.next"), 2)])
def test_nothing_is_asked_again_where_nothing_can_have_moved(pagination: Any, asked: int) -> None:
    pages: dict[str | None, Any] = {None: {"items": numbered(3), "next": "b"}, "b": {"items": numbered(3, 4)}}
    with Api(lambda asked: Reply(pages[asked.params.get("cursor")], headers={"ETag": '"x"'})) as api:
        landed(extractor(api.url(), pagination=pagination))
        assert len(api.asked) == asked


@pytest.mark.parametrize("pagination", [PageNumber("wrong"), Offset("wrong"), PageNumber(total="$.total")])
def test_a_server_that_ignores_the_number_of_the_page_is_refused(pagination: Any) -> None:
    with (
        Api(lambda asked: Reply({"items": numbered(3), "total": 9})) as api,  # noqa: ARG005 -- it ignores all of it
        pytest.raises(DeliveryError, match=r"has the same records as page 1: the pages repeat.*name of its parameter"),
    ):
        landed(extractor(api.url(), pagination=pagination))
    assert len(api.asked) == 2


def test_pages_that_never_end_are_refused() -> None:
    numbers = iter(range(1_000))
    with (
        Api(lambda asked: Reply({"items": [{"id": next(numbers)}]})) as api,  # noqa: ARG005 -- it always has more
        pytest.raises(DeliveryError, match=r"has more than 5 pages.*declare max_pages="),
    ):
        landed(extractor(api.url(), pagination=PageNumber(), max_pages=5))
    assert len(api.asked) == 5


def test_empty_pages_that_lead_to_each_other_are_the_end() -> None:
    def answer(asked: Asked) -> Reply:
        cursor = asked.params.get("cursor")
        following = {None: "a", "a": "b", "b": "a"}[cursor]
        return Reply({"items": numbered(2) if cursor is None else [], "next": following})

    with Api(answer) as api:
        assert landed(extractor(api.url(), pagination=Cursor("$.next"))).ids == [1, 2]
        assert len(api.asked) == 3


def test_too_few_records_twice_are_too_few_although_each_page_has_another_time_in_it() -> None:
    moments = iter(range(1_000))

    def answer(asked: Asked) -> Reply:
        return Reply({"items": page_of(numbered(4), asked, 2), "total": 9, "took_ms": next(moments)})

    with Api(answer) as api, pytest.raises(DeliveryError, match="4 records came, and there are 9, twice the same"):
        landed(extractor(api.url(), pagination=PAGES))
    assert len(api.asked) == 2 * 3


def test_an_api_without_a_record_is_noted_when_everything_is_asked_for() -> None:
    with Api(lambda asked: Reply({"items": []})) as api:  # noqa: ARG005 -- there is nothing
        delivery = landed(extractor(api.url(), pagination=PageNumber()))
    assert delivery.manifest.notes == ("The API has no record. If it should have some, check its url and parameters.",)
