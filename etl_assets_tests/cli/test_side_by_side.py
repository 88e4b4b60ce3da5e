"""Runs of a command that are executed at the same time, in processes of their own."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from etl_assets_tests.cli.feeds import Feed, lines_of, mark, start
from etl_assets_tests.cli.launches import until

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from typing import TypeAlias

    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk

    Found: TypeAlias = tuple[list[dict[str, Any]], dict[str, list[str]]]
    """The lines of a command, and what the warehouse has."""

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks runs"), pytest.mark.slow]
_CONTENTS = {
    "ledger": "SELECT source, partition, status, d.generation, kind, number, first_record, last_record, read, "
    "rejected, produced, inserted, updated, b.unchanged, duplicate, rules::text FROM etl.delivery d "
    "LEFT JOIN etl.batch b ON b.delivery_id = d.id",
    "quarantine": "SELECT source, partition, record_no, location, raw, rules, status FROM etl.rejected",
    "drift": "SELECT e.source, kind, subject, e.status, first.partition, last.partition FROM etl.drift e "
    "JOIN etl.delivery first ON first.id = first_delivery JOIN etl.delivery last ON last.id = last_delivery",
    "checks": "SELECT source, partition, name, passed, "
    "regexp_replace(description, 'delivery [0-9]+', 'delivery', 'g'), failed_records, records FROM etl.check_result",
    "runs": "SELECT source, partition, status, error_class, inserted, rejected FROM etl.run",
}
"""What the warehouse has besides tables, without ids and times."""
_ROWS = "SELECT t.id, note, partition, _record_no FROM core.{} t JOIN etl.delivery d ON d.id = _delivery_id"


def _prepare(desk: Desk) -> None:
    desk.succeed("migrate")


@pytest.fixture
def ready(prepared: Prepared) -> Desk:
    return prepared(_prepare)


def _declare(desk: Desk, *feeds: Feed, files: int = 4) -> None:
    for feed in feeds:
        feed.declare(desk)
        feed.publish(desk, files)


def _processes(desk: Desk, source: str) -> int:
    return int(desk.query(f"SELECT count(DISTINCT process) FROM etl.run WHERE source = '{source}'")[0][0])


def _contents(desk: Desk, feeds: Sequence[Feed], *names: str) -> dict[str, list[str]]:
    questions = {feed.name: _ROWS.format(feed.name) for feed in feeds} | {name: _CONTENTS[name] for name in names}
    return {name: sorted(map(repr, desk.query(question))) for name, question in questions.items()}


def _without(names: Collection[str], lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return lines without some of their values, and errors without their texts, which have numbers of deliveries."""
    kept = [{name: line[name] for name in line.keys() - names} for line in lines]
    return [{**line, "error": line["error"] and line["error"]["class"]} for line in kept]


def _assert_equal(one: Found, other: Found) -> None:
    assert one[0] == other[0]
    for name, rows in one[1].items():
        assert rows == other[1][name]


def _publish_faults(desk: Desk, feed: Feed) -> None:
    """Let a file have a bad record, let one lack a column, and one have more than those before."""
    desk.publish(f"{feed.name}/1.csv", "id,note\n2,1\nx,b\n")
    desk.publish(f"{feed.name}/2.csv", "id\n4\n5\n")
    desk.publish(f"{feed.name}/3.csv", "id,note,more\n6,3,m\n7,b,m\n")


def test_sources_side_by_side_leave_what_they_leave_one_after_the_other(prepared: Prepared) -> None:
    feeds = [Feed(name, per_run=2, runs_at_once=1) for name in ("east", "north", "west")]
    found = []
    for jobs in ("1", "2"):
        desk = prepared(_prepare)
        for feed in feeds:
            _declare(desk, feed, files=6)
            _publish_faults(desk, feed)
        lines = lines_of("run", "east", "north", "west", "--jobs", jobs, exit_code=1)
        found.append((_without({"delivery", "seconds"}, lines), _contents(desk, feeds, *_CONTENTS)))
        assert len(desk.query("SELECT DISTINCT process FROM etl.run")) == int(jobs)
    _assert_equal(*found)
    assert [line["status"] for line in found[0][0][:6]] == ["loaded", "loaded", "refused", "loaded", "loaded", "loaded"]
    assert all(found[0][1].values())


def test_the_ranges_of_a_source_side_by_side_leave_the_rows_and_the_ledger_of_a_sequence(prepared: Prepared) -> None:
    feed = Feed("parcels", per_run=2, runs_at_once=3)
    found = []
    for jobs in ("1", "3"):
        desk = prepared(_prepare)
        _declare(desk, feed, files=8)
        _publish_faults(desk, feed)
        lines = lines_of("run", "parcels", "--jobs", jobs, exit_code=1)
        found.append(
            (
                _without({"delivery", "seconds", "remarks"}, lines),
                _contents(desk, [feed], "ledger", "quarantine", "runs"),
            )
        )
        assert _processes(desk, "parcels") == int(jobs)
    _assert_equal(*found)
    assert [line["partition"] for line in found[1][0]] == [f"{number}.csv" for number in range(8)]


