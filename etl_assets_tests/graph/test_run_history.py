"""The sensor completes the run history: it has every run of every source, however the run ended."""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd  # noqa: TC002 -- Dagster reads annotations
import psycopg
import pytest
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)

from etl_assets import Csv, FileExtractor, Static
from etl_assets.cli.in_process_runs import NO_RETRIES_TAG
from etl_assets.errors import TransientLoadError
from etl_assets.graph.build import definitions
from etl_assets.graph.jobs import source_job
from etl_assets.graph.run_config import replay_config
from etl_assets.graph.runs import retries
from etl_assets.graph.runs.reaper import is_ours
from etl_assets.graph.runs.run_record import RunRecord
from etl_assets.graph.runs.watch_sensor import Cursor, ended_since, watch_sensor
from etl_assets.postgres.runs import liveness
from etl_assets.source_files import SourceFile
from etl_assets_tests.graph.conftest import error_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets import Source
    from etl_assets_tests.graph.conftest import Bench

_GOOD = ("1,Ada,36", "2,Alan,41")
_ELSEWHERE = "UPDATE etl.run SET host = 'another machine'"
_LONG_AGO = "UPDATE etl.run SET missed_at = missed_at - interval '1 minute'"


@pytest.fixture(autouse=True)
def _end_presences() -> Iterator[None]:
    """End the presence of runs that a test leaves under way, so that they do not query its database when it is gone."""
    yield
    liveness._end_all()


def _tick(bench: Bench, *sources: Source, cursor: str | None = None) -> dg.SensorExecutionData:
    """Evaluate one tick of the sensor."""
    context = dg.build_sensor_context(instance=bench.instance, cursor=cursor)
    return watch_sensor({source.name: source for source in sources}).evaluate_tick(context)


def _under_way(bench: Bench, source: Source, **tags: str) -> RunRecord:
    """Create a run of this process that is started in Dagster and in the history."""
    job = source_job(definitions({source.name: source}), source.name)
    run = bench.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags={**job.run_tags, **tags})
    record = RunRecord.of(bench.url, run, source, "", "core")
    record.start()
    return record


def _kill(record: RunRecord) -> None:
    """Release the run's lock, so that for the database its process is gone."""
    liveness._presences.pop((record.url, record.run_id)).end()


def _status(bench: Bench, record: RunRecord) -> dg.DagsterRunStatus:
    run = bench.instance.get_run_by_id(record.run_id)
    assert run is not None
    return run.status


