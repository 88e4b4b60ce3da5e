"""For each record of another API, the pages of its own: for each order its lines."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import Incremental, Json, PageNumber, Parent, RestExtractor
from etl_assets.errors import DeclarationError, DeliveryError
from etl_assets_tests.apis import Api, Reply, numbered, page_of
from etl_assets_tests.extract.rest.fetching import NEARBY, extractor, landed

if TYPE_CHECKING:
    from etl_assets_tests.apis import Asked

ORDERS: list[dict[str, Any]] = [
    {"id": number, "customer": f"c/{number}", "changed": f"2026-03-0{number}T00:00:00Z"} for number in (1, 2, 3)
]


def shop(asked: Asked) -> Reply:
    """Serve orders by page, and the lines of an order by page."""
    if asked.path == "/orders":
        since = asked.params.get("since", "")
        return Reply({"items": page_of([order for order in ORDERS if order["changed"] >= since], asked, 2)})
    order = int(asked.path.split("/")[2])
    if order == 2:
        return Reply(status=404)
    return Reply({"items": page_of(numbered(3, first=order * 10), asked, 2)})


def lines(api: Api, columns: dict[str, str] | None = None, **arguments: Any) -> RestExtractor:
    orders = extractor(api.url("/orders"), pagination=PageNumber(), **arguments.pop("orders", {}))
    parent = Parent(orders, columns or {"order_id": "id", "customer": "customer"})
    url = api.url("/orders/{order_id}/lines")
    return extractor(url, pagination=PageNumber(), parent=parent, **arguments)


@pytest.mark.parametrize("parallel", [1, 4])
def test_each_record_has_the_columns_of_its_parent(parallel: int) -> None:
    with Api(shop) as api:
        delivery = landed(lines(api, parallel=parallel))
    assert [(record["order_id"], record["customer"], record["id"]) for record in delivery.records] == [
        *(("1", "c/1", str(number)) for number in (10, 11, 12)),
        *(("3", "c/3", str(number)) for number in (30, 31, 32)),
    ]
    assert delivery.manifest.notes == ("There is nothing for 1 of 3 records of the parent.",)


def test_only_the_pages_of_parents_that_changed_are_fetched_again() -> None:
    with Api(shop) as api:
        incremental = Incremental("changed", timedelta(hours=1))
        since = {"since": "{since:%Y-%m-%dT%H:%M:%SZ}"}
        source = lines(api, orders={"params": since, "incremental": incremental})
        assert source.is_incremental
        first = landed(source)
        api.asked.clear()
        second = landed(source, state=first.manifest.state)
        assert {record["order_id"] for record in second.records} == {"3"}
        assert {asked.path for asked in api.asked} == {"/orders", "/orders/3/lines"}


def test_the_value_of_a_parent_is_written_as_a_part_of_an_address() -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path == "/orders":
            return Reply({"items": [{"id": "a/../b?c=1&d#é"}]})
        return Reply({"items": [{"line": 1}]})

    with Api(answer) as api:
        parent = Parent(extractor(api.url("/orders")), {"order_id": "id"})
        landed(extractor(api.url("/orders/{order_id}/lines"), parent=parent))
        assert api.asked[-1].path == "/orders/a%2F..%2Fb%3Fc%3D1%26d%23%C3%A9/lines"


def test_a_record_of_the_parent_without_a_value_is_said() -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path == "/orders":
            return Reply({"items": [{"id": 1}, {"id": None}, {"id": 1}]})
        return Reply({"items": [{"line": 1}]})

    with Api(answer) as api:
        parent = Parent(extractor(api.url("/orders")), {"order_id": "id"})
        delivery = landed(extractor(api.url("/{order_id}/lines"), parent=parent))
        assert len(api.asked) == 2
    assert delivery.manifest.notes == ("1 records of the parent have no value in id, so that nothing was asked for.",)


def test_a_parent_without_records_gives_a_delivery_without_records() -> None:
    with Api(lambda asked: Reply({"items": []})) as api:  # noqa: ARG005 -- there are no orders
        parent = Parent(extractor(api.url("/orders")), {"order_id": "id"})
        delivery = landed(extractor(api.url("/{order_id}/lines"), parent=parent))
        assert delivery.records == []
        assert len(api.asked) == 1


def test_a_column_that_the_records_have_themselves_is_refused() -> None:
    with Api(shop) as api:
        parent = Parent(extractor(api.url("/orders"), pagination=PageNumber()), {"id": "id"})
        source = extractor(api.url("/orders/{id}/lines"), pagination=PageNumber(), parent=parent)
        with pytest.raises(DeliveryError, match=r"have 'id' themselves.*Give the parent's column another name"):
            landed(source)


@pytest.mark.parametrize(
    ("url", "columns", "problem"),
    [
        ("https://a.example/lines", {"order_id": "id"}, r"has no placeholder such as \{order_id\}"),
        ("https://a.example/{order}", {"order_id": "id"}, r"has \{order\}, which is no placeholder here"),
        ("https://a.example/{key}", {"key": "id"}, "columns.*has 'key', which is a placeholder of its own"),
        ("https://a.example/{x}", {}, r"has \{x\}, which is no placeholder here"),
    ],
)
def test_a_parent_that_gives_no_pages_is_refused_at_load(url: str, columns: dict[str, str], problem: str) -> None:
    orders = RestExtractor(Json("$.items"), "https://a.example/orders", access=NEARBY)
    with pytest.raises(DeclarationError, match=problem):
        extractor(url, parent=Parent(orders, columns))


@pytest.mark.parametrize("parallel", [1, 4])
def test_lines_that_change_while_they_are_read_are_read_again_or_taken_with_a_note(parallel: int) -> None:
    left = [5, 5]

    def answer(asked: Asked) -> Reply:
        if asked.path == "/orders":
            return Reply({"items": [{"id": 1}]})
        total = left.pop() if left else 3
        return Reply({"items": page_of(numbered(3), asked, 2), "total": total})

    for on_change, expected in (
        ("restart", ()),
        ("report", ("of a record of the parent, the number of records went from 5 to 3",)),
    ):
        left[:] = [5, 5]
        with Api(answer) as api:
            source = extractor(
                api.url("/orders/{order_id}/lines"),
                pagination=PageNumber(total="$.total"),
                parent=Parent(extractor(api.url("/orders")), {"order_id": "id"}),
                parallel=parallel,
                on_change=on_change,
            )
            delivery = landed(source)
        assert delivery.ids == [1, 2, 3]
        assert [text in note for text, note in zip(expected, delivery.manifest.notes, strict=True)] == [True] * len(
            expected
        )


def test_without_a_page_the_next_fetch_begins_where_this_one_did() -> None:
    state = {"cursor": {"by": "changed", "type": "instant", "value": "2026-03-01T05:00:00+00:00"}}
    with Api(lambda asked: Reply(status=204)) as api:  # noqa: ARG005 -- there is nothing
        since = {"since": "{since:%Y-%m-%d}"}
        source = extractor(api.url(), params=since, incremental=Incremental("changed", timedelta(hours=1)))
        assert landed(source, state=state).manifest.state["cursor"] == state["cursor"]
        parent = Parent(extractor(api.url("/orders")), {"order_id": "id"})
        lines_of_orders = extractor(
            api.url("/{order_id}"), params=since, parent=parent, incremental=Incremental("changed", timedelta(hours=1))
        )
        assert landed(lines_of_orders, state=state).manifest.state == state


def test_a_column_that_the_parent_does_not_have_is_refused_with_those_that_it_has() -> None:
    with Api(shop) as api:
        source = lines(api, {"order_id": "Id"})
        with pytest.raises(DeliveryError, match=r"parent have no 'Id'; they have 'id', 'customer', 'changed'"):
            landed(source)
