"""Schedules ask for what is missing; parked records are released when their parents arrive."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from etl_assets import Column, Cron, Csv, Daily, FileExtractor, Files, Schema, Static
from etl_assets.graph.jobs import RUNS_PER_TICK, replay_config
from etl_assets.graph.release import release_sensor
from etl_assets.graph.build import definitions
from etl_assets_tests.graph.conftest import error_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from etl_assets import Source
    from etl_assets_tests.graph.conftest import Bench

_AT = datetime(2024, 1, 4, 6, tzinfo=UTC)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """One with a home, for schedules are evaluated in a process of their own that opens it again."""
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as local:
        yield local


def _tick(bench: Bench, source: Source, at: datetime = _AT) -> dg.ScheduleExecutionData:
    built = definitions({source.name: source})
    schedule = built.resolve_schedule_def(f"{source.name}_schedule")
    with dg.build_schedule_context(
        instance=bench.instance, scheduled_execution_time=at, repository_def=built.get_repository_def()
    ) as context:
        return schedule.evaluate_tick(context)


def _asked(bench: Bench, source: Source, at: datetime = _AT) -> list[str | None]:
    return [request.partition_key for request in _tick(bench, source, at).run_requests or []]


def _loaded(bench: Bench, *partitions: str) -> None:
    for partition in partitions:
        bench.instance.report_runless_asset_event(
            dg.AssetMaterialization(dg.AssetKey(["core", "people"]), partition=partition)
        )


def _daily(bench: Bench, **changes: Any) -> Source:
    location = str(bench.folder / "{key}.csv")
    return bench.declare(
        extractor=FileExtractor(location=location, format=Csv(), settle_seconds=0),
        partitions=Daily(start=date(2024, 1, 1)),
        trigger=Cron("0 6 * * *"),
        **changes,
    )


def test_a_trigger_is_a_schedule_that_is_switched_on(bench: Bench) -> None:
    built = definitions({"people": bench.declare(trigger=Cron("0 6 * * 1", zone="Europe/Paris"))})
    schedule = built.resolve_schedule_def("people_schedule")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 6 * * 1", "Europe/Paris")
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert schedule.job_name == "people"


def test_a_source_without_a_trigger_has_no_schedule(bench: Bench) -> None:
    assert definitions({"people": bench.declare()}).schedules == []


def test_a_feed_that_is_taken_whole_is_run_at_every_tick(bench: Bench) -> None:
    assert _asked(bench, bench.declare(trigger=Cron("0 6 * * *"))) == [None]


def test_a_tick_asks_for_every_complete_partition_that_was_never_loaded_oldest_first(bench: Bench) -> None:
    source = _daily(bench)
    assert _asked(bench, source) == ["2024-01-01", "2024-01-02", "2024-01-03"]
    _loaded(bench, "2024-01-02")
    assert _asked(bench, source) == ["2024-01-01", "2024-01-03"]


def test_a_tick_asks_for_the_newest_partition_again_when_all_are_loaded(bench: Bench) -> None:
    _loaded(bench, "2024-01-01", "2024-01-02", "2024-01-03")
    assert _asked(bench, _daily(bench)) == ["2024-01-03"]


def test_a_tick_before_the_first_partition_is_complete_is_skipped_with_a_reason(bench: Bench) -> None:
    data = _tick(bench, _daily(bench), datetime(2024, 1, 1, 6, tzinfo=UTC))
    assert not data.run_requests
    assert "no partition that is complete" in (data.skip_message or "")


def test_a_long_history_is_asked_for_in_several_ticks(bench: Bench) -> None:
    asked = _asked(bench, _daily(bench), datetime(2026, 1, 1, tzinfo=UTC))
    assert len(asked) == RUNS_PER_TICK
    assert asked[0] == "2024-01-01"


def test_named_partitions_are_asked_for_in_the_order_of_their_names(bench: Bench) -> None:
    source = _daily(bench)
    source = bench.declare(extractor=source.extractor, partitions=Static(names=("z", "a")), trigger=source.trigger)
    assert _asked(bench, source) == ["z", "a"]


def test_a_tick_finds_new_files_and_asks_for_them_in_the_order_of_their_rank(bench: Bench) -> None:
    for name in ("12-2023.csv", "01-2024.csv"):
        (bench.folder / name).write_text("id,name\n1,Ada\n")
    source = bench.declare(
        extractor=FileExtractor(location=str(bench.folder / "*.csv"), format=Csv(), settle_seconds=0),
        partitions=Files(rank=lambda name: name[3:7] + name[:2]),
        trigger=Cron("0 6 * * *"),
    )
    assert _asked(bench, source) == ["12-2023.csv", "01-2024.csv"]
    assert bench.run(source, "12-2023.csv").success
    assert _asked(bench, source) == ["01-2024.csv"]


def _family(bench: Bench) -> dict[str, Source]:
    """Children that refer to parents; each its own file."""
    parents = bench.declare(
        name="parents",
        extractor=FileExtractor(location=str(bench.folder / "parents.csv"), format=Csv(), settle_seconds=0),
        schema=Schema(columns=(Column("id", "integer", required=True),), key=("id",)),
    )
    children = bench.declare(
        name="children",
        extractor=FileExtractor(location=str(bench.folder / "children.csv"), format=Csv(), settle_seconds=0),
        schema=Schema(
            columns=(
                Column("id", "integer", required=True),
                Column("parent", "integer", required=True, references="core.parents.id"),
            ),
            key=("id",),
        ),
        max_rejected=1.0,
    )
    (bench.folder / "parents.csv").write_text("id\n1\n")
    (bench.folder / "children.csv").write_text("id,parent\n10,1\n20,2\n30,x\n")
    return {"parents": parents, "children": children}


def _look(bench: Bench, family: dict[str, Source], cursor: str | None) -> dg.SensorExecutionData:
    context = dg.build_sensor_context(instance=bench.instance, cursor=cursor)
    return release_sensor(family).evaluate_tick(context)


def test_parked_records_are_replayed_once_their_parents_have_arrived(bench: Bench) -> None:
    family = _family(bench)
    built = definitions(family)
    assert bench.run_job(built, "parents").success
    assert bench.run_job(built, "children").success
    first = _look(bench, family, None)
    assert not first.run_requests
    (bench.folder / "parents.csv").write_text("id\n1\n2\n")
    assert bench.run_job(built, "parents").success
    second = _look(bench, family, first.cursor)
    (request,) = second.run_requests or []
    assert bench.run_job(built, "replay", config=request.run_config).success
    assert bench.query("SELECT id, parent FROM core.children ORDER BY id") == [(10, 1), (20, 2)]
    assert bench.query("SELECT status, count(*) FROM etl.rejected GROUP BY 1 ORDER BY 1") == [
        ("open", 1),
        ("replayed", 1),
    ]
    assert not _look(bench, family, second.cursor).run_requests


def test_a_release_that_failed_is_asked_for_under_the_same_key_within_the_hour(bench: Bench) -> None:
    family = _family(bench)
    built = definitions(family)
    bench.run_job(built, "children")
    bench.run_job(built, "parents")
    one = _look(bench, family, None)
    two = _look(bench, family, one.cursor)
    assert one.run_requests
    assert two.run_requests
    keys = {(request.run_key or "").rsplit(" ", 1)[0] for request in [*one.run_requests, *two.run_requests]}
    assert len(keys) == 1


def test_the_sensor_is_switched_on(bench: Bench) -> None:
    sensor = release_sensor(_family(bench))
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    assert sensor.minimum_interval_seconds == 60


def test_a_replay_takes_the_records_it_is_told_and_reports_what_became_of_them(bench: Bench) -> None:
    source = bench.people("1,Ada,36", "2,Alan,200", "3,Kurt,300", max_rejected=1.0)
    bench.run(source)
    ids = [id_ for (id_,) in bench.query("SELECT id FROM etl.rejected ORDER BY id")]
    bench.query('UPDATE etl.rejected SET correction = \'{"age": "41"}\' WHERE id = %s', ids[0])
    result = bench.run_job(definitions({"people": source}), "replay", config=replay_config("people", ids[:1]))
    assert result.success
    assert bench.query("SELECT id, age FROM core.people ORDER BY id") == [(1, 36), (2, 41)]
    records = bench.instance.get_records_for_run(result.run_id, of_type=dg.DagsterEventType.ASSET_OBSERVATION).records
    (event,) = [record.event_log_entry.dagster_event for record in records]
    assert event is not None
    metadata = event.asset_observation_data.asset_observation.metadata
    assert (metadata["replayed"].value, metadata["still rejected"].value) == (1, 0)
    assert bench.query("SELECT status, read FROM etl.run WHERE run_id = %s", result.run_id) == [("succeeded", 1)]


def test_a_replay_of_a_source_that_is_not_declared_names_those_that_are(bench: Bench) -> None:
    result = bench.run_job(definitions({"people": bench.declare()}), "replay", config=replay_config("poeple"))
    assert "Known are people" in error_of(result)


def test_a_replay_waits_for_a_run_that_holds_its_partition(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from etl_assets.graph import retries

    monkeypatch.setattr(retries, "FIRST_WAIT", 0.01)
    source = bench.people("1,Ada,200", max_rejected=1.0)
    bench.run(source)
    with bench.locked("people"):
        result = bench.run_job(definitions({"people": source}), "replay", config=replay_config("people"))
    assert len([event for event in result.all_events if event.is_step_up_for_retry]) == retries.RETRIES
    assert not result.success
    assert bench.query("SELECT status, error_class FROM etl.run WHERE run_id = %s", result.run_id) == [
        ("failed", "BusyError")
    ]
