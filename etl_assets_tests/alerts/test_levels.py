"""One change of level is one alert: it opens once, counts, and is resolved when the level is usual."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from etl_assets import alerts, watch
from etl_assets.model.alert import DEFAULT_ALERTS, CheckFailed, VolumeDrop
from etl_assets.model.partitions import Daily
from etl_assets.model.profile import RANKS, ColumnProfile
from etl_assets.postgres.connection import connected
from etl_assets.postgres.watch import profiles
from etl_assets.schema import Column, Schema
from etl_assets_tests.real_feeds.taking import warehouse
from etl_assets_tests.watch.test_monitors import Chronicle, source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.model.alert import AlertRule
    from etl_assets.model.delivery import Delivery

SCHEMA = Schema(
    columns=(
        Column("id", "integer", required=True),
        *(Column(name, "float") for name in ("price", "weight", "size", "age", "score")),
    ),
    key=("id",),
)
USUAL = {"price": 10.0, "weight": 80.0, "size": 300.0, "age": 40.0, "score": 5.0}
FIRST = date(2024, 1, 1)
PRICE = ("check_failed", "distribution: mean of price", "warning")


@dataclass
class Life:
    """Deliveries of one feed, each examined as a run does it, and the alerts that they leave."""

    chronicle: Chronicle
    rules: tuple[AlertRule, ...] = DEFAULT_ALERTS
    sent: list[Delivery] = field(default_factory=list)

    def send(self, records: int = 10_000, partition: str = "", **means: float) -> None:
        """Deliver columns with some means, each with a deviation of a tenth of it."""
        if self.chronicle.source.partitions and not partition:
            partition = (FIRST + timedelta(days=len(self.sent))).isoformat()
        delivery = self.chronicle.deliver(records, partition)
        wobble = 1 + (len(self.sent) * 7 % 5 - 2) / 1000
        with connected(self.chronicle.url) as connection:
            profiles.replace(connection, delivery, [_profile(*each, wobble) for each in {**USUAL, **means}.items()])
        self.sent.append(delivery)
        self.examine(delivery)

    def examine(self, delivery: Delivery) -> None:
        with connected(self.chronicle.url) as connection, connection.transaction():
            results = watch.examine(connection, self.chronicle.source, delivery)
            alerts.update_for_checks(
                connection, self.rules, "run", delivery.source, delivery.partition, delivery.id, results
            )
        self.passed = {result.name: result.passed for result in results}
        self.description = " ".join(result.description for result in results)

    def passes(self) -> bool:
        """Whether the check of distributions passed for the last delivery."""
        return self.passed["distribution"]

    def usual(self, number: int = 10) -> None:
        for _ in range(number):
            self.send()

    def query(self, query: str) -> list[Any]:
        with connected(self.chronicle.url) as connection:
            return connection.execute(query.encode(), {"source": self.chronicle.source.name}).fetchall()

    @property
    def open(self) -> list[Any]:
        return self.query(
            "SELECT rule, subject, severity FROM etl.alert WHERE source = %(source)s AND status = 'open' ORDER BY id"
        )

    @property
    def notified(self) -> list[str]:
        """The events of all notifications, in their order."""
        found = self.query(
            "SELECT n.event FROM etl.notification n JOIN etl.alert a ON a.id = n.alert_id "
            "WHERE a.source = %(source)s ORDER BY n.id"
        )
        return [event for (event,) in found]

    def accept(self, **only: str) -> list[bool]:
        with connected(self.chronicle.url) as connection:
            levels = alerts.open_levels(connection, self.chronicle.source.name)
            return [watch.accept_level(connection, self.rules, level, "ada", **only) for level in levels]


def _profile(column: str, mean: float, wobble: float) -> ColumnProfile:
    mean, deviation = mean * wobble, mean / 10
    quantiles = {rank: mean + 4 * deviation * (rank - 0.5) for rank in RANKS}
    return ColumnProfile(column, 10_000, 0, 800.0, mean=mean, deviation=deviation, quantiles=quantiles)


@pytest.fixture(scope="module")
def shared_url(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with warehouse(postgres_url, tmp_path_factory.mktemp("landing")) as ready:
        yield ready.url


@pytest.fixture
def life(shared_url: str) -> Life:
    return Life(Chronicle(shared_url, source(f"s{uuid4().hex}", SCHEMA, partitions=Daily(start=FIRST))))


def test_what_a_person_closed_opens_again_only_at_another_level(life: Life) -> None:
    for _ in range(10):
        life.send()
    life.send(price=20.0)
    with connected(life.chronicle.url) as connection:
        (opened,) = alerts.open_levels(connection)
        alerts.close(connection, {}, [opened.alert.id], "ada", "known")
    life.send(price=20.0)
    with connected(life.chronicle.url) as connection:
        assert alerts.open_levels(connection) == []
    life.send(price=35.0)
    with connected(life.chronicle.url) as connection:
        assert [level.columns for level in alerts.open_levels(connection)] == [("price",)]


def test_a_change_of_level_is_notified_once_and_later_deliveries_count_on_its_alert(life: Life) -> None:
    life.usual()
    for _ in range(4):
        life.send(price=20.0)
    assert life.open == [PRICE]
    assert life.notified == ["opened"]
    ((times, partition, delivery),) = life.query(
        "SELECT times, partition, delivery_id FROM etl.alert WHERE source = %(source)s"
    )
    assert (times, partition, delivery) == (4, "", life.sent[10].id)


def test_the_check_fails_only_for_the_delivery_that_brings_the_change(life: Life) -> None:
    life.usual()
    life.send(price=20.0)
    assert not life.passes()
    life.send(price=20.0)
    assert life.passes()
    assert f"mean of price since delivery {life.sent[10].id}" in life.description


def test_it_is_resolved_when_the_number_goes_back(life: Life) -> None:
    life.usual()
    life.send(price=20.0)
    life.usual(1)
    assert life.open == []
    assert life.notified == ["opened", "resolved"]


def test_it_is_resolved_when_the_new_level_has_lasted_and_another_change_opens_another(life: Life) -> None:
    life.usual()
    for _ in range(9):
        life.send(price=20.0)
    assert life.open == []
    (resolution,) = life.query("SELECT resolution FROM etl.alert WHERE source = %(source)s")[0]
    assert resolution == "The new level has lasted long enough to be the usual one."
    life.usual(1)
    assert life.open == [PRICE]


def test_a_second_jump_opens_an_alert_of_its_own_while_the_first_is_open(life: Life) -> None:
    life.usual()
    life.send(price=20.0)
    life.send(price=20.0)
    life.send(price=60.0)
    assert not life.passes()
    assert life.open == [PRICE]
    assert life.notified == ["opened", "resolved", "opened"]


def test_an_accepted_level_is_usual_at_once_and_the_way_back_is_a_change(life: Life) -> None:
    life.usual()
    life.send(price=20.0)
    assert life.accept() == [True]
    assert life.open == []
    life.send(price=20.0)
    assert life.passes()
    assert life.open == []
    life.usual(1)
    assert life.open == [PRICE]


def test_one_number_may_be_accepted_alone(life: Life) -> None:
    life.usual()
    life.send(price=20.0)
    assert life.accept(column="price", statistic="deviation") == [False]
    life.send(price=20.0)
    assert life.open == [PRICE]
    assert "deviation of price" not in life.query("SELECT summary FROM etl.alert WHERE source = %(source)s")[0][0]


def test_swapped_columns_are_an_error_of_their_own(life: Life) -> None:
    life.usual()
    life.send(price=80.0, weight=10.0)
    assert life.open == [("check_failed", "distribution: price and weight look swapped", "error")]
    life.send(price=80.0, weight=10.0)
    assert not life.passes()
    assert life.notified == ["opened"]
    life.usual(1)
    assert life.open == []


def test_columns_that_are_swapped_while_a_change_of_level_is_open_are_recognised(life: Life) -> None:
    life.usual()
    life.send(price=30.0)
    life.send(price=30.0)
    life.send(price=80.0, weight=30.0)
    assert ("check_failed", "distribution: price and weight look swapped", "error") in life.open


def test_swapped_columns_are_not_drowned_by_many_that_change_at_once(life: Life) -> None:
    life.usual()
    life.send(price=80.0, weight=10.0, size=900.0, age=4.0, score=50.0)
    assert life.open[0] == ("check_failed", "distribution: price and weight look swapped", "error")
    assert life.description.index("look swapped") < life.description.index("size")


def test_many_columns_that_change_at_once_are_one_alert(life: Life) -> None:
    life.usual()
    for _ in range(2):
        life.send(price=100.0, weight=8.0, size=900.0, age=4.0)
    assert life.open == [("check_failed", "distribution: several columns", "warning")]
    life.send(price=100.0)
    assert life.open == [("check_failed", "distribution: several columns", "warning")]
    assert life.notified == ["opened"]
    assert life.accept() == [True]
    life.send(price=100.0)
    assert life.open == []


def test_a_drop_of_the_volume_is_one_alert_that_says_by_how_much(life: Life) -> None:
    life.rules = (VolumeDrop(), CheckFailed())
    life.usual()
    life.send(records=1_000)
    life.send(records=1_000)
    ((rule, subject, summary, times),) = life.query(
        "SELECT rule, subject, summary, times FROM etl.alert WHERE source = %(source)s AND rule = 'volume_drop'"
    )
    assert (rule, subject, times) == ("volume_drop", "", 2)
    assert summary.startswith(
        "90% fewer than usual: 1,000 records, expected 7,500 to 12,500 (10 deliveries before it, 1 anom"
    )
    life.usual(1)
    assert life.open == []


def test_a_volume_that_rises_or_drops_by_less_than_declared_is_a_failed_check(life: Life) -> None:
    life.rules = (VolumeDrop(by=0.95), CheckFailed())
    life.usual()
    life.send(records=1_000)
    life.send(records=90_000)
    found = life.query("SELECT rule, subject, status FROM etl.alert WHERE source = %(source)s ORDER BY id")
    assert found == [("check_failed", "volume: records", "resolved"), ("check_failed", "volume: records", "open")]


def test_deliveries_without_records_are_one_alert(life: Life) -> None:
    life.send()
    for _ in range(3):
        life.send(records=0)
    assert ("volume_drop", "", "error") in life.open
    assert life.notified == ["opened"]


def test_a_late_delivery_resolves_nothing_but_opens_what_it_brought_until_it_is_corrected(life: Life) -> None:
    life.usual(11)
    life.send(price=20.0)
    late = (FIRST + timedelta(days=9)).isoformat()
    life.send(partition=late)
    assert life.open == [PRICE]
    life.send(partition=late, weight=8.0)
    weight = ("check_failed", "distribution: mean of weight", "warning")
    assert life.open == [PRICE, weight]
    life.send(partition=late)
    assert life.open == [PRICE]


def test_a_rule_that_is_off_opens_nothing(life: Life) -> None:
    life.rules = (CheckFailed(off=True), VolumeDrop(off=True))
    life.usual()
    life.send(price=20.0, records=1)
    assert life.open == []


def test_a_declared_rule_gives_the_alert_its_channels_and_severity(life: Life) -> None:
    life.rules = (CheckFailed(names=("distribution",), severity="critical", to=("pager",)),)
    life.usual()
    life.send(price=20.0, records=1)
    assert life.open == [(*PRICE[:2], "critical")]
