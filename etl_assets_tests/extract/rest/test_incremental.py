"""A fetch begins where the one before ended: what it asks for, what it remembers, and what a poll makes of that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import Incremental, Json, PageNumber, Partition
from etl_assets.errors import DeclarationError, DeliveryError
from etl_assets_tests.apis import Api, Reply, page_of
from etl_assets_tests.extract.rest.fetching import extractor, landed

if TYPE_CHECKING:
    from etl_assets_tests.apis import Asked

HOUR = timedelta(hours=1)
SINCE = {"since": "{since:%Y-%m-%dT%H:%M:%SZ}"}


def item(number: int, changed: str | None) -> dict[str, Any]:
    return {"id": number, "changed": changed}


class Feed:
    """Serves the records that were changed at a moment or later, in the order of their changes."""

    def __init__(self, *records: dict[str, Any]) -> None:
        self.records = list(records)

    def __call__(self, asked: Asked) -> Reply:
        since = asked.params.get("since", "")
        found = [record for record in self.records if (record["changed"] or since) >= since]
        return Reply({"items": page_of(sorted(found, key=lambda record: record["changed"] or ""), asked, 2)})


def source(api: Api, **arguments: Any) -> Any:
    given = {"params": SINCE, "incremental": Incremental("changed", HOUR), "pagination": PageNumber(), **arguments}
    return extractor(api.url(), **given)


def test_the_first_fetch_is_of_everything_and_the_next_one_begins_before_the_newest_change() -> None:
    feed = Feed(*(item(hour, f"2026-03-01T{hour:02}:00:00Z") for hour in range(1, 6)))
    with Api(feed) as api:
        first = landed(source(api))
        assert first.ids == [1, 2, 3, 4, 5]
        assert "since" not in api.asked[0].params
        assert first.manifest.state["cursor"]["value"] == "2026-03-01T05:00:00+00:00"
        feed.records.append(item(2, "2026-03-01T04:30:00Z"))
        second = landed(source(api), state=first.manifest.state)
        assert api.asked[-1].params["since"] == "2026-03-01T04:00:00Z"
        assert second.ids == [4, 2, 5]
        assert second.manifest.state["cursor"] == first.manifest.state["cursor"]


def test_a_first_fetch_may_begin_at_a_declared_moment() -> None:
    with Api(Feed(item(1, "2026-01-01T00:00:00Z"), item(2, "2026-03-01T00:00:00Z"))) as api:
        assert landed(source(api, incremental=Incremental("changed", HOUR, start="2026-02-01"))).ids == [2]


def test_a_value_from_the_future_does_not_hide_the_changes_until_then() -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    with Api(Feed(item(1, "2026-03-01T00:00:00Z"), item(2, tomorrow))) as api:
        began = datetime.now(UTC)
        cursor = landed(source(api)).manifest.state["cursor"]["value"]
        assert began - timedelta(seconds=2) <= datetime.fromisoformat(cursor) <= datetime.now(UTC)


def test_a_server_whose_clock_is_late_holds_the_cursor_back() -> None:
    late = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
    feed = Feed(item(1, (late + HOUR).isoformat()))

    def answer(asked: Asked) -> Reply:
        return Reply(feed(asked).body, headers={"Date": format_datetime(late, usegmt=True)})

    with Api(answer) as api:
        state = landed(source(api)).manifest.state
    assert datetime.fromisoformat(state["cursor"]["value"]) <= datetime.now(UTC)


def test_a_fetch_without_anything_new_is_a_delivery_without_records_that_keeps_the_cursor() -> None:
    state = {"cursor": {"by": "changed", "type": "instant", "value": "2026-03-01T05:00:00+00:00"}}
    with Api(Feed()) as api:
        delivery = landed(source(api), state=state)
    assert delivery.records == []
    assert delivery.manifest.state["cursor"] == state["cursor"]


def test_the_state_of_another_column_is_not_used() -> None:
    state = {"cursor": {"by": "created", "type": "instant", "value": "2026-03-01T05:00:00+00:00"}}
    with Api(Feed(item(1, "2026-01-01T00:00:00Z"))) as api:
        assert landed(source(api), state=state).ids == [1]
        assert "since" not in api.asked[0].params


def test_records_without_a_value_are_taken_and_said() -> None:
    with Api(Feed(item(1, "2026-03-01T05:00:00Z"), item(2, None), item(3, "soon"))) as api:
        delivery = landed(source(api))
    assert sorted(delivery.ids) == [1, 2, 3]
    assert delivery.manifest.notes == (
        (
            "2 records have no value in 'changed' that can be read. They are in the delivery, and do not move where "
            "the next fetch begins."
        ),
    )


def test_records_without_the_column_are_refused() -> None:
    with (
        Api(lambda asked: Reply({"items": [{"id": 1, "updated": "x"}]})) as api,  # noqa: ARG005 -- there is one page
        pytest.raises(
            DeliveryError, match=r"has records without 'changed', by which they are fetched; they have 'id', 'updated'"
        ),
    ):
        landed(source(api, pagination=None))


def test_a_feed_with_the_newest_first_is_read_up_to_where_the_last_fetch_ended() -> None:
    records = [item(number, f"2026-03-{number:02}T00:00:00Z") for number in range(20, 0, -1)]
    with Api(lambda asked: Reply({"items": page_of(records, asked, 3)})) as api:
        newest = {"params": {}, "newest_first": True}
        first = landed(source(api, **newest))
        assert len(first.ids) == 20
        api.asked.clear()
        second = landed(source(api, **newest), state=first.manifest.state)
        assert second.ids == [20, 19, 18]
        assert len(api.asked) == 1


def test_a_day_and_a_number_can_be_where_a_fetch_begins() -> None:
    with Api(lambda asked: Reply({"items": [{"id": 7, "day": "2026-03-05"}]})) as api:  # noqa: ARG005 -- one page
        days = Incremental("day", timedelta(days=2), type="date")
        by_day = extractor(api.url(), params={"from": "{since}"}, incremental=days)
        landed(by_day, state=landed(by_day).manifest.state)
        assert api.asked[-1].params == {"from": "2026-03-03"}
        by_id = extractor(api.url(), params={"after": "{since}"}, incremental=Incremental("id", 5, type="integer"))
        landed(by_id, state=landed(by_id).manifest.state)
        assert api.asked[-1].params == {"after": "2"}


def test_the_body_of_a_post_may_say_since_when() -> None:
    with Api(lambda asked: Reply({"items": [item(1, "2026-03-01T05:00:00Z")]})) as api:  # noqa: ARG005 -- one page
        body = {"filter": {"changed": {"gte": "{since:%Y-%m-%d}"}, "kind": "all"}, "size": 5}
        post = source(api, method="POST", params={}, json=body, pagination=None)
        first = landed(post)
        landed(post, state=first.manifest.state)
        assert [asked.json for asked in api.asked] == [
            {"filter": {"changed": {}, "kind": "all"}, "size": 5},
            {"filter": {"changed": {"gte": "2026-03-01"}, "kind": "all"}, "size": 5},
        ]


def test_a_poll_knows_by_one_request_whether_there_is_something_new() -> None:
    feed = Feed(*(item(hour, f"2026-03-01T{hour:02}:00:00Z") for hour in range(1, 6)))
    with Api(feed) as api:
        polled = source(api, pagination=PageNumber(total="$.total"))
        feed_with_total = feed.__call__

        def answer(asked: Asked) -> Reply:
            reply = feed_with_total(asked)
            since = asked.params.get("since", "")
            return Reply({**reply.body, "total": sum(record["changed"] >= since for record in feed.records)})

        api.answer = answer
        manifest = landed(polled).manifest
        api.asked.clear()
        assert polled.poll_since(Partition(), manifest.state) == manifest.validators
        assert len(api.asked) == 1
        feed.records[0] = item(1, "2026-03-01T05:30:00Z")
        assert polled.poll_since(Partition(), manifest.state) != manifest.validators


def test_a_poll_of_everything_knows_only_what_one_page_shows() -> None:
    with Api(lambda asked: Reply({"items": page_of([item(1, "x"), item(2, "y")], asked, 1)})) as api:
        assert extractor(api.url(), pagination=PageNumber(), params={"a": "b"}).poll(Partition()) is None
    with Api(lambda asked: Reply({"items": [item(1, "x")]})) as api:  # noqa: ARG005 -- there is one page
        one = extractor(api.url())
        assert one.poll(Partition()) == landed(one).manifest.validators != {}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"incremental": Incremental("changed", HOUR)}, r"no parameter has \{since\}.*newest_first=True"),
        ({"params": SINCE}, r"params.*has \{since\}, which is no placeholder here"),
        ({"params": SINCE, "incremental": Incremental("changed", 5)}, "overlap.*does not fit the type 'instant'"),
        ({"params": SINCE, "incremental": Incremental("id", HOUR, type="integer")}, "overlap"),
        ({"params": SINCE, "incremental": Incremental("", HOUR)}, "by.*is empty"),
        ({"params": SINCE, "incremental": Incremental("c", -HOUR)}, "overlap.*is negative"),
        ({"params": SINCE, "incremental": Incremental("c", HOUR, start="soon")}, "start.*'soon' is no instant"),
        ({"url": "https://api.example/{since}", "incremental": Incremental("c", HOUR)}, r"url.*has \{since\}"),
    ],
)
def test_an_incremental_fetch_that_cannot_be_is_refused_at_load(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(DeclarationError, match=problem):
        extractor(arguments.pop("url", "https://api.example/items"), format=Json("$.items"), **arguments)
