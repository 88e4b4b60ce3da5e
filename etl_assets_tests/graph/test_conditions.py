"""Assets that follow others: by partition, also after downtime, and never after a failed blocking check."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd
import pytest
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.events import DagsterEvent
from dagster._core.utils import make_new_run_id

from etl_assets import After, Column, Csv, Daily, Expectation, FileExtractor, Monthly, References, Schema, Static
from etl_assets.graph.build import definitions, location
from etl_assets.graph.jobs import source_job
from etl_assets.graph.partitions import partitions_definition
from etl_assets.graph.run_config import replay_config
from etl_assets.graph.triggers.conditions import follow
from etl_assets.graph.triggers.lineage import comes_after, parents
from etl_assets.source_files import SourceFile

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from etl_assets import Source
    from etl_assets_tests.graph.conftest import Bench

_DAYS = Daily(start=date(2024, 1, 1))
_BLOCKING = ("rejected_share", "conservation")


@dataclass
class Automation:
    """Evaluates the conditions tick by tick, as Dagster's daemon does; by default on 5 January 2024."""

    instance: dg.DagsterInstance
    built: dg.Definitions
    cursor: Any = None
    at: datetime = datetime(2024, 1, 5, 6, tzinfo=UTC)
    results: list[Any] = field(default_factory=list)

    def tick(self, *, day: int | None = None) -> dict[str, AbstractSet[str | None]]:
        """Evaluate all conditions once, on a day of the month; return the requested partitions by asset."""
        if day is not None:
            self.at = self.at.replace(day=day)
        result = dg.evaluate_automation_conditions(
            defs=self.built,
            instance=self.instance,
            asset_selection=dg.AssetSelection.all(),
            cursor=self.cursor,
            evaluation_time=self.at,
        )
        self.cursor = result.cursor
        return {
            key.to_user_string(): requested
            for key in self.built.resolve_asset_graph().materializable_asset_keys
            if (requested := result.get_requested_partitions(key))
        }

    def load(self, name: str, partition: str | None = None, *, passed: bool = True) -> None:
        """Report what a run of a source reports: the table is materialized, and its blocking checks have a result."""
        key = dg.AssetKey(["core", name])
        self.instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))
        wanted = dg.AssetRecordsFilter(key, asset_partitions=[partition] if partition else None)
        (record,) = self.instance.fetch_materializations(wanted, limit=1).records
        target = AssetCheckEvaluationTargetMaterializationData(
            storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
        )
        run_id = make_new_run_id()
        for check in _BLOCKING:
            evaluation = dg.AssetCheckEvaluation(
                key, check, passed or check != "conservation", {}, target, partition=partition
            )
            event = DagsterEvent("ASSET_CHECK_EVALUATION", name, event_specific_data=evaluation)
            self.instance.report_dagster_event(event, run_id)


def automation_of(bench: Bench, *sources: Source, marts: tuple[dg.AssetsDefinition, ...] = ()) -> Automation:
    """Return the automation of sources and of assets written by hand."""
    module = ModuleType("by_hand")
    for number, mart in enumerate(marts):
        setattr(module, f"mart_{number}", mart)
    return Automation(
        bench.instance,
        definitions({source.name: source for source in sources}, {SourceFile("by_hand", "by_hand.py"): module}),
    )


def _chain(name: str, *partitions: str | None) -> dict[str, AbstractSet[str | None]]:
    return {f"{layer}/{name}": set(partitions) for layer in ("landing", "core", "quarantine")}


def test_all_assets_of_a_source_are_requested_once_its_upstream_is_loaded(bench: Bench) -> None:
    automation = automation_of(bench, bench.declare(name="up"), bench.declare(name="down", trigger=After("core/up")))
    assert automation.tick() == {}
    automation.load("up")
    assert automation.tick() == _chain("down", None)
    assert automation.tick() == {}


def _daily(bench: Bench, **changes: Any) -> Automation:
    up = bench.declare(name="up", partitions=_DAYS)
    return automation_of(bench, up, bench.declare(name="down", partitions=_DAYS, trigger=After("core/up"), **changes))


def test_a_day_is_requested_once_the_same_day_upstream_is_loaded(bench: Bench) -> None:
    automation = _daily(bench)
    automation.tick()
    automation.load("up", "2024-01-02")
    assert automation.tick() == _chain("down", "2024-01-02")