def test_no_more_runs_of_a_source_are_executed_together_than_its_pool_allows(ready: Desk) -> None:
    _declare(ready, Feed("single", runs_at_once=1), Feed("double", runs_at_once=2), files=8)
    mark(ready, "wait").touch()
    with start("run", "single", "double", "--jobs", "4") as command:
        until(lambda: len(ready.query("SELECT 1 FROM etl.run WHERE step = 'core'")) == 3)
        begun = ready.query("SELECT source, partition FROM etl.run ORDER BY 1, 2")
        mark(ready, "wait").unlink()
        command.communicate(timeout=120)
    assert begun == [("double", "0.csv"), ("double", "2.csv"), ("single", "0.csv")]
    together = (
        "SELECT max((SELECT count(DISTINCT b.run_id) FROM etl.run b WHERE b.source = a.source "
        "AND b.started_at <= a.started_at AND b.ended_at > a.started_at)) FROM etl.run a WHERE source = '{}'"
    )
    assert ready.query(together.format("single")) == [(1,)]
    assert ready.query(together.format("double")) == [(2,)]


def test_a_source_begins_when_those_that_it_refers_to_have_ended(ready: Desk) -> None:
    _declare(ready, Feed("child", refers_to="parent"), Feed("parent"), files=8)
    lines = lines_of("run", "child", "parent", "--jobs", "2")
    assert {line["rejected"] for line in lines} == {0}
    assert [line["source"] for line in lines] == ["parent"] * 8 + ["child"] * 8
    assert ready.query(
        "SELECT (SELECT max(ended_at) FROM etl.run WHERE source = 'parent') "
        "< (SELECT min(started_at) FROM etl.run WHERE source = 'child')"
    ) == [(True,)]


def test_a_process_that_is_killed_is_reported_and_the_others_go_on(ready: Desk) -> None:
    _declare(ready, Feed("parcels", per_run=2, runs_at_once=2), files=8)
    mark(ready, "kill-1").touch()
    lines = lines_of("run", "parcels", "--jobs", "2", exit_code=1)
    assert [line["partition"] for line in lines] == [f"{number}.csv" for number in range(8)]
    assert [line["error"] and line["error"]["class"] for line in lines] == ["Crashed", "Crashed", *[None] * 6]
    assert "What it had committed of this partition stays" in lines[1]["error"]["message"]
    assert ready.query("SELECT count(*) FROM core.parcels") == [(14,)]
    crashed = "SELECT partition, status FROM etl.run WHERE status <> 'succeeded' ORDER BY 1"
    assert ready.query(crashed) == [("0.csv", "crashed"), ("1.csv", "crashed")]
    again = lines_of("run", "parcels")
    assert [(line["partition"], line["error"], line["inserted"]) for line in again][-1] == ("1.csv", None, 2)


def test_partitions_that_a_killed_process_had_not_begun_are_named_and_all_may_be_killed(ready: Desk) -> None:
    _declare(ready, Feed("parcels", per_run=2, runs_at_once=2), files=8)
    for number in (0, 2):
        mark(ready, f"kill-{number}").touch()
    lines = lines_of("run", "parcels", "--jobs", "2", exit_code=1)
    assert [line["error"] and line["error"]["class"] for line in lines] == [*["Crashed"] * 4, *[None] * 4]
    assert "of which nothing was written" in lines[1]["error"]["message"]
    assert ready.query("SELECT count(*) FROM core.parcels") == [(8,)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_ends_its_processes_and_says_what_was_not_started(
    ready: Desk, number: signal.Signals
) -> None:
    _declare(ready, Feed("parcels", per_run=2, runs_at_once=2), files=8)
    mark(ready, "wait").touch()
    with start("run", "parcels", "--jobs", "2") as command:
        until(lambda: len(ready.query("SELECT 1 FROM etl.run WHERE step = 'core'")) == 2)
        processes = psutil.Process(command.pid).children(recursive=True)
        until(mark(ready, "called").exists)
        command.send_signal(number)
        _, errors = command.communicate(timeout=60)
    assert command.returncode == 1
    assert errors.count("Cancelled") == 4
    assert "4 runs not started: the command was interrupted." in errors
    assert not [process for process in processes if process.is_running()]
    assert {status for (status,) in ready.query("SELECT status FROM etl.run")} == {"cancelled"}


def test_the_processes_of_a_command_that_is_killed_end(ready: Desk) -> None:
    _declare(ready, Feed("parcels", per_run=2, runs_at_once=2), files=8)
    mark(ready, "wait").touch()
    with start("run", "parcels", "--jobs", "2") as command:
        until(mark(ready, "called").exists)
        processes = psutil.Process(command.pid).children(recursive=True)
        os.kill(command.pid, signal.SIGKILL)
    assert len(processes) >= 2
    until(lambda: not [process for process in processes if process.is_running()])


def test_no_range_begins_after_an_error_that_all_would_have(ready: Desk) -> None:
    ready.execute("CREATE SCHEMA IF NOT EXISTS core")
    ready.execute("CREATE TABLE core.parcels (id text PRIMARY KEY)")
    _declare(ready, Feed("parcels", per_run=2, runs_at_once=2), files=20)
    lines = lines_of("run", "parcels", "--jobs", "2", exit_code=1)
    assert {line["error"]["class"] for line in lines} == {"IncompatibleTableError"}
    assert len(lines) < 9


def test_a_command_that_has_one_range_executes_it_itself(ready: Desk) -> None:
    _declare(ready, Feed("parcels", per_run=4, runs_at_once=2), files=4)
    with start("run", "parcels", "--json") as command:
        command.communicate(timeout=60)
    assert ready.query("SELECT DISTINCT process FROM etl.run") == [(command.pid,)]
