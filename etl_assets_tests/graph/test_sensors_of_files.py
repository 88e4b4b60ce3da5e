"""A source in which each file is a partition, and which runs when files appear or change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
import pytest

from etl_assets import Csv, FileExtractor, Files, OnChange
from etl_assets.graph.triggers import change_sensor
from etl_assets_tests.graph.watcher import EVERY, Watcher, publish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets_tests.graph.conftest import Bench

_GOOD = "1,Ada,36"


@pytest.fixture
def instance(dagster_home: str) -> Iterator[dg.DagsterInstance]:
    """An instance with a home; without a home no tick can read the partitions of files."""
    with dg.DagsterInstance.local_temp(dagster_home) as local:
        yield local


def _files(bench: Bench) -> Watcher:
    extractor = FileExtractor(location=str(bench.folder / "in" / "*.csv"), format=Csv(), settle_seconds=2)
    return Watcher(bench, bench.declare(extractor=extractor, partitions=Files(), trigger=OnChange(every=EVERY)))


def test_each_new_file_becomes_a_partition_and_a_run(bench: Bench) -> None:
    for name in ("a", "b"):
        publish(bench.folder / "in" / f"{name}.csv", _GOOD)
    watcher = _files(bench)
    assert watcher.poll() == [True, True]
    assert bench.instance.get_dynamic_partitions("people") == ["a.csv", "b.csv"]
    publish(bench.folder / "in" / "a.csv", "1,Grace,36", age=30)
    publish(bench.folder / "in" / "c.csv", _GOOD)
    assert watcher.requested_keys() == ["a.csv", "c.csv"]


def test_a_name_that_cannot_be_a_key_stops_no_other_file_and_every_tick_shows_it(bench: Bench) -> None:
    for name in ("a\nb", "c"):
        publish(bench.folder / "in" / f"{name}.csv", _GOOD)
    watcher = _files(bench)
    assert watcher.poll() == [True]
    assert watcher.tick() == []
    assert watcher.message == r"a\nb.csv: is set aside, because it contains '\n'."
    assert bench.query("SELECT rule, status FROM etl.alert") == [("files_set_aside", "open")]


def test_many_new_files_are_requested_in_several_ticks(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_sensor, "RUNS_PER_TICK", 2)
    names = [f"{number}.csv" for number in range(5)]
    for name in names:
        publish(bench.folder / "in" / name, _GOOD)
    watcher = _files(bench)
    for expected in (names[:2], names[2:4], names[4:], []):
        requests = watcher.tick()
        assert [request.partition_key for request in requests] == expected
        assert all(watcher.start(request).success for request in requests)
    assert bench.instance.get_dynamic_partitions("people") == names


def test_loaded_files_are_removed_from_the_cursor(bench: Bench) -> None:
    for number in range(3):
        publish(bench.folder / "in" / f"{number}.csv", _GOOD)
    watcher = _files(bench)
    watcher.poll()
    assert watcher.tick() == []
    assert watcher.cursor == '{"last":null,"arrivals":{}}'


def test_the_next_tick_continues_a_tick_that_ran_out_of_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_sensor, "POLL_SECONDS", -1.0)
    for name in "abc":
        publish(bench.folder / "in" / f"{name}.csv", _GOOD)
    watcher = _files(bench)
    assert [watcher.requested_keys() for _ in range(3)] == [["a.csv"], ["b.csv"], ["c.csv"]]
