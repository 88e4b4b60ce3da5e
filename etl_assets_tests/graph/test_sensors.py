"""A source that runs on a change: polls, runs, further attempts, and the memory from tick to tick."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

import dagster as dg

from etl_assets import Csv, Daily, FileExtractor, OnChange, Static
from etl_assets.errors import DeliveryUnreachableError
from etl_assets.graph.build import definitions
from etl_assets.graph.keys import asset_keys
from etl_assets.graph.triggers import change_sensor
from etl_assets_tests.graph.watcher import EVERY, Watcher, publish

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, tzinfo

    import pytest

    from etl_assets import Partition
    from etl_assets_tests.graph.conftest import Bench

_GOOD = "1,Ada,36"
_BAD = "1,Ada,999"


def _whole(bench: Bench, **changes: Any) -> Watcher:
    return Watcher(bench, bench.declare(trigger=OnChange(every=EVERY), **changes))


def _later(monkeypatch: pytest.MonkeyPatch, ahead: timedelta) -> None:
    """Set the sensor's clock ahead of the clock of the runs."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp((datetime.now(tz) + ahead).timestamp(), tz)

    monkeypatch.setattr(change_sensor, "datetime", Clock)


def test_the_trigger_is_a_switched_on_sensor_with_the_declared_interval(bench: Bench) -> None:
    built = definitions({"people": bench.declare(trigger=OnChange(every=timedelta(minutes=5)))})
    sensor = built.resolve_sensor_def("people_sensor")
    assert (sensor.default_status, sensor.minimum_interval_seconds) == (dg.DefaultSensorStatus.RUNNING, 300)
    assert sensor.asset_selection == dg.AssetSelection.assets(*asset_keys("people"))
    assert not built.get_repository_def().has_schedule_def("people_schedule")


def test_the_sensor_requests_a_file_that_is_not_loaded_and_no_file_that_is(bench: Bench) -> None:
    publish(bench.folder / "people.csv", _GOOD)
    watcher = _whole(bench)
    assert watcher.poll() == [True]
    assert bench.query("SELECT id FROM core.people") == [(1,)]
    assert watcher.poll() == []
    assert "Nothing has changed" in watcher.message


def test_the_sensor_requests_a_changed_file(bench: Bench) -> None:
    publish(bench.folder / "people.csv", _GOOD)
    watcher = _whole(bench)
    watcher.poll()
    publish(bench.folder / "people.csv", _GOOD, "2,Alan,41")
    assert watcher.poll() == [True]
    assert bench.query("SELECT count(*) FROM core.people") == [(2,)]


def test_the_sensor_does_not_request_a_file_that_was_loaded_by_hand(bench: Bench) -> None:
    publish(bench.folder / "people.csv", _GOOD)
    watcher = _whole(bench)
    bench.run(watcher.source)
    assert watcher.poll() == []


def test_the_same_bytes_written_again_cause_one_run_and_no_delivery(bench: Bench) -> None:
    publish(bench.folder / "people.csv", _GOOD)
    watcher = _whole(bench)
    watcher.poll()
    publish(bench.folder / "people.csv", _GOOD, age=30)
    assert watcher.poll() == [True]
    assert watcher.poll() == []
    assert bench.query("SELECT count(*) FROM etl.delivery") == [(1,)]


def test_an_older_state_that_the_publisher_restores_is_loaded_again(bench: Bench) -> None:
    path = bench.folder / "people.csv"
    watcher = _whole(bench)
    publish(path, _GOOD, age=100)
    at = path.stat().st_mtime_ns
    assert watcher.poll() == [True]
    publish(path, "1,Grace,36", age=50)
    assert watcher.poll() == [True]
    publish(path, _GOOD)
    os.utime(path, ns=(at, at))
    assert watcher.poll() == [True]
    assert bench.query("SELECT name FROM core.people") == [("Ada",)]


def test_a_file_brought_by_hand_does_not_count_as_the_publishers_state(bench: Bench) -> None:
    publish(bench.folder / "people.csv", _GOOD)
    publish(bench.folder / "brought.csv", "9,Mary,30")
    watcher = _whole(bench)
    watcher.poll()
    config = {"ops": {"landing__people": {"config": {"file": str(bench.folder / "brought.csv")}}}}
    assert bench.run_job(definitions({"people": watcher.source}), "people", config=config).success
    assert watcher.poll() == []
    publish(bench.folder / "people.csv", "1,Grace,36", age=20)
    assert watcher.poll() == [True]


def test_without_a_file_the_tick_requests_nothing_and_says_why(bench: Bench) -> None:
    watcher = _whole(bench)
    assert watcher.tick() == []
    assert "There is no file" in watcher.message


def test_a_file_that_was_just_written_is_requested_after_two_equal_polls(bench: Bench) -> None:
    source = bench.declare(
        extractor=FileExtractor(location=str(bench.folder / "people.csv"), format=Csv(), settle_seconds=3600),
        trigger=OnChange(every=EVERY),
    )
    watcher = Watcher(bench, source)
    publish(bench.folder / "people.csv", _GOOD, age=2)
    assert watcher.tick() == []
    assert "still be being written" in watcher.message
    publish(bench.folder / "people.csv", _GOOD, "2,Alan,41", age=1)
    assert watcher.tick() == []
    assert len(watcher.tick()) == 1


