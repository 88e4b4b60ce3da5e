"""One run, source, partition or channel that fails at a tick does not stop the others, and an alert reports it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import time, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from etl_assets import Column, Csv, FileExtractor, Files, NoDelivery, OnChange, References, Schema, Static
from etl_assets.errors import DeliveryUnreachableError
from etl_assets.graph.build import definitions
from etl_assets.graph.jobs import source_job
from etl_assets.graph.runs.alert_sensor import alert_sensor
from etl_assets.graph.runs.one_by_one import Failures
from etl_assets.graph.runs.reaper import reap
from etl_assets.graph.runs.run_record import RunRecord
from etl_assets.graph.runs.watch_sensor import watch_sensor
from etl_assets.graph.triggers.release_sensor import release_sensor
from etl_assets.postgres.connection import connected
from etl_assets.postgres.runs import history, liveness
from etl_assets_tests.alerts.stubs import http_stub
from etl_assets_tests.graph.watcher import Watcher, publish

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets import Partition, Source
    from etl_assets_tests.graph.conftest import Bench

_OPEN = "SELECT subject FROM etl.alert WHERE rule = 'tick_failed' AND status = 'open' ORDER BY subject"


@contextmanager
def _refusing(bench: Bench, table: str, condition: str) -> Iterator[None]:
    """Let the database refuse rows of a table that do not meet a condition, as it refuses what it cannot store."""
    bench.query(f"ALTER TABLE {table} ADD CONSTRAINT refusing CHECK ({condition}) NOT VALID")
    try:
        yield
    finally:
        bench.query(f"ALTER TABLE {table} DROP CONSTRAINT refusing")


def _watch(bench: Bench, source: Source, cursor: str | None = None) -> dg.SensorExecutionData:
    return watch_sensor({source.name: source}).evaluate_tick(
        dg.build_sensor_context(instance=bench.instance, cursor=cursor)
    )


def _forgotten_runs(bench: Bench, source: Source) -> tuple[str, str]:
    """Run a source twice, and forget both runs in the history."""
    first, second = (bench.run(source, force=True).run_id for _ in range(2))
    bench.query("DELETE FROM etl.check_result")
    bench.query("DELETE FROM etl.run")
    return first, second


def test_an_ended_run_that_cannot_be_entered_does_not_stop_the_others_and_is_tried_again(bench: Bench) -> None:
    source = bench.people("1,Ada,36")
    bad, good = _forgotten_runs(bench, source)
    with _refusing(bench, "etl.run", f"run_id <> '{bad}'"):
        data = _watch(bench, source)
        assert bench.query("SELECT run_id FROM etl.run") == [(good,)]
        assert f"{bad} failed, and is tried again: CheckViolation at history.py" in (data.skip_message or "")
        data = _watch(bench, source, data.cursor)
        assert bench.query(_OPEN) == [(f"watch_runs {bad}",)]
    data = _watch(bench, source, data.cursor)
    assert bench.query("SELECT count(*) FROM etl.run") == [(2,)]
    assert bench.query(_OPEN) == []
    assert "failed" not in (data.skip_message or "")


def test_an_error_text_that_no_database_stores_is_entered_with_escapes(bench: Bench) -> None:
    record = _started(bench, bench.people("1,Ada,36"))
    with connected(bench.url) as connection:
        history.run_failed(connection, record.key, "DeliveryError", os.fsdecode(b"f-\xff") + " and \0")
    assert bench.query("SELECT error FROM etl.run") == [(r"f-\xff and \x00",)]


def _started(bench: Bench, source: Source) -> RunRecord:
    """Start a run in Dagster and in the history."""
    job = source_job(definitions({source.name: source}), source.name)
    run = bench.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=job.run_tags)
    record = RunRecord.of(bench.url, run, source, "", "core")
    record.start()
    return record


def test_a_killed_run_that_cannot_be_entered_does_not_stop_the_reaper(bench: Bench) -> None:
    source = bench.people("1,Ada,36")
    bad, good = _started(bench, source), _started(bench, source)
    for record in (bad, good):
        liveness._presences.pop((record.url, record.run_id)).end()
    bench.query("UPDATE etl.run SET host = 'another machine', missed_at = now() - interval '1 minute'")
    failures = Failures()
    with _refusing(bench, "etl.run", f"run_id <> '{bad.run_id}' OR status <> 'crashed'"):
        ends = reap(bench.instance, bench.url, {"people": source}, failures)
    assert [end.run_id for end in ends] == [good.run_id]
    assert list(failures.errors) == [bad.run_id]


def test_a_database_that_does_not_answer_fails_the_whole_tick(bench: Bench) -> None:
    failures = Failures()
    with connected(bench.url) as connection:
        connection.close()
        with pytest.raises(Exception, match="the connection is closed"), failures.of("people"):
            connection.execute("SELECT 1")
    assert not failures.errors


def test_a_source_whose_alerts_cannot_be_opened_does_not_stop_the_others_nor_the_sending(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = (NoDelivery(by=time(0)),)
    sources = {name: bench.declare(name=name, alerts=rules) for name in ("awry", "people")}
    # refused after a second: what the tick writes at its end must be due when it sends
    with http_stub() as hook, _refusing(bench, "etl.alert", "source <> 'awry' OR pg_sleep(1) IS NULL"):
        monkeypatch.setenv("ETL_ASSETS_CHANNEL_DEFAULT", f"json://127.0.0.1:{hook.port}")
        data = alert_sensor(sources).evaluate_tick(dg.build_sensor_context(instance=bench.instance))
        assert "awry failed, and is tried again: CheckViolation" in (data.skip_message or "")
        titles = sorted(posted.json["title"] for posted in hook.taken)
    assert titles == ["[error] etl_assets: tick failed alerts awry", "[error] people: no delivery by 00:00 UTC"]


def test_a_channel_whose_service_raises_an_error_does_not_stop_the_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not bench.run(bench.people("1,Ada,999")).success
    bench.query("INSERT INTO etl.notification (alert_id, event, channel) SELECT id, 'opened', 'awry' FROM etl.alert")
    with http_stub() as hook:
        monkeypatch.setenv("ETL_ASSETS_CHANNEL_AWRY", "json://[awry")
        monkeypatch.setenv("ETL_ASSETS_CHANNEL_DEFAULT", f"json://127.0.0.1:{hook.port}")
        data = alert_sensor({}).evaluate_tick(dg.build_sensor_context(instance=bench.instance))
        assert len(hook.taken) == 1
    assert (data.skip_message or "").startswith("1 sent, 1 waiting.\nChannel 'awry' has failed since")
    assert "ValueError" in (data.skip_message or "")


class Unreadable(Csv):
    """A format that cannot parse records again."""

    def reread(self, *_: Any) -> Any:
        raise ZeroDivisionError


def test_a_source_whose_parked_records_cannot_be_read_does_not_stop_the_release_of_others(bench: Bench) -> None:
    columns = (
        Column("id", "integer", required=True),
        Column("parent", "integer", references=References("core.parents.id", missing="park")),
    )
    (bench.folder / "children.csv").write_text("id,parent\n1,7\n")
    (bench.folder / "parents.csv").write_text("id\n7\n")

    def declare(name: str, file: str, columns: tuple[Column, ...], format_: Csv | None = None) -> Source:
        extractor = FileExtractor(location=str(bench.folder / file), format=format_ or Csv(), settle_seconds=0)
        return bench.declare(name=name, extractor=extractor, schema=Schema(columns, ("id",)), max_rejected=1.0)

    family = {
        "awry": declare("awry", "children.csv", columns),
        "children": declare("children", "children.csv", columns),
        "parents": declare("parents", "parents.csv", columns[:1]),
    }
    built = definitions(family)
    assert all(bench.run_job(built, name).success for name in family)
    family["awry"] = declare("awry", "children.csv", columns, Unreadable())
    data = release_sensor(family).evaluate_tick(dg.build_sensor_context(instance=bench.instance))
    assert [request.tags["etl_assets/source"] for request in data.run_requests or []] == ["children"]
    assert bench.query(_OPEN) == [("release_parked awry",)]


class Awry(FileExtractor):
    """An extractor with a mistake that shows in one partition."""

    def poll(self, partition: Partition) -> Mapping[str, str] | None:
        if partition.key == "b":
            raise ZeroDivisionError
        return super().poll(partition)


def test_a_partition_whose_poll_raises_an_error_does_not_stop_the_others(bench: Bench) -> None:
    for name in "abc":
        publish(bench.folder / f"{name}.csv", "1,Ada,36")
    extractor = Awry(location=str(bench.folder / "{key}.csv"), format=Csv())
    trigger = OnChange(every=timedelta(minutes=1))
    watcher = Watcher(bench, bench.declare(extractor=extractor, partitions=Static(("a", "b", "c")), trigger=trigger))
    assert watcher.requested_keys() == ["a", "c"]
    assert bench.query(_OPEN) == [("people_sensor b",)]


class Unlisted(FileExtractor):
    """A publisher whose files cannot be listed."""

    def list(self) -> Sequence[str]:
        raise DeliveryUnreachableError("The server does not answer. Nothing was written. Try again later.")


def test_a_source_whose_files_cannot_be_listed_fails_its_own_ticks_alone(bench: Bench) -> None:
    publish(bench.folder / "people.csv", "1,Ada,36")
    trigger = OnChange(every=timedelta(minutes=1))
    extractor = Unlisted(location=str(bench.folder / "*.csv"), format=Csv())
    awry = Watcher(bench, bench.declare(name="awry", extractor=extractor, partitions=Files(), trigger=trigger))
    with pytest.raises(DeliveryUnreachableError):
        awry.tick()
    assert len(Watcher(bench, bench.declare(trigger=trigger)).tick()) == 1
