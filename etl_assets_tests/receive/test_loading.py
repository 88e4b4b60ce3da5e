"""From the publisher to the table: sensor, run, and what becomes of a file when its rows are committed."""

from __future__ import annotations

import signal
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from click.testing import CliRunner

from etl_assets import Csv, Events, Files, Inbox, Ndjson, OnChange, Secret, doctor
from etl_assets.cli import main
from etl_assets.graph.resource import open_warehouse
from etl_assets_tests.graph.watcher import EVERY, Watcher
from etl_assets_tests.proxy import proxied
from etl_assets_tests.receive.receiving import WITH_TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets_tests.graph.conftest import Bench
    from etl_assets_tests.receive.receiving import Receiving

TOKEN = Secret("TEST_TOKEN")
ADA, GRACE, OLD = b"id,name,age\n1,Ada,36\n", b"id,name,age\n2,Grace,45\n", b"id,name,age\n1,Ada,old\n"


@pytest.fixture
def instance(dagster_home: str) -> Iterator[dg.DagsterInstance]:
    """An instance with a home; without a home no tick can read the partitions of files."""
    with dg.DagsterInstance.local_temp(dagster_home) as local:
        yield local


def watcher_of(bench: Bench, **changes: Any) -> Watcher:
    extractor = Inbox(**{"format": Csv(), "token": TOKEN, **changes})
    return Watcher(bench, bench.declare(extractor=extractor, partitions=Files(), trigger=OnChange(every=EVERY)))


def names(bench: Bench) -> list[tuple[object, ...]]:
    return bench.query("SELECT name FROM core.people ORDER BY id")


def test_the_sensor_runs_a_received_file_at_once_and_takes_it_out_of_those_that_wait(
    bench: Bench, receiver: Receiving
) -> None:
    receiver.declare("people")
    receiver.start()
    key = receiver.send("people", ADA, X_Filename="ada.csv").content["key"]
    watcher = watcher_of(bench)
    assert watcher.poll() == [True]
    assert names(bench) == [("Ada",)]
    assert receiver.files("people") == []
    assert [path.name for path in (receiver.inbox("people") / "loaded").iterdir()] == [key]
    assert watcher.tick() == []
    assert bench.query("SELECT partition, manifest ->> 'name' FROM etl.delivery") == [(key, "ada.csv")]


def test_a_file_that_is_not_kept_is_removed_when_its_rows_are_committed(bench: Bench, receiver: Receiving) -> None:
    receiver.declare("people")
    receiver.start()
    receiver.send("people", ADA)
    assert watcher_of(bench, keep=timedelta(0)).poll() == [True]
    assert [
        path.name for room in ("files", "loaded", "notes") for path in (receiver.inbox("people") / room).iterdir()
    ] == []


def test_a_file_that_cannot_be_loaded_waits(bench: Bench, receiver: Receiving) -> None:
    receiver.declare("people")
    receiver.start()
    key = receiver.send("people", OLD).content["key"]
    assert watcher_of(bench).poll() == [False]
    assert receiver.files("people") == [key]


def test_the_newest_bytes_are_a_duplicate_also_after_they_were_loaded(bench: Bench, receiver: Receiving) -> None:
    receiver.declare("people")
    receiver.start()
    watcher = watcher_of(bench, keep=timedelta(0))
    receiver.send("people", ADA, Idempotency_Key="1")
    assert watcher.poll() == [True]
    assert receiver.send("people", ADA).status == 200
    assert receiver.send("people", GRACE).status == 201
    assert watcher.poll() == [True]
    assert receiver.send("people", ADA, Idempotency_Key="1").status == 200
    assert receiver.send("people", ADA).status == 201
    assert watcher.poll() == [True]
    assert names(bench) == [("Ada",), ("Grace",)]
    assert bench.query("SELECT count(*) FROM etl.delivery") == [(3,)]


