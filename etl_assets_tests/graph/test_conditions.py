"""Assets that follow others: partition by partition, after downtime too, and never after a check that failed."""

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

from etl_assets import After, Column, Csv, Daily, FileExtractor, Files, Monthly, References, Schema, Static
from etl_assets.errors import DeclarationError
from etl_assets.graph.build import definitions
from etl_assets.graph.partitions import partitions_definition
from etl_assets.graph.triggers.conditions import follow
from etl_assets.graph.triggers.lineage import comes_after, parents

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from etl_assets import Source
    from etl_assets_tests.graph.conftest import Bench

_DAYS = Daily(start=date(2024, 1, 1))
_BLOCKING = ("rejected_share", "conservation")


@dataclass
class Looks:
    """Dagster's look at the conditions, again and again; a day passes from the fifth to the sixth of January."""

    instance: dg.DagsterInstance
    built: dg.Definitions
    cursor: Any = None
    at: datetime = datetime(2024, 1, 5, 6, tzinfo=UTC)
    results: list[Any] = field(default_factory=list)

    def poll(self, *, day: int | None = None) -> dict[str, AbstractSet[str | None]]:
        """The partitions asked for, by asset."""
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
            key.to_user_string(): asked
            for key in self.built.resolve_asset_graph().materializable_asset_keys
            if (asked := result.get_requested_partitions(key))
        }

    def loaded(self, name: str, partition: str | None = None, *, passed: bool = True) -> None:
        """As after a run of a source: the table is materialized, and its blocking checks have a result."""
        key = dg.AssetKey(["core", name])
        self.instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))
        wanted = dg.AssetRecordsFilter(key, asset_partitions=[partition] if partition else None)
        (record,) = self.instance.fetch_materializations(wanted, limit=1).records
        target = AssetCheckEvaluationTargetMaterializationData(
            storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
        )
        run_id = make_new_run_id()
        for check in _BLOCKING:
            found = dg.AssetCheckEvaluation(
                key, check, passed or check != "conservation", {}, target, partition=partition
            )
            event = DagsterEvent("ASSET_CHECK_EVALUATION", name, event_specific_data=found)
            self.instance.report_dagster_event(event, run_id)


def _looks(bench: Bench, *sources: Source, marts: tuple[dg.AssetsDefinition, ...] = ()) -> Looks:
    module = ModuleType("by_hand")
    for number, mart in enumerate(marts):
        setattr(module, f"mart_{number}", mart)
    return Looks(bench.instance, definitions({source.name: source for source in sources}, [module]))


def _chain(name: str, *partitions: str | None) -> dict[str, AbstractSet[str | None]]:
    return {f"{layer}/{name}": set(partitions) for layer in ("landing", "core", "quarantine")}


def test_a_source_is_asked_for_whole_once_what_it_comes_after_is_loaded(bench: Bench) -> None:
    looks = _looks(bench, bench.declare(name="up"), bench.declare(name="down", trigger=After("core/up")))
    assert looks.poll() == {}
    looks.loaded("up")
    assert looks.poll() == _chain("down", None)
    assert looks.poll() == {}


def _daily(bench: Bench, **changes: Any) -> Looks:
    up = bench.declare(name="up", partitions=_DAYS)
    return _looks(bench, up, bench.declare(name="down", partitions=_DAYS, trigger=After("core/up"), **changes))


def test_a_day_is_asked_for_once_the_same_day_upstream_is_loaded(bench: Bench) -> None:
    looks = _daily(bench)
    looks.poll()
    looks.loaded("up", "2024-01-02")
    assert looks.poll() == _chain("down", "2024-01-02")


def test_what_was_loaded_before_anybody_looked_is_not_asked_for(bench: Bench) -> None:
    looks = _daily(bench)
    for day in (1, 2, 3):
        looks.loaded("up", f"2024-01-0{day}")
    assert looks.poll() == {}
    assert looks.poll() == {}


def test_days_that_were_loaded_while_nobody_looked_are_all_asked_for(bench: Bench) -> None:
    looks = _daily(bench)
    looks.poll(day=3)
    for day in (1, 2, 3, 4):
        looks.loaded("up", f"2024-01-0{day}")
    assert looks.poll(day=5) == _chain("down", *(f"2024-01-0{day}" for day in (1, 2, 3, 4)))


