"""Feeds from APIs, through the complete ingest: the table after failures, kills, late changes and deletes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import Http, Incremental, Json, LinkHeader, PageNumber, RestExtractor
from etl_assets.errors import DeliveryIncompleteError, DeliveryUnreachableError
from etl_assets.extract import progress
from etl_assets.extract.rest import fetch
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries
from etl_assets.schema import Column, Schema
from etl_assets_tests.apis import Api, Reply, numbered, page_of

if TYPE_CHECKING:
    from etl_assets_tests.apis import Asked
    from etl_assets_tests.ingest.world import World

NEARBY = Http(private=True, wait=0.001, attempts=3)
THINGS = Schema(
    columns=(
        Column("id", "integer", required=True),
        Column("name", "text", pattern="[a-z]+.*"),
    ),
    key=("id",),
)
VERSIONS = Schema(
    columns=(
        Column("id", "integer", required=True),
        Column("version", "integer", required=True),
        Column("changed", "timestamp", required=True, formats=("%Y-%m-%dT%H:%M:%S%z",)),
        Column("deleted", "boolean", required=True),
    ),
    key=("id",),
    order_by="version",
)


def of_api(world: World, api: Api, schema: Schema = THINGS, **arguments: Any) -> World:
    extractor = RestExtractor(Json("$.items"), api.url(), access=NEARBY, **arguments)
    return replace(world, name="things", schema=schema, extractor=extractor)


def test_a_rejected_record_is_what_the_server_said_and_where(world: World) -> None:
    records = numbered(40)
    records[33] = {"id": 34, "name": "9 lives"}
    with Api(lambda asked: Reply({"items": page_of(records, asked, 10)})) as api:
        things = of_api(world, api, pagination=PageNumber())
        report = things.load(things.land().delivery)
    assert report.delivery.manifest.records == 40
    (rejected,) = things.waiting()
    assert rejected.location == "page 4, $.items[3]"
    assert rejected.raw == b'{"id": 34, "name": "9 lives"}'
    things.correct(rejected, name="nine lives")
    things.replay(rejected.id)
    assert (34, "nine lives") in things.rows()
    assert things.violations() == []


def test_the_same_pages_are_the_same_delivery(world: World) -> None:
    with Api(lambda asked: Reply({"items": page_of(numbered(5), asked, 2)})) as api:
        things = of_api(world, api, pagination=PageNumber())
        assert things.land().new
        assert not things.land().new


def test_a_refused_delivery_does_not_move_where_the_next_fetch_begins(world: World) -> None:
    feed: list[dict[str, Any]] = [{"id": 1, "name": "one", "changed": "2026-01-01T00:00:00Z"}]

    def answer(asked: Asked) -> Reply:
        return Reply({"items": [record for record in feed if record["changed"] >= asked.params.get("since", "")]})

    with Api(answer) as api:
        since = {"since": "{since:%Y-%m-%dT%H:%M:%SZ}"}
        incremental = Incremental("changed", timedelta(hours=1))
        things = of_api(world, api, params=since, incremental=incremental)
        schema = replace(THINGS, ignored=("changed",))
        things = replace(things, schema=schema, max_rejected=0.0)
        things.load(things.land().delivery)
        feed.append({"id": 2, "name": "2", "changed": "2026-02-01T00:00:00Z"})
        refused = things.land().delivery
        with pytest.raises(Exception, match="max_rejected"):
            things.load(refused)
        feed[1]["name"] = "two"
        feed.append({"id": 3, "name": "three", "changed": "2026-03-01T00:00:00Z"})
        things.load(things.land().delivery)
        assert things.rows() == [(1, "one"), (2, "two"), (3, "three")]
        assert api.asked[-1].params == {"since": "2025-12-31T23:00:00Z"}


@dataclass
class Shop:
    """A publisher of records that change, over simulated days, whose clock and whose server are not to be relied on.

    Attributes:
        now: The true time.
        jump: By how much the publisher's clock is wrong.
        truth: The newest version of each record, by its id.
        late: Records that will appear at a moment, with the time at which they were changed.
    """

    random: random.Random
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    jump: timedelta = timedelta(0)
    truth: dict[int, dict[str, Any]] = field(default_factory=dict)
    late: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)
    failures: float = 0.0
    served: Counter[tuple[tuple[str, str], ...]] = field(default_factory=Counter)

    @property
    def clock(self) -> datetime:
        return self.now + self.jump

    def change(self) -> None:
        """Make or change a record; some appear later than they were changed."""
        known = [record for record in self.truth.values() if not record["deleted"]]
        if not known or self.random.random() < 0.4:
            old = {"id": len(self.truth) + len(self.late) + 1_000 * self.random.randrange(1_000), "version": 0}
        else:
            old = self.random.choice(known)
        new = {
            "id": old["id"],
            "version": old["version"] + 1,
            "changed": self.clock.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "deleted": old["version"] > 0 and self.random.random() < 0.1,
        }
        if self.random.random() < 0.2:
            self.late.append((self.now + timedelta(minutes=self.random.randrange(40)), new))
        else:
            self.appear(new)

    def appear(self, record: dict[str, Any]) -> None:
        if record["version"] > self.truth.get(record["id"], {"version": 0})["version"]:
            self.truth[record["id"]] = record

    def pass_time(self, until: datetime) -> None:
        """Let changes happen until a moment."""
        while self.now < until:
            self.now = min(until, self.now + timedelta(minutes=self.random.randrange(5, 240)))
            if self.random.random() < 0.1:
                self.jump = timedelta(minutes=self.random.choice([0, 0, -30, -60, 60, 24 * 60]))
            for moment, record in list(self.late):
                if moment <= self.now:
                    self.late.remove((moment, record))
                    self.appear(record)
            self.change()

    def __call__(self, asked: Asked) -> Reply:
        if self.random.random() < self.failures:
            return self.random.choice(
                [
                    Reply(status=500),
                    Reply(status=429, headers={"Retry-After": "0"}),
                    Reply(status=503),
                    Reply(broken="silent"),
                    Reply({"items": numbered(50)}, broken="cut"),
                    Reply(b"<html>down for maintenance</html>", headers={"Content-Type": "text/html"}),
                ]
            )
        self.served[tuple(asked.params.items())] += 1
        since = asked.params.get("since", "")
        found = sorted(
            (record for record in self.truth.values() if record["changed"] >= since),
            key=lambda record: (record["changed"], record["id"]),
        )
        headers = {"Date": format_datetime(self.clock, usegmt=True)}
        return Reply({"items": page_of(found, asked, 10), "total": len(found)}, headers=headers)


@dataclass
class Outcome:
    """What happened over the simulated days.

    Attributes:
        failed: Number of runs in which nothing was landed.
        died: Number of runs that ended between landing and loading.
        differing: The days after which the table was not what the publisher had.
    """

    failed: int = 0
    died: int = 0
    differing: list[int] = field(default_factory=list)


def simulate(things: World, shop: Shop, days: int) -> Outcome:
    """Let days pass, and run the source after each of them until it ends well."""
    outcome = Outcome()
    for day in range(days):
        shop.pass_time(datetime(2026, 1, 2, tzinfo=UTC) + timedelta(days=day))
        for attempt in range(20):
            shop.failures = 0.3 if attempt < 19 else 0.0
            shop.served.clear()
            try:
                things.land()
            except (DeliveryUnreachableError, DeliveryIncompleteError):
                outcome.failed += 1
                continue
            assert max(shop.served.values()) == 1  # no page was served twice
            if attempt or shop.random.random() < 0.8:
                break
            outcome.died += 1
        with connected(things.url) as connection:
            waiting = deliveries.deliveries_to_load(connection, things.name, "")
        for delivery in waiting:
            things.load(delivery)
        expected = [
            (record["id"], record["version"], datetime.fromisoformat(record["changed"]), record["deleted"])
            for record in sorted(shop.truth.values(), key=lambda record: record["id"])
        ]
        if things.rows() != expected:
            outcome.differing.append(day)
    return outcome


def incremental_feed(world: World, api: Api, overlap: timedelta) -> World:
    since = {"since": "{since:%Y-%m-%dT%H:%M:%SZ}"}
    incremental = Incremental("changed", overlap)
    return of_api(world, api, VERSIONS, params=since, pagination=PageNumber(total="$.total"), incremental=incremental)


def test_over_a_hundred_days_with_failures_the_table_is_each_day_what_the_publisher_has(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(random.Random(1))  # noqa: S311 -- no secret
    monkeypatch.setattr(fetch, "now", lambda: shop.now)
    with Api(shop) as api:
        things = incremental_feed(world, api, timedelta(hours=3))
        outcome = simulate(things, shop, 100)
    assert outcome.differing == []
    assert outcome.failed > 5
    assert outcome.died > 5
    assert things.violations() == []
    (fetched,) = things.query("SELECT sum(records) FROM etl.delivery")
    assert fetched[0] < 12 * len(shop.truth)  # far less than everything each day


def test_without_an_overlap_changes_are_lost_which_the_same_days_show(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(random.Random(1))  # noqa: S311 -- no secret
    monkeypatch.setattr(fetch, "now", lambda: shop.now)
    with Api(shop) as api:
        assert simulate(incremental_feed(world, api, timedelta(0)), shop, 30).differing


def test_if_a_wrong_clock_moves_where_a_fetch_begins_changes_are_lost_which_the_same_days_show(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(random.Random(1))  # noqa: S311 -- no secret
    monkeypatch.setattr(fetch, "_asked_at", lambda *_: datetime(2030, 1, 1, tzinfo=UTC))
    with Api(shop) as api:
        assert simulate(incremental_feed(world, api, timedelta(hours=3)), shop, 60).differing


_CHILD = """
    import sys
    from pathlib import Path
    from etl_assets import Http, Json, LinkHeader, RestExtractor
    from etl_assets_tests.ingest.test_apis import THINGS
    from etl_assets_tests.ingest.world import World

    extractor = RestExtractor(Json("$.items"), sys.argv[2], pagination=LinkHeader(), access=Http(private=True))
    world = World(sys.argv[1], Path(sys.argv[3]), name="things", schema=THINGS, extractor=extractor)
    world.load(world.land().delivery)