def test_a_later_file_wins_also_if_it_is_loaded_first(bench: Bench, receiver: Receiving) -> None:
    receiver.declare("people")
    receiver.start()
    for name in ("Ada", "Countess"):
        receiver.send("people", f"id,name,age\n1,{name},36\n".encode())
    watcher = watcher_of(bench)
    requests = watcher.tick()
    assert [watcher.start(request).success for request in reversed(requests)] == [True, True]
    assert names(bench) == [("Countess",)]


def test_a_loaded_file_can_be_run_again_while_it_is_kept(bench: Bench, receiver: Receiving) -> None:
    receiver.declare("people")
    receiver.start()
    receiver.send("people", ADA)
    watcher = watcher_of(bench)
    (request,) = watcher.tick()
    assert watcher.start(request).success
    assert watcher.start(request).success
    assert names(bench) == [("Ada",)]


def test_a_waiting_file_whose_bytes_change_is_not_loaded(bench: Bench, receiver: Receiving) -> None:
    receiver.declare("people")
    receiver.start()
    key = receiver.send("people", ADA).content["key"]
    (receiver.inbox("people") / "files" / key).write_bytes(GRACE)
    assert watcher_of(bench).poll() == [False]
    assert bench.query("SELECT count(*) FROM etl.delivery") == [(0,)]


def test_files_that_arrive_while_the_database_is_down_are_loaded_when_it_is_back(
    url: str,
    bench: Bench,
    receiver: Receiving,
    monkeypatch: pytest.MonkeyPatch,
    quick_waits: None,  # noqa: ARG001 -- a fixture
) -> None:
    with proxied(url) as proxy:
        monkeypatch.setenv("ETL_ASSETS_DATABASE_URL", proxy.url)
        monkeypatch.setenv("ETL_ASSETS_DATABASE_WAIT", "0")
        receiver.declare("people")
        receiver.environ["ETL_ASSETS_DATABASE_URL"] = proxy.url
        proxy.go_away()
        receiver.start()
        assert [receiver.send("people", body).status for body in (ADA, GRACE)] == [201, 201]
        watcher = watcher_of(bench)
        with pytest.raises(Exception, match=r"answer|connect|refused"):
            watcher.tick()
        proxy.go_away(returns_after=0)
        assert watcher.poll() == [True, True]
    assert names(bench) == [("Ada",), ("Grace",)]


def test_events_become_rows_once_although_the_receiver_is_killed(bench: Bench, receiver: Receiving) -> None:
    receiver.declare("people", f"{WITH_TOKEN}, events=Events(close_seconds=3600)", "Ndjson()")
    receiver.start()
    for number in range(1, 11):
        event = b'{"id": %d, "name": "x%d", "age": 1}' % (number, number)
        assert receiver.send("people", event, method="POST").status == 201
    receiver.end(signal.SIGKILL)
    receiver.start()
    assert receiver.send("people", b'{"id": 10, "name": "x10", "age": 1}', method="POST").status == 200
    assert receiver.end() == 0
    watcher = watcher_of(bench, format=Ndjson(), events=Events())
    assert watcher.poll() == [True]
    assert bench.query("SELECT count(*), min(id), max(id) FROM core.people") == [(10, 1, 10)]
    assert bench.query("SELECT sum(records) FROM etl.delivery") == [(10,)]
    assert receiver.files("people") == []


def test_doctor_finds_nothing_wrong_and_preview_shows_a_waiting_file(
    bench: Bench, receiver: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.declare("orders")
    receiver.start()
    receiver.send("orders", b"id,name\n7,Ada\n", X_Filename="seven.csv")
    monkeypatch.setenv("ETL_ASSETS_SOURCES", str(receiver.folder / "declared"))
    shown = CliRunner().invoke(main, ["preview", "orders"])
    assert shown.exit_code == 0, shown.output
    assert "seven.csv" in shown.output
    assert "1 row would go to" in shown.output
    receiver.declare("people")
    receiver.end()
    receiver.start()
    receiver.send("people", ADA)
    watcher = watcher_of(bench)
    assert watcher.poll() == [True]
    warehouse = open_warehouse()
    assert doctor.examine(warehouse, [watcher.source]) == []
    assert doctor.reread(warehouse, [watcher.source]).violations == []
