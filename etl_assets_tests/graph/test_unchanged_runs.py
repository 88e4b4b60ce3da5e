"""A run with nothing to do ends as unchanged: it materializes nothing, and the verdict before stands."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd
import pytest

from etl_assets import Cron, Csv, Expectation, FileExtractor, Monthly
from etl_assets.graph.build import definitions
from etl_assets.graph.runs.ended_runs import reconcile
from etl_assets.graph.triggers.conditions import follow
from etl_assets.postgres.connection import connected
from etl_assets.source_files import SourceFile
from etl_assets_tests.graph.conftest import error_of, materialized

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dagster._core.execution.execute_in_process_result import ExecuteInProcessResult

    from etl_assets import Partition, Source
    from etl_assets_tests.graph.conftest import Bench

_GOOD = ("1,Ada,36", "2,Alan,41")
_BAD = "x,Secret Name,200"
_CORE = dg.AssetKey(["core", "people"])
_ADULTS = Expectation("expect_column_values_to_be_between", column="age", min_value=18, name="adults")


@dataclass(frozen=True)
class _NotPolled(FileExtractor):
    """Files of a publisher that gives no validators."""

    def poll(self, partition: Partition) -> Mapping[str, str] | None:  # noqa: ARG002 -- as it is defined
        return None


@dataclass(frozen=True)
class _Calling(FileExtractor):
    """An extractor with a function, as that of dlt."""

    resource: Callable[[], int] = field(kw_only=True)


@dataclass(frozen=True)
class _Stumbling(FileExtractor):
    """Files whose poll has a mistake."""

    def poll(self, partition: Partition) -> Mapping[str, str] | None:  # noqa: ARG002 -- as it is defined
        raise KeyError("size")


def _observations(result: ExecuteInProcessResult) -> list[dg.AssetObservation]:
    events = [event for event in result.all_events if event.event_type == dg.DagsterEventType.ASSET_OBSERVATION]
    return [event.asset_observation_data.asset_observation for event in events]


def _config(step: str, **config: Any) -> dict[str, Any]:
    return {"ops": {f"{step}__people": {"config": config}}}


def _run(bench: Bench, source: Source, config: dict[str, Any]) -> ExecuteInProcessResult:
    return bench.run_job(definitions({source.name: source}), source.name, config=config)


def test_a_run_that_finds_the_same_file_materializes_nothing_and_is_shown_as_an_observation(bench: Bench) -> None:
    source = bench.people(*_GOOD)
    bench.run(source)
    before = bench.query("SELECT ctid, xmin, t.* FROM core.people t ORDER BY id")
    result = bench.run(source)
    assert result.success
    assert materialized(result) == []
    assert bench.query("SELECT ctid, xmin, t.* FROM core.people t ORDER BY id") == before
    (observation,) = _observations(result)
    assert observation.asset_key == _CORE
    assert observation.metadata["status"].value == "unchanged"
    assert observation.metadata["delivery"].value == 1


def test_the_history_has_an_unchanged_run_with_the_delivery_its_time_and_the_verdict(bench: Bench) -> None:
    source = bench.people(*_GOOD)
    first, second, third = (bench.run(source).run_id for _ in range(3))
    ((fetched_at,),) = bench.query("SELECT fetched_at FROM etl.delivery")
    assert bench.query(
        "SELECT run_id, status, delivery_id, unchanged_since, verdict_run_id, ended_at IS NULL FROM etl.run ORDER BY id"
    ) == [
        (first, "succeeded", 1, None, None, False),
        (second, "succeeded", 1, fetched_at, first, False),
        (third, "succeeded", 1, fetched_at, first, False),
    ]
    assert bench.query("SELECT DISTINCT run_id FROM etl.check_result") == [(first,)]


def test_an_unchanged_run_fetches_nothing(bench: Bench) -> None:
    source = bench.people(*_GOOD)
    bench.run(source)
    path = bench.folder / "people.csv"
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_text(path.read_text().replace("Ada", "Eve"))
    os.utime(path, ns=times)
    assert materialized(bench.run(source)) == []
    assert bench.query("SELECT name FROM core.people WHERE id = 1") == [("Ada",)]


def test_a_run_that_is_to_fetch_compares_the_hash(bench: Bench) -> None:
    source = bench.people(*_GOOD)
    bench.run(source)
    path = bench.folder / "people.csv"
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    assert materialized(_run(bench, source, _config("landing", fetch=True))) == []
    path.write_text(path.read_text().replace("Ada", "Eve"))
    os.utime(path, ns=times)
    assert "core/people" in materialized(_run(bench, source, _config("landing", fetch=True)))
    assert bench.query("SELECT name FROM core.people WHERE id = 1") == [("Eve",)]


def test_the_same_bytes_with_another_time_are_unchanged_and_the_time_is_entered(bench: Bench) -> None:
    source = bench.people(*_GOOD)
    bench.run(source)
    os.utime(bench.folder / "people.csv", ns=(1, 1))
    assert materialized(bench.run(source)) == []
    assert bench.query("SELECT manifest -> 'validators' ->> 'modified' FROM etl.delivery") == [("1",)]


def test_a_publisher_without_validators_is_fetched_and_compared_by_the_hash(bench: Bench) -> None:
    extractor = _NotPolled(location=str(bench.folder / "people.csv"), format=Csv(), settle_seconds=0)
    source = bench.people(*_GOOD, extractor=extractor)
    bench.run(source)
    assert materialized(bench.run(source)) == []
    bench.people(*_GOOD, "3,Eve,20")
    assert "core/people" in materialized(bench.run(source))


def test_a_failed_check_that_stops_no_run_stands(bench: Bench) -> None:
    source = bench.people(*_GOOD, _BAD, max_rejected=0.5)
    first, second = bench.run(source), bench.run(source)
    assert materialized(second) == []
    results = [{name: check.passed for name, check in bench.checks(run).items()} for run in (first, second)]
    assert results[0] == results[1]
    assert results[1]["values__id"] is False
    assert "values__id" in str(_observations(second)[0].metadata["failed checks"].value)


@pytest.mark.parametrize(
    ("step", "config"),
    [
        ("core", {"force": True}),
        ("core", {"batches": [1]}),
        ("core", {"compare_keys": True}),
        ("core", {"accept_deletes": True}),
        ("landing", {"full": True}),
    ],
)
def test_a_run_that_is_asked_for_more_does_it(bench: Bench, step: str, config: dict[str, Any]) -> None:
    source = bench.people(*_GOOD)
    bench.run(source)
    assert "core/people" in materialized(_run(bench, source, _config(step, **config)))


def test_a_file_brought_by_hand_is_never_unchanged(bench: Bench) -> None:
    source = bench.people(*_GOOD)
    bench.run(source)
    config = _config("landing", file=str(bench.folder / "people.csv"))
    assert "core/people" in materialized(_run(bench, source, config))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE etl.delivery SET status = 'loading'",
        "UPDATE etl.delivery SET needs_reload = true",
        "UPDATE etl.run SET status = 'failed'",
        "UPDATE etl.run SET status = 'crashed'",
        "UPDATE etl.check_result SET passed = false WHERE name = 'conservation'",
        "DELETE FROM etl.check_result",
    ],
)
def test_work_that_is_left_is_done_though_nothing_new_is_published(bench: Bench, statement: str) -> None:
    source = bench.people(*_GOOD)
    bench.run(source)
    bench.query(statement)
    assert "core/people" in materialized(bench.run(source))
    assert materialized(bench.run(source)) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"max_rejected": 0.3},
        {"expectations": (_ADULTS,)},
        {"extractor": {"null": ("NA", "-")}},
    ],
)
def test_a_declaration_that_may_end_a_run_otherwise_makes_a_whole_run(bench: Bench, changes: dict[str, Any]) -> None:
    bench.run(bench.people(*_GOOD))
    if "extractor" in changes:
        location = str(bench.folder / "people.csv")
        changes = {"extractor": FileExtractor(location=location, format=Csv(**changes["extractor"]), settle_seconds=0)}
    source = bench.declare(**changes)
    assert "core/people" in materialized(bench.run(source))
    assert materialized(bench.run(source)) == []


def test_a_function_in_the_declaration_of_an_extractor_has_the_same_fingerprint_in_each_process(bench: Bench) -> None:
    def declared() -> Source:
        def resource() -> int:
            return 1

        return bench.declare(extractor=_Calling(location="people.csv", format=Csv(), resource=resource))

    assert declared().verdict_fingerprint == declared().verdict_fingerprint


def test_an_expectation_that_failed_is_evaluated_again(bench: Bench) -> None:
    source = bench.people("1,Ada,3", expectations=(_ADULTS,))
    bench.run(source)
    result = bench.run(source)
    assert "core/people" in materialized(result)
    assert bench.checks(result)["adults"].passed is False


def test_an_expectation_that_was_met_stands(bench: Bench) -> None:
    source = bench.people(*_GOOD, expectations=(_ADULTS,))
    bench.run(source)
    result = bench.run(source)
    assert materialized(result) == []
    assert bench.checks(result)["adults"].passed


def test_a_table_that_dagster_has_never_seen_is_materialized(bench: Bench) -> None:
    source = bench.people(*_GOOD)
    bench.run(source)
    bench.instance.wipe_assets([_CORE])
    assert "core/people" in materialized(bench.run(source))


def test_each_partition_is_unchanged_by_itself(bench: Bench) -> None:
    location = str(bench.folder / "{start:%Y-%m}.csv")
    source = bench.declare(
        extractor=FileExtractor(location=location, format=Csv(), settle_seconds=0),
        partitions=Monthly(start=date(2024, 1, 1)),
    )
    for month in (1, 2):
        (bench.folder / f"2024-0{month}.csv").write_text(f"id,name,age\n{month},Ada,36\n")
        bench.run(source, f"2024-0{month}-01")
    (bench.folder / "2024-02.csv").write_text("id,name,age\n2,Eve,36\n3,Alan,40\n")
    january, february = bench.run(source, "2024-01-01"), bench.run(source, "2024-02-01")
    assert (materialized(january), "core/people" in materialized(february)) == ([], True)
    assert [observation.partition for observation in _observations(january)] == ["2024-01-01"]


def test_results_that_stand_are_not_entered_a_second_time_when_the_run_is_reconciled(bench: Bench) -> None:
    source = bench.people(*_GOOD)
    bench.run(source)
    result = bench.run(source)
    (record,) = bench.instance.get_run_records(dg.RunsFilter(run_ids=[result.run_id]))
    with connected(bench.url) as connection:
        reconcile(connection, bench.instance, record, {"people": source})
    assert bench.query("SELECT count(DISTINCT run_id) FROM etl.check_result") == [(1,)]


class TestDownstream:
    """What follows a source, after an unchanged run of it."""

    @pytest.fixture
    def built(self, bench: Bench) -> dg.Definitions:
        module = ModuleType("by_hand")
        ins = {name: dg.AssetIn(key=["core", name]) for name in ("people", "others")}
        source = bench.people(*_GOOD)

        @dg.asset(key_prefix="marts", ins=ins, automation_condition=follow(), metadata={"key": ["id"]})
        def both(people: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
            return pd.concat([people, others])

        module.both = both  # type: ignore[attr-defined]
        (bench.folder / "others.csv").write_text("id,name,age\n9,Zoe,30\n")
        extractor = FileExtractor(location=str(bench.folder / "others.csv"), format=Csv(), settle_seconds=0)
        sources = {"people": source, "others": bench.declare(name="others", extractor=extractor)}
        return definitions(sources, {SourceFile("by_hand", "by_hand.py"): module})

    def _tick(self, bench: Bench, built: dg.Definitions, cursor: Any = None) -> Any:
        return dg.evaluate_automation_conditions(
            defs=built, instance=bench.instance, asset_selection=dg.AssetSelection.all(), cursor=cursor
        )

    def test_nothing_follows_an_unchanged_run(self, bench: Bench, built: dg.Definitions) -> None:
        for name in ("people", "others"):
            bench.run_job(built, name)
        cursor = self._tick(bench, built).cursor
        assert materialized(bench.run_job(built, "people")) == []
        assert self._tick(bench, built, cursor).total_requested == 0

    def test_an_unchanged_run_holds_back_nothing_that_follows_another_source(
        self, bench: Bench, built: dg.Definitions
    ) -> None:
        for name in ("people", "others"):
            bench.run_job(built, name)
        cursor = self._tick(bench, built).cursor
        assert materialized(bench.run_job(built, "people")) == []
        (bench.folder / "others.csv").write_text("id,name,age\n9,Zoe,31\n8,Max,20\n")
        assert "core/others" in materialized(bench.run_job(built, "others"))
        assert self._tick(bench, built, cursor).total_requested == 1


class TestSchedules:
    """Ticks at which there is nothing to do."""

    @pytest.fixture
    def instance(self, dagster_home: str) -> Iterator[dg.DagsterInstance]:
        with dg.DagsterInstance.local_temp(dagster_home) as local:
            yield local

    def test_a_tick_requests_a_run_to_report_why_a_poll_fails(self, bench: Bench) -> None:
        path = bench.folder / "people.csv"
        trigger = Cron("0 6 * * *")
        extractor = _Stumbling(location=str(path), format=Csv(), settle_seconds=0)
        source = bench.people(*_GOOD, extractor=extractor, trigger=trigger)
        bench.run(source)
        schedule = definitions({"people": source}).resolve_schedule_def("people_schedule")
        at = datetime(2024, 1, 4, 6, tzinfo=UTC)
        with dg.build_schedule_context(instance=bench.instance, scheduled_execution_time=at) as context:
            assert len(schedule.evaluate_tick(context).run_requests or ()) == 1
        result = bench.run(source)
        assert not result.success
        assert "KeyError" in error_of(result)

    def test_a_tick_that_finds_nothing_new_requests_no_run_and_is_entered(self, bench: Bench) -> None:
        source = bench.people(*_GOOD, trigger=Cron("0 6 * * *"))
        bench.run(source)
        schedule = definitions({"people": source}).resolve_schedule_def("people_schedule")
        at = datetime(2024, 1, 4, 6, tzinfo=UTC)
        with dg.build_schedule_context(instance=bench.instance, scheduled_execution_time=at) as context:
            data = schedule.evaluate_tick(context)
        assert not data.run_requests
        assert "Nothing new" in (data.skip_message or "")
        assert bench.query("SELECT count(*) FROM etl.run WHERE unchanged_since IS NOT NULL") == [(1,)]
        assert bench.instance.fetch_observations(_CORE, limit=5).records