"""


def test_after_a_kill_in_the_middle_of_a_page_everything_is_fetched_again_and_once(world: World) -> None:
    stalls = True

    def answer(asked: Asked) -> Reply:
        number = int(asked.params.get("page", "1"))
        while number == 3 and stalls:
            time.sleep(0.02)
        link = {"Link": f'<?page={number + 1}>; rel="next"'} if number < 5 else {}
        return Reply({"items": page_of(numbered(50), asked, 10)}, headers=link)

    with Api(answer) as api:
        things = of_api(world, api, pagination=LinkHeader())
        command = [sys.executable, "-c", textwrap.dedent(_CHILD), things.url, api.url(), str(things.folder)]
        child = subprocess.Popen(command, env=dict(os.environ))
        while len(api.asked) < 3:
            assert child.poll() is None
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
        child.wait()
        stalls = False
        assert things.query("SELECT count(*) FROM etl.delivery") == [(0,)]
        api.asked.clear()
        said: list[str] = []
        with progress.shown(said.append):
            things.load(things.land().delivery)
        assert [asked.params.get("page") for asked in api.asked] == [None, "2", "3", "4", "5"]
        assert said[0].endswith("/items is read from its first page: everything.")
    assert things.rows() == [(record["id"], record["name"]) for record in numbered(50)]
    assert things.violations() == []