def test_a_change_is_not_requested_while_a_run_is_under_way(bench: Bench) -> None:
    publish(bench.folder / "people.csv", _GOOD)
    watcher = _whole(bench)
    (request,) = watcher.tick()
    run = watcher.queue(request)
    publish(bench.folder / "people.csv", "1,Grace,36", age=30)
    assert watcher.tick() == []
    assert "a run is under way" in watcher.message
    bench.instance.report_run_canceled(run)
    assert len(watcher.tick()) == 1


def test_a_refused_delivery_is_retried_after_longer_and_longer_waits_until_it_is_given_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(bench.folder / "people.csv", _BAD)
    watcher = Watcher(bench, bench.declare(trigger=OnChange(every=EVERY, attempts=3)))
    assert watcher.poll() == [False]
    assert watcher.tick() == []
    assert "attempt 1 failed, the next is due at" in watcher.message
    for after, outcome in ((1, [False]), (1, []), (2, [False]), (60, []), (6000, [])):
        _later(monkeypatch, timedelta(minutes=after, seconds=5))
        assert watcher.poll() == outcome, after
    assert "every attempt failed" in watcher.message
    assert sorted(key.rpartition("#")[2] for key in watcher.keys) == ["1", "2", "3"]
    publish(bench.folder / "people.csv", _GOOD, age=30)
    assert watcher.poll() == [True]
    assert watcher.poll() == []
    assert json.loads(watcher.cursor or "")["arrivals"] == {}


def test_an_arrival_that_was_given_up_is_forgotten_when_it_is_loaded_by_hand(bench: Bench) -> None:
    publish(bench.folder / "people.csv", _BAD)
    watcher = Watcher(bench, bench.declare(trigger=OnChange(every=EVERY, attempts=1)))
    assert watcher.poll() == [False]
    assert watcher.tick() == []
    assert "every attempt failed" in watcher.message
    consenting = bench.declare(trigger=watcher.source.trigger, max_rejected=1.0)
    assert bench.run(consenting).success
    watcher.tick()
    assert json.loads(watcher.cursor or "")["arrivals"] == {}


def test_a_run_that_dagster_will_retry_is_not_requested_again(bench: Bench) -> None:
    publish(bench.folder / "people.csv", _BAD)
    watcher = _whole(bench)
    watcher.poll()
    (run,) = bench.instance.get_runs()
    bench.instance.add_run_tags(run.run_id, {"dagster/will_retry": "true"})
    assert watcher.tick() == []
    assert "a run is under way" in watcher.message


class Silent(FileExtractor):
    """A publisher that gives no validators without a fetch."""

    def poll(self, partition: Partition) -> Mapping[str, str] | None:
        super().poll(partition)
        return None


def test_without_validators_every_poll_requests_a_run_and_the_same_bytes_are_no_new_delivery(bench: Bench) -> None:
    publish(bench.folder / "people.csv", _GOOD)
    watcher = _whole(bench, extractor=Silent(location=str(bench.folder / "people.csv"), format=Csv()))
    assert [watcher.poll() for _ in range(3)] == [[True]] * 3
    assert bench.query("SELECT count(*) FROM etl.delivery") == [(1,)]
    (request,) = watcher.tick()
    watcher.queue(request)
    assert watcher.tick() == []


class Inexact(FileExtractor):
    """A publisher whose validators of a poll differ from those of the fetch."""

    def poll(self, partition: Partition) -> Mapping[str, str] | None:
        validators = super().poll(partition) or {}
        return {"etag": validators["modified"]}


def test_a_poll_that_differs_from_the_fetch_requests_one_more_run_and_then_none(bench: Bench) -> None:
    publish(bench.folder / "people.csv", _GOOD)
    watcher = _whole(bench, extractor=Inexact(location=str(bench.folder / "people.csv"), format=Csv()))
    assert [watcher.poll() for _ in range(5)] == [[], [True], [True], [], []]


class Unreachable(FileExtractor):
    """A publisher with one partition that cannot be reached."""

    def poll(self, partition: Partition) -> Mapping[str, str] | None:
        if partition.key == "b":
            raise DeliveryUnreachableError("b does not answer. Nothing was written. Try again later.")
        return super().poll(partition)


def test_a_partition_that_cannot_be_reached_does_not_delay_the_others(bench: Bench) -> None:
    for name in "ac":
        publish(bench.folder / f"{name}.csv", _GOOD)
    extractor = Unreachable(location=str(bench.folder / "{key}.csv"), format=Csv())
    watcher = Watcher(
        bench, bench.declare(extractor=extractor, partitions=Static(("a", "b", "c")), trigger=OnChange(every=EVERY))
    )
    assert watcher.requested_keys() == ["a", "c"]


def _days(bench: Bench, start: date) -> Watcher:
    extractor = FileExtractor(location=str(bench.folder / "{key}.csv"), format=Csv())
    return Watcher(bench, bench.declare(extractor=extractor, partitions=Daily(start), trigger=OnChange(every=EVERY)))


def test_the_sensor_polls_the_days_that_are_not_loaded_and_the_newest_three(bench: Bench) -> None:
    today = datetime.now(UTC).date()
    days = [(today - timedelta(days=ago)).isoformat() for ago in range(6, 0, -1)]
    for day in days[1:]:
        publish(bench.folder / f"{day}.csv", _GOOD, age=200)
    watcher = _days(bench, today - timedelta(days=6))
    assert watcher.poll() == [True] * 5
    assert watcher.tick() == []
    for day in days:
        publish(bench.folder / f"{day}.csv", "1,Grace,36", age=30)
    assert watcher.requested_keys() == [days[0], *days[3:]]
