"""The checks of rules: one for each column, one for records, one for each rule of one's own; the history by rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._serdes import serialize_value
from polars import col

from etl_assets import CheckFailed, Column, Rule, RuleInfo, Schema, UniqueTogether
from etl_assets.graph.assets.checks import core_specs
from etl_assets.graph.runs.watch_sensor import watch_sensor

if TYPE_CHECKING:
    from dagster._core.execution.execute_in_process_result import ExecuteInProcessResult

    from etl_assets import Source
    from etl_assets_tests.graph.conftest import Bench

_GOOD = ("1,Ada,36", "2,Alan,41")
_BAD = ("x,Secret Name,200", "4,Other Secret,300", "x,Third Secret,20", "y,Fourth Secret,4")


def _with_rules_of_its_own(bench: Bench, *lines: str, **changes: Any) -> Source:
    """Return the source of people with a rule of its own, and one over two columns."""
    grown = Rule("grown", col("age") > col("id"), "people are older than their number")
    schema = Schema(bench.declare().schema.columns, key=("id",), rules=(grown, UniqueTogether("name", "age")))
    return bench.people(*lines, schema=schema, **changes)


def _rules(check: dg.AssetCheckEvaluation) -> list[dict[str, Any]]:
    """Return the rows of the table of rules in the metadata of a check."""
    table = check.metadata["rules"]
    assert isinstance(table, dg.TableMetadataValue)
    return [dict(record.data) for record in table.records]


def _reported(bench: Bench, result: ExecuteInProcessResult) -> list[str]:
    """Return the names of the checks of ``core/people`` in the order in which a run reported them."""
    return [name for name, check in bench.checks(result).items() if check.asset_key.path == ["core", "people"]]


def test_there_is_a_check_for_each_column_for_records_and_for_each_rule_of_ones_own(bench: Bench) -> None:
    source = _with_rules_of_its_own(bench, *_GOOD)
    found = bench.checks(bench.run(source))
    assert set(found) == {
        *("values__id", "values__name", "values__age", "record", "grown", "name__age__unique"),
        *("shape", "rejected_share", "conservation", "drift", "volume", "distribution"),
    }
    assert all(check.passed for check in found.values())
    in_tables = [row["rule"] for check in found.values() if "rules" in check.metadata for row in _rules(check)]
    assert sorted([*in_tables, "grown", "name__age__unique"]) == sorted(rule.name for rule in source.rules)


def test_a_check_of_several_rules_is_described_by_what_they_require(bench: Bench) -> None:
    specs = {spec.name: spec.description for spec in core_specs(bench.declare(), None)}
    assert specs["values__age"] == "age is an integer; age is at most 150."
    assert "the record has as many fields as the header; " in (specs["record"] or "")


def test_a_rule_belongs_to_the_check_of_its_only_column_or_of_records_or_has_its_own() -> None:
    checks = {
        RuleInfo("age__maximum", "", ("age",)): "values__age",
        RuleInfo("code__check_digit", "", ("code",)): "values__code",
        RuleInfo("a__b__type", "", ("a__b",)): "values__a__b",
        RuleInfo("record__type", "", ("record",)): "values__record",
        RuleInfo("record__nul", ""): "record",
        RuleInfo("key__unique", "", ("id", "day")): "record",
        RuleInfo("grown", "", ("age",)): "grown",
        RuleInfo("a__b__unique", "", ("a", "b")): "a__b__unique",
        RuleInfo("checksum", ""): "checksum",
    }
    assert {rule: rule.check for rule in checks} == checks


def test_a_failed_check_of_a_column_names_the_worst_rule_first_and_has_places_and_no_contents(bench: Bench) -> None:
    result = bench.run(bench.people(*_GOOD, *_BAD, "0,Zero Secret,1", max_rejected=1.0))
    assert result.success
    check = bench.checks(result)["values__id"]
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert check.description == "3 of 7 records break id__type; id__minimum: 1."
    assert check.metadata["records"].value == 7
    assert check.metadata["failed records of the worst rule"].value == 3
    assert _rules(check) == [
        {
            "rule": "id__type",
            "requires that": "id is an integer",
            "failed records": 3,
            "first of them": "record 3 at :4; record 5 at :6; record 6 at :7",
        },
        {
            "rule": "id__minimum",
            "requires that": "id is at least 1",
            "failed records": 1,
            "first of them": "record 7 at :8",
        },
        {"rule": "id__required", "requires that": "id has a value", "failed records": 0, "first of them": ""},
    ]
    events = bench.instance.get_records_for_run(result.run_id).records
    assert not [event for event in events if "Secret" in serialize_value(event.event_log_entry)]


def test_a_rule_of_ones_own_shows_its_number_and_places_by_itself(bench: Bench) -> None:
    lines = ("1,Ada,36", "2,Alan,1", "3,Ada,36")
    result = bench.run(_with_rules_of_its_own(bench, *lines, max_rejected=1.0))
    assert result.success
    found = bench.checks(result)
    assert {name for name, check in found.items() if not check.passed} == {"grown", "name__age__unique"}
    assert found["grown"].description == "1 of 3 records break it: people are older than their number."
    assert found["grown"].metadata["failed records"].value == 1
    assert "record 2 at :3" in str(found["grown"].metadata["first of them"].value)
    assert "rules" not in found["grown"].metadata
    assert bench.query("SELECT rule, subject FROM etl.alert") == []


def test_checks_that_block_are_reported_first_and_then_those_that_failed(bench: Bench) -> None:
    result = bench.run(_with_rules_of_its_own(bench, *_GOOD, "3,Cy,2", "4,Di,200", max_rejected=1.0))
    names = _reported(bench, result)
    assert names[:2] == ["rejected_share", "conservation"]
    assert names[2:4] == ["values__age", "grown"]
    assert [name for (name,) in bench.query("SELECT name FROM etl.check_result WHERE id > 1 ORDER BY id LIMIT 3")] == [
        *("rejected_share", "conservation", "age__maximum")
    ]
    assert [spec.name for spec in core_specs(bench.declare(), None)][:2] == ["rejected_share", "conservation"]


def test_the_checks_of_a_refused_delivery_have_only_the_rules_that_are_known_to_be_broken(bench: Bench) -> None:
    result = bench.run(bench.people(*_GOOD, *_BAD))
    assert not result.success
    found = bench.checks(result)
    assert {name for name, check in found.items() if not check.passed} == {
        "rejected_share",
        "values__id",
        "values__age",
    }
    assert [row["rule"] for row in _rules(found["values__id"])] == ["id__type"]
    assert _reported(bench, result)[0] == "rejected_share"


def test_the_history_has_a_row_for_each_rule(bench: Bench) -> None:
    source = _with_rules_of_its_own(bench, *_GOOD, *_BAD, max_rejected=1.0)
    found = bench.checks(bench.run(source))
    rows = bench.query("SELECT name, passed, blocking, failed_records, records FROM etl.check_result")
    alone = {name for name, check in found.items() if "rules" not in check.metadata}
    assert sorted(name for name, *_ in rows) == sorted(alone | {rule.name for rule in source.rules})
    assert {name: failed for name, passed, _, failed, _ in rows if not passed} == {"id__type": 3, "age__maximum": 2}
    assert {name for name, _, blocking, *_ in rows if blocking} == {"shape", "rejected_share", "conservation"}


def test_the_history_of_rules_can_be_entered_from_what_dagster_shows(bench: Bench) -> None:
    source = _with_rules_of_its_own(bench, *_GOOD, *_BAD, max_rejected=1.0)
    bench.run(source)
    rules = [rule.name for rule in source.rules if rule.check != rule.name]
    query = "SELECT name, passed, blocking, failed_records, records FROM etl.check_result WHERE name = ANY (%s)"
    entered = sorted(bench.query(query, rules))
    assert len(entered) == len(rules)
    bench.query("DELETE FROM etl.check_result")
    bench.query("DELETE FROM etl.run")
    watch_sensor({source.name: source}).evaluate_tick(dg.build_sensor_context(instance=bench.instance))
    assert sorted(bench.query(query, rules)) == entered
    assert bench.query(query, [rule.check for rule in source.rules if rule.check != rule.name]) == []
    assert bench.query("SELECT count(*) FROM etl.alert") == [(0,)]


def test_a_broken_rule_of_a_column_opens_an_alert_with_its_name_its_numbers_and_its_places(bench: Bench) -> None:
    alerts = (CheckFailed(names=("age__maximum",)),)
    bench.run(bench.people(*_GOOD, *_BAD, max_rejected=1.0, alerts=alerts))
    assert bench.query("SELECT subject, summary, remedy FROM etl.alert") == [
        (
            "age__maximum",
            "2 of 6 records break it: age is at most 150. The first of them: record 3 at :4; record 4 at :5.",
            "Open the check values__age in Dagster; correct the feed, the declaration, or the check itself.",
        )
    ]
    bench.run(bench.people(*_GOOD, *_BAD[2:], max_rejected=1.0, alerts=alerts))
    assert bench.query("SELECT subject, status FROM etl.alert") == [("age__maximum", "resolved")]


def test_an_alert_rule_that_names_the_check_of_a_column_is_about_each_of_its_rules(bench: Bench) -> None:
    alerts = (CheckFailed(names=("values__id",)),)
    bench.run(bench.people(*_GOOD, *_BAD, "0,Zero,1", max_rejected=1.0, alerts=alerts))
    assert bench.query("SELECT subject FROM etl.alert ORDER BY 1") == [("id__minimum",), ("id__type",)]


def test_a_rule_that_is_reported_and_not_consented_to_opens_an_alert_of_its_own(bench: Bench) -> None:
    result = bench.run(bench.people(*_GOOD, "2,Alan,42"))
    assert result.success
    assert _rules(bench.checks(result)["record"])[0]["rule"] == "key__unique"
    assert bench.query("SELECT subject FROM etl.alert") == [("key__unique",)]


def test_what_a_rule_requires_is_cut_in_results_if_it_is_long(bench: Bench) -> None:
    schema = Schema(
        (Column("id", "integer", allowed=tuple(range(1, 1000)), required=True), Column("name", "text")),
        key=("id",),
        ignored=("age",),
    )
    result = bench.run(bench.people(*_GOOD, "0,Zero,1", schema=schema, max_rejected=1.0))
    requires = _rules(bench.checks(result)["values__id"])[0]["requires that"]
    assert requires.startswith("id is one of 1, 2, 3")
    assert len(requires) == 201
    ((text,),) = bench.query("SELECT description FROM etl.check_result WHERE name = 'id__allowed'")
    assert len(text) < 250
