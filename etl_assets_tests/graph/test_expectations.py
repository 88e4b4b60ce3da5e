"""Declared expectations as asset checks, and the audit, in Dagster."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from etl_assets import Column, Csv, Expectation, FileExtractor, Schema, Static
from etl_assets.audit.data_docs import page_of
from etl_assets.graph.assets.audit import audit_job, audit_schedule, data_docs
from etl_assets.graph.assets.expectations import expectation_checks
from etl_assets.graph.assets.io_manager import PostgresIOManager
from etl_assets.graph.assets.source_assets import source_assets
from etl_assets.graph.jobs import source_job
from etl_assets.graph.keys import WAREHOUSE
from etl_assets.graph.resource import WarehouseResource
from etl_assets.graph.run_config import audit_config
from etl_assets.graph.runs import retries
from etl_assets_tests.graph.conftest import error_of, materialized

if TYPE_CHECKING:
    from dagster._core.execution.execute_in_process_result import ExecuteInProcessResult

    from etl_assets import Source
    from etl_assets_tests.graph.conftest import Bench

YOUNG = Expectation("expect_column_values_to_be_between", name="young", column="age", max_value=40)
FEW = Expectation("expect_table_row_count_to_be_between", name="few", max_value=2, blocking=True)


def built(source: Source) -> dg.Definitions:
    return dg.Definitions(
        assets=source_assets(source),
        asset_checks=expectation_checks(source),
        resources={WAREHOUSE: WarehouseResource(), "io_manager": PostgresIOManager()},
        executor=dg.in_process_executor,
    )


def run(bench: Bench, source: Source, partition: str | None = None) -> ExecuteInProcessResult:
    return bench.run_job(built(source), source.name, partition)


def audit(bench: Bench, *sources: Source, names: tuple[str, ...] = ()) -> ExecuteInProcessResult:
    return audit_job({source.name: source for source in sources}).execute_in_process(
        run_config=audit_config(names),
        instance=bench.instance,
        resources={WAREHOUSE: WarehouseResource()},
        raise_on_error=False,
    )


def observed(result: ExecuteInProcessResult) -> dict[str, dg.AssetObservation]:
    observations = [
        event.asset_observation_data.asset_observation
        for event in result.all_events
        if event.event_type_value == "ASSET_OBSERVATION"
    ]
    return {observation.asset_key.to_user_string(): observation for observation in observations}


def rows_of(value: dg.MetadataValue) -> list[dict[str, Any]]:
    assert isinstance(value, dg.TableMetadataValue)
    return [dict(record.data) for record in value.records]


def test_a_source_without_expectations_has_no_step_for_them(bench: Bench) -> None:
    assert expectation_checks(bench.declare()) == []


def test_each_expectation_is_a_check_of_the_table_in_the_sources_own_job(bench: Bench) -> None:
    source = bench.declare(expectations=(YOUNG, FEW), partitions=Static(("a", "b")))
    (step,) = expectation_checks(source)
    specs = {spec.name: spec for spec in step.check_specs}
    assert list(specs) == ["young", "few"]
    assert {spec.asset_key for spec in specs.values()} == {dg.AssetKey(["core", "people"])}
    assert {spec.partitions_def for spec in specs.values()} == {dg.StaticPartitionsDefinition(["a", "b"])}
    assert [spec.blocking for spec in specs.values()] == [False, True]
    assert "max_value=40" in (specs["young"].description or "")
    assert step.op.pool == "people"
    assert step.op.name in {node.name for node in source_job(built(source), "people").nodes}


def test_an_unmet_expectation_is_a_warning_with_the_keys_of_the_rows(bench: Bench) -> None:
    source = bench.people("1,Ann,30", "2,Bo,41", "3,Cy,NA", expectations=(YOUNG,))
    result = run(bench, source)
    assert result.success
    check = bench.checks(result)["young"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.description == "1 of 3 rows do not meet it."
    assert check.metadata["failed records"].value == 1
    assert rows_of(check.metadata["keys of the first of them"]) == [{"id": "2"}]
    assert bench.query(
        "SELECT passed, blocking, failed_records, records, delivery_id FROM etl.check_result WHERE name = 'young'"
    ) == [(False, False, 1, 3, 1)]


def test_an_unmet_blocking_expectation_fails_the_run_and_stops_later_steps(bench: Bench) -> None:
    source = bench.people("1,Ann,30", "2,Bo,41", "3,Cy,NA", expectations=(FEW,))
    result = run(bench, source)
    assert not result.success
    assert materialized(result) == ["landing/people", "core/people"]
    assert "core.people was loaded, but is not as expected: few" in error_of(result)
    check = bench.checks(result)["few"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert bench.query("SELECT status, error_class FROM etl.run") == [("failed", "LoadError")]
    assert bench.query("SELECT count(*) FROM core.people") == [(3,)]


def test_expectations_of_a_partition_validate_only_its_own_rows(bench: Bench) -> None:
    for key, lines in (("a", "1,Ann,30\n"), ("b", "2,Bo,41\n3,Cy,42\n")):
        (bench.folder / f"{key}.csv").write_text(f"id,name,age\n{lines}")
    source = bench.declare(
        expectations=(YOUNG, FEW),
        partitions=Static(("a", "b")),
        extractor=FileExtractor(location=str(bench.folder / "{key}.csv"), format=Csv(), settle_seconds=0),
    )
    later, first = run(bench, source, "b"), run(bench, source, "a")
    assert (later.success, first.success) == (True, True)
    assert bench.checks(first)["young"].passed
    assert bench.checks(first)["young"].partition == "a"
    assert bench.checks(later)["young"].metadata["failed records"].value == 2
    assert bench.query("SELECT partition, passed, records FROM etl.check_result WHERE name = 'young' ORDER BY 1") == [
        ("a", True, 1),
        ("b", False, 2),
    ]


def test_a_lost_connection_is_retried(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "RETRIES", 1)
    monkeypatch.setattr(retries, "FIRST_WAIT", 0.0)
    dying = "SELECT pg_terminate_backend(pg_backend_pid()) FROM {batch}"
    source = bench.people(
        "1,Ann,30", expectations=(Expectation("unexpected_rows_expectation", name="x", unexpected_rows_query=dying),)
    )
    result = run(bench, source)
    (retry,) = [event for event in result.all_events if event.event_type_value == "STEP_UP_FOR_RETRY"]
    assert "TransientLoadError" in str(retry.event_specific_data)
    assert "TransientLoadError" in error_of(result)


def test_a_missing_table_fails_every_expectation(bench: Bench) -> None:
    source = bench.declare(expectations=(YOUNG,))
    (step,) = expectation_checks(source)
    definitions = dg.Definitions(
        asset_checks=[step],
        jobs=[dg.define_asset_job("alone", dg.AssetSelection.checks(step))],
        resources={WAREHOUSE: WarehouseResource()},
    )
    result = bench.run_job(definitions, "alone")
    assert "There is no table core.people" in (bench.checks(result)["young"].description or "")


@pytest.fixture
def loaded(bench: Bench) -> Source:
    columns = (
        Column("id", "integer", required=True, minimum=1),
        Column("name", "text", required=True, pattern="[A-Z][a-z]+"),
        Column("age", "integer", maximum=150),
    )
    source = bench.people("1,Ann,30", "2,Bo,41", schema=Schema(columns, key=("id",)))
    assert run(bench, source).success
    return source


def test_an_audit_of_a_table_as_declared_passes_and_shows_the_path_of_its_page(bench: Bench, loaded: Source) -> None:
    result = audit(bench, loaded)
    assert result.success
    (key, observation), *_ = observed(result).items()
    assert (key, observation.description) == ("core/people", "The table is as declared.")
    metadata: dict[str, Any] = dict(observation.metadata)
    assert metadata["rows"].value == 2
    assert metadata["expectations"].value == metadata["expectations met"].value == 10
    assert metadata["data docs"] == data_docs("people")
    assert page_of(bench.folder / "home", "people").read_text("utf-8").count("as declared")
    assert bench.query("SELECT name, passed, records FROM etl.check_result WHERE name = 'audit'") == [
        ("audit", True, 2)
    ]


def test_a_table_changed_by_hand_fails_the_audit_after_all_tables_are_checked(bench: Bench, loaded: Source) -> None:
    other = bench.declare(name="others")
    bench.query("UPDATE core.people SET name = 'bo', age = 200 WHERE id = 2")
    result = audit(bench, loaded, other)
    assert not result.success
    assert "Not as declared: core.people." in error_of(result)
    (observation,) = observed(result).values()
    records = rows_of(observation.metadata["not as declared"])
    assert [record["rule"] for record in records] == ["name__pattern", "age__maximum"]
    assert records[0]["found"] == "1 of 2 rows do not meet it."
    assert rows_of(observation.metadata["keys: age__maximum"]) == [{"id": "2"}]
    assert bench.query("SELECT passed, blocking, failed_records FROM etl.check_result WHERE name = 'audit'") == [
        (False, False, 1)
    ]
    alerts = bench.query("SELECT rule, subject, status FROM etl.alert")
    assert alerts == [("check_failed", "audit", "open")]


def test_a_row_deleted_by_hand_fails_the_audit_with_what_to_do(bench: Bench, loaded: Source) -> None:
    bench.query("DELETE FROM core.people WHERE id = 2")
    (observation,) = observed(audit(bench, loaded)).values()
    (record,) = rows_of(observation.metadata["not as declared"])
    assert record["rule"] == "record__row_count"
    assert record["found"].startswith("It has 1 rows, and the ledger 2. Somebody changed the table by hand:")


def test_an_audit_checks_the_declared_expectations_over_the_whole_table(bench: Bench) -> None:
    own = Expectation("etl_assets_tests.audit.own_expectations:ExpectColumnValuesToBeAnAge", column="age")
    source = bench.people("1,Ann,30", "2,Bo,41", "3,Cy,42", expectations=(YOUNG, own))
    run(bench, source)
    (observation,) = observed(audit(bench, source)).values()
    (record,) = rows_of(observation.metadata["not as declared"])
    assert (record["rule"], record["found"]) == ("young", "2 of 3 rows do not meet it.")


def test_an_audit_asks_a_table_of_partitions_only_what_each_row_must_meet(bench: Bench) -> None:
    for key, line in (("a", "1,Ann,30"), ("b", "2,Bo,41"), ("c", "3,Cy,30")):
        (bench.folder / f"{key}.csv").write_text(f"id,name,age\n{line}\n")
    source = bench.declare(
        expectations=(YOUNG, FEW),
        partitions=Static(("a", "b", "c")),
        extractor=FileExtractor(location=str(bench.folder / "{key}.csv"), format=Csv(), settle_seconds=0),
    )
    for key in ("a", "b", "c"):
        run(bench, source, key)
    (observation,) = observed(audit(bench, source)).values()
    assert [record["rule"] for record in rows_of(observation.metadata["not as declared"])] == ["young"]


def test_an_alert_about_an_audit_is_resolved_when_the_table_is_as_declared_again(bench: Bench, loaded: Source) -> None:
    bench.query("UPDATE core.people SET age = 200 WHERE id = 2")
    audit(bench, loaded)
    bench.query("UPDATE core.people SET age = 20 WHERE id = 2")
    audit(bench, loaded)
    assert bench.query("SELECT rule, status FROM etl.alert") == [("check_failed", "resolved")]


def test_an_audit_leaves_out_a_column_that_is_declared_and_not_loaded_yet(bench: Bench, loaded: Source) -> None:
    columns = (*loaded.schema.columns, Column("town", "text", required=True, pattern="[A-Z].*"))
    rule = Expectation("expect_column_values_to_not_be_null", name="town_is_known", column="town")
    changed = replace(loaded, schema=Schema(columns, key=("id",)), expectations=(rule,))
    result = audit(bench, changed)
    assert result.success
    (observation,) = observed(result).values()
    assert observation.description == "The table is as declared. Not loaded yet, and not checked: town."
    assert "not as declared" not in observation.metadata
    assert "column town. The next load adds it." in page_of(bench.folder / "home", "people").read_text("utf-8")
    assert bench.query("SELECT count(*) FROM etl.alert") == [(0,)]


def test_data_docs_say_how_many_records_wait_and_which_partitions_are_missing(bench: Bench) -> None:
    for key, line in (("a", "1,Ann,30"), ("b", "x,Bo,41"), ("c", "3,Cy,30")):
        (bench.folder / f"{key}.csv").write_text(f"id,name,age\n{line}\n")
    source = bench.declare(
        max_rejected=1.0,
        partitions=Static(("a", "b", "c", "d")),
        extractor=FileExtractor(location=str(bench.folder / "{key}.csv"), format=Csv(), settle_seconds=0),
    )
    for key in ("b", "c"):
        run(bench, source, key)
    audit(bench, source)
    page = page_of(bench.folder / "home", "people")
    text, index = page.read_text("utf-8"), (page.parents[1] / "index.html").read_text("utf-8")
    assert "<dt>Records that wait</dt><dd>1</dd>" in text
    assert "<p>Missing partitions: a.</p>" in text  # nobody has declared that d must be there already
    assert index.count('<td class="number">1</td>') == 3  # of the rows too


def test_an_audit_finds_columns_changed_by_hand(bench: Bench, loaded: Source) -> None:
    bench.query("ALTER TABLE core.people ALTER COLUMN age TYPE numeric, DROP COLUMN name")
    (observation,) = observed(audit(bench, loaded)).values()
    records = rows_of(observation.metadata["not as declared"])
    found = {record["rule"]: record["found"] for record in records}
    assert found["age__type"] == "The observed value is NUMERIC."
    assert {"name__type", "name__required", "name__pattern"} <= found.keys()


def test_an_audit_checks_only_the_named_sources(bench: Bench, loaded: Source) -> None:
    assert observed(audit(bench, loaded, bench.declare(name="others"), names=("others",))) == {}
    refused = audit(bench, loaded, names=("peeple",))
    assert "There is no source 'peeple'. Nothing was audited. Known are people." in error_of(refused)


def test_the_schedule_of_the_audit_is_switched_on_and_audits_all_sources(bench: Bench, loaded: Source) -> None:
    schedule = audit_schedule(audit_job({"people": loaded}))
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    with dg.build_schedule_context(instance=bench.instance) as context:
        (request,) = schedule.evaluate_tick(context).run_requests or ()
    assert request.run_config == {}