@pytest.mark.parametrize(("oldest", "follows"), [(None, True), (50, True), (40, False)])
def test_an_asset_follows_a_replay_if_the_blocking_expectations_are_met_afterwards(
    bench: Bench,
    oldest: int | None,
    follows: bool,  # noqa: FBT001 -- a parameter of the test
) -> None:
    @dg.asset(key_prefix="marts", deps=[["core", "people"]], automation_condition=follow())
    def ages() -> None:
        """Follow people."""

    nobody_is_older = Expectation(
        "expect_column_max_to_be_between", name="nobody_is_older", column="age", max_value=oldest or 0, blocking=True
    )
    expectations = () if oldest is None else (nobody_is_older,)
    source = bench.people("1,Ada,36", "2,Alan,200", max_rejected=1.0, expectations=expectations)
    automation = automation_of(bench, source, marts=(ages,))
    automation.tick()
    assert bench.run_job(automation.built, "people").success
    assert automation.tick() == {"marts/ages": {None}}
    bench.instance.report_runless_asset_event(dg.AssetMaterialization(["marts", "ages"]))
    assert automation.tick() == {}
    bench.query('UPDATE etl.rejected SET correction = \'{"age": "41"}\'')
    assert bench.run_job(automation.built, "replay", config=replay_config("people")).success
    assert automation.tick() == ({"marts/ages": {None}} if follows else {})


def test_days_loaded_before_the_first_evaluation_are_not_requested(bench: Bench) -> None:
    automation = _daily(bench)
    for day in (1, 2, 3):
        automation.load("up", f"2024-01-0{day}")
    assert automation.tick() == {}
    assert automation.tick() == {}


def test_all_days_loaded_between_two_evaluations_are_requested(bench: Bench) -> None:
    automation = _daily(bench)
    automation.tick(day=3)
    for day in (1, 2, 3, 4):
        automation.load("up", f"2024-01-0{day}")
    assert automation.tick(day=5) == _chain("down", *(f"2024-01-0{day}" for day in (1, 2, 3, 4)))


def test_a_day_whose_check_failed_is_not_released_by_a_later_day_that_passed(bench: Bench) -> None:
    automation = _daily(bench)
    automation.tick()
    automation.load("up", "2024-01-01")
    automation.load("up", "2024-01-02", passed=False)
    assert automation.tick() == _chain("down", "2024-01-01")
    automation.load("up", "2024-01-03")
    assert automation.tick() == _chain("down", "2024-01-03")
    assert automation.tick() == {}
    automation.load("up", "2024-01-02")
    assert automation.tick() == _chain("down", "2024-01-02")


def test_a_new_day_waits_for_the_same_day_upstream(bench: Bench) -> None:
    automation = _daily(bench)
    automation.tick(day=4)
    assert automation.tick(day=5) == {}
    automation.load("up", "2024-01-04")
    assert automation.tick() == _chain("down", "2024-01-04")


def test_a_month_waits_for_all_of_its_days(bench: Bench) -> None:
    up = bench.declare(name="up", partitions=Daily(start=date(2024, 1, 30)))
    down = bench.declare(name="down", partitions=Monthly(start=date(2023, 1, 1)), trigger=After("core/up"))
    automation = automation_of(bench, up, down)
    automation.at = datetime(2024, 2, 5, 6, tzinfo=UTC)
    automation.tick()
    automation.load("up", "2024-01-30")
    assert automation.tick() == {}
    automation.load("up", "2024-01-31")
    assert automation.tick() == _chain("down", "2024-01-01")


def test_an_upstream_of_all_days_requests_the_newest_day_and_the_new_days(bench: Bench) -> None:
    automation = automation_of(
        bench, bench.declare(name="up"), bench.declare(name="down", partitions=_DAYS, trigger=After("core/up"))
    )
    automation.tick(day=3)
    automation.load("up")
    assert automation.tick() == _chain("down", "2024-01-02")
    automation.load("up", passed=False)
    assert automation.tick(day=6) == {}
    automation.load("up")
    assert automation.tick() == _chain("down", "2024-01-03", "2024-01-04", "2024-01-05")


def test_an_upstream_of_all_named_partitions_requests_all_of_them(bench: Bench) -> None:
    down = bench.declare(name="down", partitions=Static(("a", "b")), trigger=After("core/up"))
    automation = automation_of(bench, bench.declare(name="up"), down)
    automation.tick()
    automation.load("up")
    assert automation.tick() == _chain("down", "a", "b")


def test_nothing_is_requested_while_an_upstream_run_is_under_way(bench: Bench) -> None:
    automation = _daily(bench)
    automation.tick()
    automation.load("up", "2024-01-02")
    run = bench.instance.create_run_for_job(
        source_job(automation.built, "up"),
        tags={"dagster/partition": "2024-01-02"},
        status=dg.DagsterRunStatus.STARTED,
    )
    assert automation.tick() == {}
    bench.instance.report_run_canceled(run)
    automation.load("up", "2024-01-02")
    assert automation.tick() == _chain("down", "2024-01-02")


def test_a_load_upstream_between_a_request_and_the_next_evaluation_is_not_lost(bench: Bench) -> None:
    automation = _daily(bench)
    automation.tick()
    automation.load("up", "2024-01-02")
    assert automation.tick() == _chain("down", "2024-01-02")
    automation.load("up", "2024-01-02")
    assert automation.tick() == _chain("down", "2024-01-02")
    assert automation.tick() == {}