def test_a_day_whose_check_failed_is_not_released_by_a_later_day_that_passed(bench: Bench) -> None:
    looks = _daily(bench)
    looks.poll()
    looks.loaded("up", "2024-01-01")
    looks.loaded("up", "2024-01-02", passed=False)
    assert looks.poll() == _chain("down", "2024-01-01")
    looks.loaded("up", "2024-01-03")
    assert looks.poll() == _chain("down", "2024-01-03")
    assert looks.poll() == {}
    looks.loaded("up", "2024-01-02")
    assert looks.poll() == _chain("down", "2024-01-02")


def test_a_new_day_waits_for_the_same_day_upstream(bench: Bench) -> None:
    looks = _daily(bench)
    looks.poll(day=4)
    assert looks.poll(day=5) == {}
    looks.loaded("up", "2024-01-04")
    assert looks.poll() == _chain("down", "2024-01-04")


def test_a_month_waits_for_all_of_its_days(bench: Bench) -> None:
    up = bench.declare(name="up", partitions=Daily(start=date(2024, 1, 30)))
    down = bench.declare(name="down", partitions=Monthly(start=date(2023, 1, 1)), trigger=After("core/up"))
    looks = _looks(bench, up, down)
    looks.at = datetime(2024, 2, 5, 6, tzinfo=UTC)
    looks.poll()
    looks.loaded("up", "2024-01-30")
    assert looks.poll() == {}
    looks.loaded("up", "2024-01-31")
    assert looks.poll() == _chain("down", "2024-01-01")


def test_what_every_day_depends_on_asks_for_the_newest_day_and_for_those_that_came_since(bench: Bench) -> None:
    looks = _looks(
        bench, bench.declare(name="up"), bench.declare(name="down", partitions=_DAYS, trigger=After("core/up"))
    )
    looks.poll(day=3)
    looks.loaded("up")
    assert looks.poll() == _chain("down", "2024-01-02")
    looks.loaded("up", passed=False)
    assert looks.poll(day=6) == {}
    looks.loaded("up")
    assert looks.poll() == _chain("down", "2024-01-03", "2024-01-04", "2024-01-05")


def test_named_partitions_are_all_asked_for_by_what_all_depend_on(bench: Bench) -> None:
    down = bench.declare(name="down", partitions=Static(("a", "b")), trigger=After("core/up"))
    looks = _looks(bench, bench.declare(name="up"), down)
    looks.poll()
    looks.loaded("up")
    assert looks.poll() == _chain("down", "a", "b")


def test_a_run_under_way_upstream_is_waited_for(bench: Bench) -> None:
    looks = _daily(bench)
    looks.poll()
    looks.loaded("up", "2024-01-02")
    run = bench.instance.create_run_for_job(
        looks.built.resolve_job_def("up"), tags={"dagster/partition": "2024-01-02"}, status=dg.DagsterRunStatus.STARTED
    )
    assert looks.poll() == {}
    bench.instance.report_run_canceled(run)
    looks.loaded("up", "2024-01-02")
    assert looks.poll() == _chain("down", "2024-01-02")


def test_what_is_loaded_upstream_between_a_request_and_the_next_look_is_not_lost(bench: Bench) -> None:
    looks = _daily(bench)
    looks.poll()
    looks.loaded("up", "2024-01-02")
    assert looks.poll() == _chain("down", "2024-01-02")
    looks.loaded("up", "2024-01-02")
    assert looks.poll() == _chain("down", "2024-01-02")
    assert looks.poll() == {}


def test_what_was_loaded_by_hand_after_its_upstream_is_not_asked_for(bench: Bench) -> None:
    looks = _daily(bench)
    looks.poll()
    looks.loaded("up", "2024-01-02")
    for layer in ("landing", "core"):
        key = dg.AssetKey([layer, "down"])
        bench.instance.report_runless_asset_event(dg.AssetMaterialization(key, partition="2024-01-02"))
    assert looks.poll() == {}


