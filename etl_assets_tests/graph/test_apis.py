"""An API in Dagster: what a fetch says of itself, where the next one begins, and what the sensor makes of a poll."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from etl_assets import Column, Http, Incremental, Json, OnChange, PageNumber, RestExtractor, Schema
from etl_assets.graph.build import definitions
from etl_assets_tests.apis import Api, Reply, page_of
from etl_assets_tests.graph.watcher import EVERY, Watcher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets import Source
    from etl_assets_tests.apis import Asked
    from etl_assets_tests.graph.conftest import Bench

import pytest


class Feed:
    """Records that were changed at a moment or later."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = [
            {"id": day, "name": "x", "age": day, "changed": f"2026-03-0{day}T00:00:00Z"} for day in (1, 2, 3)
        ]

    def __call__(self, asked: Asked) -> Reply:
        found = [record for record in self.records if record["changed"] >= asked.params.get("since", "")]
        return Reply({"items": page_of(found, asked, 5), "total": len(found)})


@pytest.fixture
def feed() -> Feed:
    return Feed()


@pytest.fixture
def api(feed: Feed) -> Iterator[Api]:
    with Api(feed) as api:
        yield api


def people(bench: Bench, api: Api, **changes: Any) -> Source:
    extractor = RestExtractor(
        Json("$.items"),
        api.url(),
        params={"since": "{since:%Y-%m-%dT%H:%M:%SZ}"},
        pagination=PageNumber(total="$.total"),
        incremental=Incremental("changed", timedelta(hours=1)),
        access=Http(private=True, wait=0.01),
    )
    schema = Schema(
        columns=(
            Column("id", "integer", required=True),
            Column("name", "text", required=True),
            Column("age", "integer", maximum=150),
        ),
        key=("id",),
        ignored=("changed",),
    )
    return bench.declare(extractor=extractor, schema=schema, **changes)


def landing_metadata(bench: Bench) -> dict[str, Any]:
    (event,) = [
        event
        for event in bench.results[-1].get_asset_materialization_events()
        if event.asset_key is not None and event.asset_key.path[0] == "landing"
    ]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_a_landing_shows_how_much_was_asked_for_and_where_the_next_one_begins(bench: Bench, api: Api) -> None:
    bench.run(people(bench, api))
    shown = landing_metadata(bench)
    assert (shown["fetch: pages"], shown["fetch: records"], shown["fetch: requests"]) == (1.0, 3.0, 1.0)
    assert shown["fetch: bytes per second"] == pytest.approx(shown["size"] / shown["fetch: seconds"])
    assert shown["next fetch begins"]["cursor"]["value"] == "2026-03-03T00:00:00+00:00"
    assert "_seen" not in shown["next fetch begins"]
    assert "notes" not in shown


def test_a_run_fetches_what_has_changed_unless_everything_is_asked_for(bench: Bench, api: Api) -> None:
    source = people(bench, api)
    bench.run(source)
    bench.run(source)
    config = {"ops": {"landing__people": {"config": {"full": True}}}}
    bench.run_job(definitions({"people": source}), "people", config=config)
    assert [asked.params.get("since") for asked in api.asked] == [None, "2026-03-02T23:00:00Z", None]
    assert bench.query("SELECT count(*) FROM core.people") == [(3,)]


def test_what_people_should_know_of_a_fetch_is_a_note(bench: Bench, api: Api, feed: Feed) -> None:
    feed.records.append({"id": 4, "name": "x", "age": 1, "changed": "tomorrow"})
    bench.run(people(bench, api))
    assert landing_metadata(bench)["notes"].startswith("1 records have no value in 'changed'")


def test_the_sensor_requests_a_run_when_the_first_page_has_something_new(bench: Bench, api: Api, feed: Feed) -> None:
    watcher = Watcher(bench, people(bench, api, trigger=OnChange(every=EVERY)))
    assert watcher.poll() == [True]
    assert watcher.poll() == []
    asked = len(api.asked)
    assert watcher.tick() == []
    assert len(api.asked) == asked + 1
    feed.records.append({"id": 4, "name": "new", "age": 4, "changed": "2026-03-03T12:00:00Z"})
    assert watcher.poll() == [True]
    assert bench.query("SELECT name FROM core.people WHERE id = 4") == [("new",)]
    assert watcher.poll() == []