def test_a_day_loaded_by_hand_after_its_upstream_is_not_requested(bench: Bench) -> None:
    automation = _daily(bench)
    automation.tick()
    automation.load("up", "2024-01-02")
    for layer in ("landing", "core"):
        key = dg.AssetKey([layer, "down"])
        bench.instance.report_runless_asset_event(dg.AssetMaterialization(key, partition="2024-01-02"))
    assert automation.tick() == {}


def test_after_real_runs_neither_a_refused_day_nor_one_with_a_failed_check_is_released(bench: Bench) -> None:
    extractor = FileExtractor(location=str(bench.folder / "{key}.csv"), format=Csv(), settle_seconds=0)
    no_three = Expectation(
        "expect_column_values_to_not_be_in_set", name="no_three", blocking=True, column="id", value_set=[3]
    )
    up = bench.declare(name="up", partitions=_DAYS, extractor=extractor, expectations=(no_three,))
    down = bench.declare(name="down", partitions=_DAYS, extractor=extractor, trigger=After("core/up"))
    automation = automation_of(bench, up, down)
    automation.tick()
    for day, age in ((1, 36), (2, 999), (3, 36), (4, 36)):
        (bench.folder / f"2024-01-0{day}.csv").write_text(f"id,name,age\n{day},Ada,{age}\n")
    succeeded = {day: bench.run_job(automation.built, "up", f"2024-01-0{day}").success for day in (1, 2, 3, 4)}
    assert succeeded == {1: True, 2: False, 3: False, 4: True}
    assert "2024-01-03" in bench.instance.get_materialized_partitions(dg.AssetKey(["core", "up"]))
    assert automation.tick() == _chain("down", "2024-01-01", "2024-01-04")


def _mart() -> dg.AssetsDefinition:
    @dg.asset(
        key=["marts", "both"],
        deps=[["core", "up"], ["core", "whole"]],
        partitions_def=partitions_definition(_DAYS, "up"),
        metadata={"key": ["id"]},
        automation_condition=follow(),
    )
    def both() -> pd.DataFrame:
        return pd.DataFrame({"id": [1]})

    return both


def test_an_asset_written_by_hand_follows_a_change_of_a_day_and_of_an_upstream_of_all_days(bench: Bench) -> None:
    up, whole = bench.declare(name="up", partitions=_DAYS), bench.declare(name="whole")
    automation = automation_of(bench, up, whole, marts=(_mart(),))
    automation.load("up", "2024-01-01")
    automation.load("whole")
    assert automation.tick() == {}
    automation.load("up", "2024-01-02")
    automation.load("up", "2024-01-03", passed=False)
    assert automation.tick() == {"marts/both": {"2024-01-02"}}
    automation.load("whole")
    assert automation.tick() == {"marts/both": {"2024-01-01", "2024-01-02"}}


def test_an_asset_written_by_hand_is_requested_together_with_a_source_that_comes_after_another(bench: Bench) -> None:
    sources = [
        bench.declare(name="first", partitions=_DAYS),
        bench.declare(name="up", partitions=_DAYS, trigger=After("core/first")),
        bench.declare(name="whole"),
    ]
    automation = automation_of(bench, *sources, marts=(_mart(),))
    automation.load("whole")
    automation.tick()
    automation.load("first", "2024-01-02")
    assert automation.tick() == {**_chain("up", "2024-01-02"), "marts/both": {"2024-01-02"}}


def test_a_trigger_with_an_unknown_asset_is_refused_with_the_known_ones(bench: Bench) -> None:
    sources = {"up": bench.declare(name="up"), "down": bench.declare(name="down", trigger=After("core/upp"))}
    broken = location(sources, {}).broken["down"].problem
    assert "names core/upp, which does not exist" in broken
    assert "Name one of core/up, landing/up, quarantine/up" in broken


def test_parents_exclude_sources_that_the_trigger_names_and_references_that_close_a_cycle(
    bench: Bench,
) -> None:
    def referring(name: str, table: str, **changes: Any) -> Source:
        columns = (Column("id", "integer", required=True), Column("to", "integer", references=References(table)))
        return bench.declare(name=name, schema=Schema(columns=columns, key=("id",)), **changes)

    sources = {
        "up": referring("up", "core.down.id"),
        "down": referring("down", "core.up.id", trigger=After("core/up")),
    }
    assert parents(sources) == {"down": (), "up": ()}
    assert comes_after(sources) == {"down": ("up",), "up": ()}
    definitions(sources).resolve_asset_graph()


def test_a_switched_on_sensor_evaluates_every_asset(bench: Bench) -> None:
    sensor = definitions({"people": bench.declare()}).resolve_sensor_def("automation")
    assert isinstance(sensor, dg.AutomationConditionSensorDefinition)
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    assert not sensor.emit_backfills
    assert str(sensor.asset_selection) == str(dg.AssetSelection.all())