def test_a_refused_delivery_asks_for_nothing_and_a_failed_check_of_a_real_run_holds_its_day_alone(bench: Bench) -> None:
    extractor = FileExtractor(location=str(bench.folder / "{key}.csv"), format=Csv(), settle_seconds=0)
    up = bench.declare(name="up", partitions=_DAYS, extractor=extractor)
    down = bench.declare(name="down", partitions=_DAYS, extractor=extractor, trigger=After("core/up"))
    looks = _looks(bench, up, down)
    looks.poll()
    for day, age in ((1, 36), (2, 999), (3, 36), (4, 36)):
        (bench.folder / f"2024-01-0{day}.csv").write_text(f"id,name,age\n{day},Ada,{age}\n")
    ran = {day: bench.run_job(looks.built, "up", f"2024-01-0{day}").success for day in (1, 2)}
    bench.query("CREATE TABLE kept AS SELECT * FROM core.up")
    bench.query("DELETE FROM core.up")
    ran[3] = bench.run_job(looks.built, "up", "2024-01-03").success
    bench.query("INSERT INTO core.up SELECT * FROM kept")
    ran[4] = bench.run_job(looks.built, "up", "2024-01-04").success
    assert ran == {1: True, 2: False, 3: False, 4: True}
    assert "2024-01-03" in bench.instance.get_materialized_partitions(dg.AssetKey(["core", "up"]))
    assert looks.poll() == _chain("down", "2024-01-01", "2024-01-04")


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


def test_an_asset_written_by_hand_follows_each_day_and_all_days_where_all_depend_on_what_changed(bench: Bench) -> None:
    up, whole = bench.declare(name="up", partitions=_DAYS), bench.declare(name="whole")
    looks = _looks(bench, up, whole, marts=(_mart(),))
    looks.loaded("up", "2024-01-01")
    looks.loaded("whole")
    assert looks.poll() == {}
    looks.loaded("up", "2024-01-02")
    looks.loaded("up", "2024-01-03", passed=False)
    assert looks.poll() == {"marts/both": {"2024-01-02"}}
    looks.loaded("whole")
    assert looks.poll() == {"marts/both": {"2024-01-01", "2024-01-02"}}


def test_an_asset_written_by_hand_is_computed_in_the_run_of_a_source_that_comes_after_another(bench: Bench) -> None:
    sources = [
        bench.declare(name="first", partitions=_DAYS),
        bench.declare(name="up", partitions=_DAYS, trigger=After("core/first")),
        bench.declare(name="whole"),
    ]
    looks = _looks(bench, *sources, marts=(_mart(),))
    looks.loaded("whole")
    looks.poll()
    looks.loaded("first", "2024-01-02")
    assert looks.poll() == {**_chain("up", "2024-01-02"), "marts/both": {"2024-01-02"}}


@pytest.mark.parametrize(
    ("named", "said"),
    [("core/upp", "names core/upp, an asset that is none"), ("core/down", "names core/down, an asset that is its own")],
)
def test_an_asset_that_is_not_there_fails_the_declaration_with_those_that_are(
    bench: Bench, named: str, said: str
) -> None:
    sources = {"up": bench.declare(name="up"), "down": bench.declare(name="down", trigger=After(named))}
    with pytest.raises(DeclarationError, match=said) as caught:
        definitions(sources)
    assert "Name one of core/up, landing/up, quarantine/up" in str(caught.value)


def test_a_source_of_files_cannot_come_after_another(bench: Bench) -> None:
    extractor = FileExtractor(location=str(bench.folder / "*.csv"), format=Csv())
    down = bench.declare(name="down", extractor=extractor, partitions=Files(), trigger=After("core/up"))
    with pytest.raises(DeclarationError, match="OnChange"):
        definitions({"up": bench.declare(name="up"), "down": down})


def test_what_a_trigger_names_is_not_referred_to_as_well_and_a_reference_that_closes_a_circle_is_left_out(
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


def test_every_asset_is_looked_at_by_a_sensor_that_is_switched_on(bench: Bench) -> None:
    sensor = definitions({"people": bench.declare()}).resolve_sensor_def("automation")
    assert isinstance(sensor, dg.AutomationConditionSensorDefinition)
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    assert not sensor.emit_backfills
    assert str(sensor.asset_selection) == str(dg.AssetSelection.all())
