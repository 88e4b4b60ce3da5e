"""An inbox: files are moved out of it once all their rows are committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
import pytest

from etl_assets import Csv, FileExtractor, Files, OnChange
from etl_assets_tests.graph.watcher import EVERY, Watcher, publish

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from etl_assets_tests.graph.conftest import Bench

GOOD = "1,Ada,36"


@pytest.fixture
def instance(dagster_home: str) -> Iterator[dg.DagsterInstance]:
    """An instance with a home; without a home no tick can read the partitions of files."""
    with dg.DagsterInstance.local_temp(dagster_home) as local:
        yield local


def watcher_of(bench: Bench, move_to: str = "done/") -> Watcher:
    inbox = str(bench.folder / "in" / "*.csv")
    done = move_to and str(bench.folder / move_to)
    extractor = FileExtractor(location=inbox, format=Csv(), settle_seconds=2, move_to=done)
    return Watcher(bench, bench.declare(extractor=extractor, partitions=Files(), trigger=OnChange(every=EVERY)))


def files(bench: Bench) -> list[str]:
    return sorted(str(path.relative_to(bench.folder)) for path in bench.folder.rglob("*.csv"))


def names(bench: Bench) -> list[tuple[object, ...]]:
    return bench.query("SELECT name FROM core.people ORDER BY id")


def inbox(bench: Bench, name: str = "a.csv") -> Path:
    return bench.folder / "in" / name


def test_a_file_is_moved_when_its_rows_are_committed_and_its_partition_stays(bench: Bench) -> None:
    publish(inbox(bench), GOOD)
    watcher = watcher_of(bench)
    assert watcher.poll() == [True]
    assert files(bench) == ["done/a.csv"]
    assert names(bench) == [("Ada",)]
    assert watcher.tick() == []
    assert bench.instance.get_dynamic_partitions("people") == ["a.csv"]


def test_a_file_that_cannot_be_loaded_stays(bench: Bench) -> None:
    publish(inbox(bench), "1,Ada,old")
    assert watcher_of(bench).poll() == [False]
    assert files(bench) == ["in/a.csv"]


def test_a_file_that_was_loaded_by_a_run_that_died_before_it_moved_the_file_is_moved_at_the_next_tick(
    bench: Bench,
) -> None:
    publish(inbox(bench), GOOD)
    assert watcher_of(bench, move_to="").poll() == [True]
    assert files(bench) == ["in/a.csv"]
    assert watcher_of(bench).tick() == []
    assert files(bench) == ["done/a.csv"]


def test_a_later_file_of_the_same_name_is_a_new_delivery(bench: Bench) -> None:
    watcher = watcher_of(bench)
    for name, age in (("Ada", 60.0), ("Grace", 30.0)):
        publish(inbox(bench), f"1,{name},36", age=age)
        assert watcher.poll() == [True]
        assert names(bench) == [(name,)]
        assert files(bench) == ["done/a.csv"]
    assert bench.query("SELECT count(*) FROM etl.delivery") == [(2,)]


def test_a_partition_whose_file_was_moved_can_be_run_again(bench: Bench) -> None:
    publish(inbox(bench), GOOD)
    watcher = watcher_of(bench)
    (request,) = watcher.tick()
    assert watcher.start(request).success
    assert watcher.start(request).success
    assert names(bench) == [("Ada",)]


def test_a_file_that_cannot_be_moved_fails_its_run_and_keeps_its_rows(bench: Bench) -> None:
    publish(inbox(bench), GOOD)
    (bench.folder / "done").write_text("a file and no folder")
    assert watcher_of(bench).poll() == [False]
    assert names(bench) == [("Ada",)]
    assert files(bench) == ["in/a.csv"]
