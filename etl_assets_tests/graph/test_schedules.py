"""Schedules request complete partitions that are not loaded or failed, and none with a run under way."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from etl_assets import Cron, Csv, Daily, FileExtractor, Files, Static
from etl_assets.graph.build import definitions
from etl_assets.graph.jobs import source_job
from etl_assets.graph.keys import RUNS_PER_TICK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets import Source
    from etl_assets_tests.graph.conftest import Bench

_AT = datetime(2024, 1, 4, 6, tzinfo=UTC)


@pytest.fixture
def instance(dagster_home: str) -> Iterator[dg.DagsterInstance]:
    """An instance with a home: Dagster evaluates schedules in another process, which opens the instance again."""
    with dg.DagsterInstance.local_temp(dagster_home) as local:
        yield local


def _tick(bench: Bench, source: Source, at: datetime = _AT) -> dg.ScheduleExecutionData:
    built = definitions({source.name: source})
    schedule = built.resolve_schedule_def(f"{source.name}_schedule")
    with dg.build_schedule_context(
        instance=bench.instance, scheduled_execution_time=at, repository_def=built.get_repository_def()
    ) as context:
        return schedule.evaluate_tick(context)


def _requested(bench: Bench, source: Source, at: datetime = _AT) -> list[str | None]:
    return [request.partition_key for request in _tick(bench, source, at).run_requests or []]


def _materialize(bench: Bench, *partitions: str) -> None:
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


def test_a_cron_trigger_is_a_switched_on_schedule(bench: Bench) -> None:
    built = definitions({"people": bench.declare(trigger=Cron("0 6 * * 1", zone="Europe/Paris"))})
    schedule = built.resolve_schedule_def("people_schedule")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 6 * * 1", "Europe/Paris")
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert schedule.job_name == "__ASSET_JOB"


def test_a_source_without_a_trigger_has_no_schedule(bench: Bench) -> None:
    built = definitions({"people": bench.declare()})
    assert not built.get_repository_def().has_schedule_def("people_schedule")


def test_a_feed_without_partitions_is_requested_at_every_tick(bench: Bench) -> None:
    assert _requested(bench, bench.declare(trigger=Cron("0 6 * * *"))) == [None]


def test_a_tick_requests_every_complete_partition_that_was_never_loaded_oldest_first(bench: Bench) -> None:
    source = _daily(bench)
    assert _requested(bench, source) == ["2024-01-01", "2024-01-02", "2024-01-03"]
    _materialize(bench, "2024-01-02")
    assert _requested(bench, source) == ["2024-01-01", "2024-01-03"]


def test_a_tick_requests_the_newest_partition_again_when_all_are_loaded(bench: Bench) -> None:
    _materialize(bench, "2024-01-01", "2024-01-02", "2024-01-03")
    assert _requested(bench, _daily(bench)) == ["2024-01-03"]


def test_a_tick_before_the_first_partition_is_complete_is_skipped_with_a_reason(bench: Bench) -> None:
    data = _tick(bench, _daily(bench), datetime(2024, 1, 1, 6, tzinfo=UTC))
    assert not data.run_requests
    assert "no partition that is complete" in (data.skip_message or "")


def test_a_long_history_is_requested_in_several_ticks(bench: Bench) -> None:
    requested = _requested(bench, _daily(bench), datetime(2026, 1, 1, tzinfo=UTC))
    assert len(requested) == RUNS_PER_TICK
    assert requested[0] == "2024-01-01"


def test_named_partitions_are_requested_in_their_declared_order(bench: Bench) -> None:
    source = _daily(bench)
    source = bench.declare(extractor=source.extractor, partitions=Static(names=("z", "a")), trigger=source.trigger)
    assert _requested(bench, source) == ["z", "a"]


def test_a_tick_finds_new_files_and_requests_them_in_the_order_of_their_rank(bench: Bench) -> None:
    for name in ("12-2023.csv", "01-2024.csv"):
        (bench.folder / name).write_text("id,name\n1,Ada\n")
    source = bench.declare(
        extractor=FileExtractor(location=str(bench.folder / "*.csv"), format=Csv(), settle_seconds=0),
        partitions=Files(rank=lambda name: name[3:7] + name[:2]),
        trigger=Cron("0 6 * * *"),
    )
    assert _requested(bench, source) == ["12-2023.csv", "01-2024.csv"]
    assert bench.run(source, "12-2023.csv").success
    assert _requested(bench, source) == ["01-2024.csv"]


def test_a_partition_whose_run_failed_is_requested_again_after_those_never_tried(bench: Bench) -> None:
    source = _daily(bench)
    for day, age in (("2024-01-01", 999), ("2024-01-02", 36)):
        (bench.folder / f"{day}.csv").write_text(f"id,name,age\n1,Ada,{age}\n")
        bench.run(source, day)
    assert _requested(bench, source) == ["2024-01-03", "2024-01-01"]


def test_a_loaded_partition_whose_last_run_failed_is_requested_again(bench: Bench) -> None:
    source = _daily(bench)
    for age in (36, 999):
        for day in (1, 2, 3):
            if age == 36 or day == 2:
                (bench.folder / f"2024-01-0{day}.csv").write_text(f"id,name,age\n1,Ada,{age}\n")
                bench.run(source, f"2024-01-0{day}")
    assert _requested(bench, source) == ["2024-01-02"]


def test_a_partition_with_a_run_under_way_is_not_requested(bench: Bench) -> None:
    source = _daily(bench)
    job = source_job(definitions({"people": source}), "people")
    for day in (1, 2, 3):
        bench.instance.create_run_for_job(
            job, tags={"dagster/partition": f"2024-01-0{day}"}, status=dg.DagsterRunStatus.STARTED
        )
    assert _requested(bench, source) == []