@contextmanager
def _disconnected(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.delenv("ETL_ASSETS_DATABASE_URL")
        yield


def test_a_run_enters_its_job_process_attempt_step_and_seconds_of_every_phase(bench: Bench) -> None:
    bench.run(bench.people(*_GOOD))
    ((job, host, process, attempt, step, delivery, spent),) = bench.query(
        "SELECT job, host, process, attempt, step, delivery_id, seconds FROM etl.run"
    )
    assert (job, host, process, attempt) == ("__ASSET_JOB", socket.gethostname(), os.getpid(), 1)
    assert (step, delivery) == ("quarantine", 1)
    assert {"landing", "core", "quarantine", "checks", "read", "database"} <= spent.keys()


def test_a_retried_step_counts_as_an_attempt_and_the_run_stays_under_way(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "FIRST_WAIT", 0.01)
    source = bench.people(*_GOOD)
    record = _under_way(bench, source)
    with pytest.raises(TransientLoadError), record.entering_errors(retries.retried_errors(0)):
        raise TransientLoadError("The database broke off.")
    assert bench.query("SELECT status, error_class FROM etl.run") == [("started", "TransientLoadError")]
    record.end()
    with bench.locked("people"):
        result = bench.run(source)
    assert not result.success
    assert bench.query("SELECT status, attempt, error_class FROM etl.run ORDER BY id DESC LIMIT 1") == [
        ("failed", retries.RETRIES + 1, "BusyError")
    ]


def test_a_run_that_dagster_starts_again_is_its_next_attempt(bench: Bench) -> None:
    _under_way(bench, bench.people(*_GOOD), **{"dagster/retry_number": "1"})
    assert bench.query("SELECT attempt FROM etl.run") == [(2,)]


@pytest.mark.parametrize("last", ["landing", "core", "quarantine"])
def test_the_last_selected_asset_enters_the_end_of_the_run(bench: Bench, last: str) -> None:
    source = bench.people(*_GOOD)
    bench.run(source)
    job = source_job(definitions({"people": source}), "people")
    result = job.execute_in_process(instance=bench.instance, asset_selection=[dg.AssetKey([last, "people"])])
    assert bench.query("SELECT step, status FROM etl.run WHERE run_id = %s", result.run_id) == [(last, "succeeded")]


def test_the_counts_of_a_run_that_failed_are_those_of_its_committed_batches(bench: Bench) -> None:
    lines = [f"{number},Ada,36" for number in range(1, 201)]
    bench.people(*lines, "x,Ada,36")
    extractor = FileExtractor(
        location=str(bench.folder / "people.csv"), format=Csv(batch_bytes=1_000), settle_seconds=0
    )
    assert not bench.run(bench.declare(extractor=extractor)).success
    ((status, read, inserted, delivery),) = bench.query("SELECT status, read, inserted, delivery_id FROM etl.run")
    assert (status, delivery) == ("failed", 1)
    assert bench.query("SELECT sum(read), sum(inserted) FROM etl.batch") == [(read, inserted)]
    assert read > 0


def test_a_run_that_is_interrupted_is_cancelled(bench: Bench) -> None:
    record = _under_way(bench, bench.people(*_GOOD))
    with pytest.raises(dg.DagsterExecutionInterruptedError), record.entering_errors():
        raise dg.DagsterExecutionInterruptedError
    ((status, error_class, text),) = bench.query("SELECT status, error_class, error FROM etl.run")
    assert (status, error_class) == ("cancelled", "Cancelled")
    assert "Nothing was written" in text
    assert "Run it again" in text


def test_a_run_of_this_machine_without_a_process_is_crashed_at_the_first_tick(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = bench.people(*_GOOD)
    record = _under_way(bench, source)
    _kill(record)
    monkeypatch.setattr(os, "kill", _no_such_process)
    _tick(bench, source)
    assert bench.query("SELECT status, error_class FROM etl.run") == [("crashed", "Crashed")]
    assert _status(bench, record) == dg.DagsterRunStatus.FAILURE


def test_a_run_of_another_machine_is_crashed_when_two_ticks_some_time_apart_miss_it(bench: Bench) -> None:
    source = bench.people(*_GOOD)
    record = _under_way(bench, source)
    bench.query(_ELSEWHERE)
    _kill(record)
    _tick(bench, source)
    _tick(bench, source)
    assert bench.query("SELECT status, missed_at IS NULL FROM etl.run") == [("started", False)]
    bench.query(_LONG_AGO)
    _tick(bench, source)
    assert bench.query("SELECT status FROM etl.run") == [("crashed",)]
    assert bench.query("SELECT times FROM etl.alert") == [(1,)]
    bench.query("UPDATE etl.run SET missed_at = ended_at - interval '1 minute'")
    _tick(bench, source)
    assert bench.query("SELECT times FROM etl.alert") == [(1,)], "the alert was opened once"


def test_a_run_that_outlives_a_restart_of_the_server_is_found_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "CHECK_SECONDS", 0.05)
    source = bench.people(*_GOOD)
    record = _under_way(bench, source)
    bench.query(_ELSEWHERE)
    bench.query("UPDATE etl.run SET missed_at = clock_timestamp() - interval '1 hour'")
    number = liveness.run_lock_number(record.run_id)
    (holder,) = _holders(bench, number)
    bench.query("SELECT pg_terminate_backend(%s)", holder)
    while _holders(bench, number) in ([], [holder]):
        assert liveness._presences[record.url, record.run_id]._thread.is_alive()
    _tick(bench, source)
    assert bench.query("SELECT status, missed_at FROM etl.run") == [("started", None)]
    assert _status(bench, record) == dg.DagsterRunStatus.STARTED


def test_a_run_that_has_locked_its_partition_is_alive_without_its_own_lock(bench: Bench) -> None:
    source = bench.people(*_GOOD)
    record = _under_way(bench, source)
    bench.query(_ELSEWHERE)
    _kill(record)
    bench.query("INSERT INTO etl.fence VALUES ('people', '', 1, %s)", record.run_id)
    with bench.locked("people"):
        _tick(bench, source)
        assert bench.query("SELECT missed_at FROM etl.run") == [(None,)]


def test_a_run_entered_as_crashed_that_continues_enters_its_true_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = bench.people(*_GOOD)
    record = _under_way(bench, source)
    _kill(record)
    monkeypatch.setattr(os, "kill", _no_such_process)
    _tick(bench, source)
    record.end()
    assert bench.query("SELECT status, error FROM etl.run") == [("succeeded", None)]


def test_a_run_that_died_after_it_entered_its_end_does_not_stay_started_in_dagster(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = bench.people(*_GOOD)
    record = _under_way(bench, source)
    record.end()
    _tick(bench, source)
    assert _status(bench, record) == dg.DagsterRunStatus.STARTED, "its process lives"
    _kill(record)
    monkeypatch.setattr(os, "kill", _no_such_process)
    _tick(bench, source)
    assert _status(bench, record) == dg.DagsterRunStatus.FAILURE
    assert bench.query("SELECT status FROM etl.run") == [("succeeded",)]


def test_a_run_that_was_asked_to_end_and_died_is_cancelled(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    source = bench.people(*_GOOD)
    record = _under_way(bench, source)
    run = bench.instance.get_run_by_id(record.run_id)
    assert run is not None
    bench.instance.report_run_canceling(run)
    _kill(record)
    monkeypatch.setattr(os, "kill", _no_such_process)
    _tick(bench, source)
    assert bench.query("SELECT status FROM etl.run") == [("cancelled",)]
    assert _status(bench, record) == dg.DagsterRunStatus.CANCELED


@pytest.mark.parametrize(
    ("status", "entered"), [("CANCELED", "cancelled"), ("SUCCESS", "succeeded"), ("FAILURE", "failed")]
)
def test_the_history_takes_over_the_end_that_a_run_has_in_dagster(bench: Bench, status: str, entered: str) -> None:
    source = bench.people(*_GOOD)
    record = _under_way(bench, source)
    run = bench.instance.get_run_by_id(record.run_id)
    assert run is not None
    if status == "CANCELED":
        bench.instance.report_run_canceled(run)
    elif status == "FAILURE":
        bench.instance.report_run_failed(run)
    else:
        event = dg.DagsterEvent("PIPELINE_SUCCESS", run.job_name, message="done")
        bench.instance.report_dagster_event(event, run.run_id)
    _tick(bench, source)
    assert bench.query("SELECT status FROM etl.run") == [(entered,)]


def test_a_run_that_could_not_reach_the_warehouse_is_entered_when_it_can_be_reached(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = bench.people(*_GOOD)
    with _disconnected(monkeypatch):
        result = bench.run(source)
    assert "Start Dagster with" in error_of(result)
    assert bench.query("SELECT * FROM etl.run") == []
    _tick(bench, source)
    ((run_id, name, status, error_class, text, job),) = bench.query(
        "SELECT run_id, source, status, error_class, error, job FROM etl.run"
    )
    assert (run_id, name, status, error_class, job) == (
        result.run_id,
        "people",
        "failed",
        "SettingsError",
        "__ASSET_JOB",
    )
    assert text.startswith("ETL_ASSETS_DATABASE_URL is not set")
    assert bench.query("SELECT rule FROM etl.alert") == [("run_failed",)]


def test_a_run_that_dagster_failed_to_launch_is_entered_with_its_partition(bench: Bench) -> None:
    source = bench.declare(partitions=Static(("north", "south")))
    job = source_job(definitions({"people": source}), "people")
    run = bench.instance.create_run_for_job(job, tags={"dagster/partition": "north"})
    bench.instance.report_run_failed(run, "the launcher did not answer")
    _tick(bench, source)
    ((partition, status, error_class, text),) = bench.query("SELECT partition, status, error_class, error FROM etl.run")
    assert (partition, status, error_class) == ("north", "failed", "NotStarted")
    assert "Nothing was written" in text


def test_a_replay_that_failed_before_it_began_is_entered_under_its_source(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = bench.people(*_GOOD)
    with _disconnected(monkeypatch):
        bench.run_job(definitions({"people": source}), "replay", config=replay_config("people"))
    _tick(bench, source)
    assert bench.query("SELECT source, job, status FROM etl.run") == [("people", "replay", "failed")]


def _with_marts(source: Source) -> dg.Definitions:
    """Return the definitions of a source, and of two assets and two checks that are written by hand."""

    @dg.asset(key=["marts", "ages"], ins={"people": dg.AssetIn(["core", "people"])}, metadata={"key": ["age"]})
    def ages(people: pd.DataFrame) -> pd.DataFrame:
        return people[["age"]].drop_duplicates()

    @dg.asset(key=["marts", "report"], deps=[["marts", "ages"]])
    def report() -> None:
        raise ValueError("36 is the age of Ada")

    @dg.asset_check(asset=["marts", "ages"], name="nobody_is_old")
    def nobody_is_old() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(
            passed=False, severity=dg.AssetCheckSeverity.WARN, description="Alan is 41 years old"
        )

    @dg.asset_check(asset=["core", "people"], name="somebody_is_there")
    def somebody_is_there() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    module = ModuleType("by_hand")
    for definition in (ages, report, nobody_is_old, somebody_is_there):
        setattr(module, definition.op.name, definition)
    return definitions({source.name: source}, {SourceFile("by_hand", "by_hand.py"): module})


def _materialize(bench: Bench, built: dg.Definitions, *keys: list[str]) -> str:
    job = built.resolve_implicit_global_asset_job_def()
    selection: Any = [dg.AssetKey(key) for key in keys]
    return job.execute_in_process(instance=bench.instance, asset_selection=selection, raise_on_error=False).run_id


def test_checks_written_by_hand_are_entered_once_and_without_record_contents(bench: Bench) -> None:
    source = bench.people(*_GOOD)
    _materialize(bench, _with_marts(source), ["landing", "people"], ["core", "people"], ["marts", "ages"])
    first = _tick(bench, source)
    query = "SELECT source, name, passed, blocking FROM etl.check_result WHERE name IN ('nobody_is_old', %s) ORDER BY 1"
    assert bench.query(query, "somebody_is_there") == [
        ("marts.ages", "nobody_is_old", False, False),
        ("people", "somebody_is_there", True, False),
    ]
    assert bench.query("SELECT rule, source FROM etl.alert") == [("check_failed", "marts.ages")]
    before = bench.query("SELECT count(*) FROM etl.check_result")
    _tick(bench, source, cursor=first.cursor)
    _tick(bench, source)
    assert bench.query("SELECT count(*) FROM etl.check_result") == before
    assert "Alan" not in repr(bench.query("SELECT c::text FROM etl.check_result c"))


def test_results_that_a_run_entered_itself_are_not_entered_twice(bench: Bench) -> None:
    source = bench.people(*_GOOD, "x,Bad,1", max_rejected=0.5)
    bench.run(source)
    before = bench.query("SELECT id FROM etl.check_result ORDER BY 1")
    _tick(bench, source)
    assert bench.query("SELECT id FROM etl.check_result ORDER BY 1") == before


def test_a_failed_asset_written_by_hand_is_entered_and_assets_that_were_not_tried_are_not(bench: Bench) -> None:
    source = bench.people(*_GOOD)
    built = _with_marts(source)
    bench.run_job(built, "people")
    _materialize(bench, built, ["marts", "ages"], ["marts", "report"])
    _tick(bench, source)
    assert bench.query("SELECT source, status, error_class FROM etl.run ORDER BY source") == [
        ("marts.ages", "succeeded", None),
        ("marts.report", "failed", "ValueError"),
        ("people", "succeeded", None),
    ]
    assert "Ada" not in repr(bench.query("SELECT error FROM etl.run"))


@pytest.mark.parametrize("launched", [True, False])
def test_dagster_will_start_a_crashed_run_again_if_a_daemon_launched_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, launched: bool
) -> None:
    source = bench.people(*_GOOD)
    job = source_job(definitions({"people": source}), "people")
    with dg.instance_for_test({"run_retries": {"enabled": True, "max_retries": 1}}) as instance:
        run = instance.create_run_for_job(
            job,
            status=dg.DagsterRunStatus.STARTED,
            tags={} if launched else {NO_RETRIES_TAG: "0"},
            remote_job_origin=_origin("theirs") if launched else None,
        )
        record = RunRecord.of(bench.url, run, source, "", "core")
        record.start()
        _kill(record)
        monkeypatch.setattr(os, "kill", _no_such_process)
        _tick(replace(bench, instance=instance), source)
        now = instance.get_run_by_id(run.run_id)
    assert now is not None
    assert now.status == dg.DagsterRunStatus.FAILURE
    assert now.tags["dagster/will_retry"] == str(launched).lower()


def test_a_code_location_does_not_watch_runs_of_another() -> None:
    launched = dg.DagsterRun("people", remote_job_origin=_origin("theirs"))
    assert [is_ours(launched, name) for name in ("theirs", "mine", None)] == [True, False, True]
    location = RegisteredCodeLocationOrigin("theirs")
    of_a_command = dg.DagsterRun(
        "people", remote_job_origin=RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), "people")
    )
    assert is_ours(of_a_command, "mine")
    assert is_ours(dg.DagsterRun("people"), "mine")
    assert is_ours(None, "mine")


def test_every_ended_run_is_handled_exactly_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etl_assets.graph.runs.watch_sensor.RUNS_PER_TICK", 2)
    source = bench.people(*_GOOD)
    runs = [bench.run(source, force=True).run_id for _ in range(5)]
    cursor, handled = Cursor.read(None, datetime.now(UTC)), []
    while records := ended_since(bench.instance, cursor):
        assert len(records) <= 2
        handled += [record.dagster_run.run_id for record in records]
        cursor = Cursor.read(str(cursor.after(records)), datetime.now(UTC))
    assert handled == runs


def test_a_cursor_forgets_runs_older_than_the_overlap(bench: Bench) -> None:
    now = datetime.now(UTC)
    bench.run(bench.people(*_GOOD))
    records = ended_since(bench.instance, Cursor(now - timedelta(hours=1)))
    old = Cursor(now - timedelta(hours=1), {"long ago": (now - timedelta(hours=1)).isoformat()})
    assert set(old.after(records).seen) == {records[0].dagster_run.run_id}


def test_the_sensor_is_switched_on_and_ticks_several_times_a_minute() -> None:
    sensor = watch_sensor({})
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    assert sensor.minimum_interval_seconds is not None
    assert sensor.minimum_interval_seconds * 3 < 60


def _origin(location: str) -> RemoteJobOrigin:
    """Return the origin of a job whose run a daemon launched."""
    server = GrpcServerCodeLocationOrigin(host="localhost", port=4000, location_name=location)
    return RemoteJobOrigin(RemoteRepositoryOrigin(server, "__repository__"), "people")


def _no_such_process(pid: int, number: int) -> None:
    assert (pid, number) == (os.getpid(), 0)
    raise ProcessLookupError


def _holders(bench: Bench, number: int) -> list[int]:
    with psycopg.connect(bench.url, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted "
            "AND ((classid::bigint << 32) | objid::bigint) = %s",
            (number,),
        ).fetchall()
    return [pid for (pid,) in rows]
