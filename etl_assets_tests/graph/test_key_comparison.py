"""The check ``keys_at_source`` of tables whose keys are compared with those of their source."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import dagster as dg
import pytest

from etl_assets import Column, DatabaseExtractor, KeyComparison, Schema
from etl_assets.graph.build import definitions
from etl_assets_tests.graph.conftest import materialized

if TYPE_CHECKING:
    from etl_assets import Source
    from etl_assets_tests.graph.conftest import Bench

DAILY = KeyComparison(timedelta(days=1))
FORCED = {"ops": {"core__people": {"config": {"compare_keys": True}}}}
SCHEMA = Schema((Column("id", "text", required=True, sensitive=True), Column("name", "text")), ("id",))


def write(bench: Bench, *statements: str) -> None:
    with closing(sqlite3.connect(bench.folder / "people.db")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def people(bench: Bench) -> Source:
    """Twenty people in a database, with keys that nobody may see."""
    numbers = ", ".join(f"('secret-{number}', 'Ada')" for number in range(20))
    write(bench, "CREATE TABLE people (id TEXT PRIMARY KEY, name TEXT)", f"INSERT INTO people VALUES {numbers}")
    url = f"sqlite:///{bench.folder / 'people.db'}"
    return bench.declare(extractor=DatabaseExtractor(url, table="people", key_comparison=DAILY), schema=SCHEMA)


def run(bench: Bench, source: Source, config: dict[str, Any] | None = None) -> dg.AssetCheckEvaluation:
    result = bench.run_job(definitions({source.name: source}), source.name, None, config)
    assert result.success
    assert materialized(result) == ["landing/people", "core/people", "quarantine/people"]
    return bench.checks(result)["keys_at_source"]


def test_a_run_compares_keys_and_shows_numbers_and_no_keys(bench: Bench, people: Source) -> None:
    check = run(bench, people)
    assert (check.passed, check.blocking, check.severity) == (True, False, dg.AssetCheckSeverity.WARN)
    write(bench, "DELETE FROM people WHERE id = 'secret-7'")
    check = run(bench, people, FORCED)
    assert check.passed
    assert "Newly absent: 1 of 20 rows; back: 0; absent in all: 1." in (check.description or "")
    assert {name: value.value for name, value in check.metadata.items()} == {"records": 20, "failed records": 1}
    query = "SELECT id FROM core.people JOIN etl.absent_at_source USING (_delivery_id, _record_no)"
    assert bench.query(query) == [("secret-7",)]
    shown = [repr(bench.instance.all_logs(result.run_id)) for result in bench.results]
    assert "keys were listed" in shown[-1]
    assert "secret-" not in "".join(shown)
    assert "secret-7" not in repr(bench.query("SELECT * FROM etl.check_result"))


def test_a_run_in_which_none_is_due_shows_the_last_comparison(bench: Bench, people: Source) -> None:
    run(bench, people)
    write(bench, "DELETE FROM people WHERE id = 'secret-7'")
    run(bench, people, FORCED)
    write(bench, "INSERT INTO people VALUES ('secret-20', 'Eve')")
    check = run(bench, people)
    assert "absent in all: 1." in (check.description or "")
    assert bench.query("SELECT count(*) FROM etl.key_comparison") == [(2,)]


def test_a_run_in_which_a_comparison_is_due_is_not_unchanged(bench: Bench, people: Source) -> None:
    run(bench, people)
    assert materialized(bench.run(people)) == []
    bench.query("UPDATE etl.key_comparison SET began_at = began_at - interval '2 days'")
    run(bench, people)
    assert bench.query("SELECT count(*) FROM etl.key_comparison") == [(2,)]


def test_too_many_absent_keys_fail_the_check_and_not_the_run(bench: Bench, people: Source) -> None:
    run(bench, people)
    write(bench, "DELETE FROM people WHERE id > 'secret-15'")
    check = run(bench, people, FORCED)
    assert not check.passed
    assert "more than max_absent. None was entered" in (check.description or "")
    assert bench.query("SELECT count(*) FROM etl.absent_row") == [(0,)]
    stored = bench.query("SELECT passed, blocking FROM etl.check_result WHERE name = 'keys_at_source' ORDER BY id")
    assert stored == [(True, False), (False, False)]


def test_an_unreadable_key_fails_the_check(bench: Bench, people: Source) -> None:
    numbers = Schema((Column("id", "integer", required=True), Column("name", "text")), ("id",))
    source = replace(people, schema=numbers, max_rejected=1.0)
    check = run(bench, source)
    assert not check.passed
    assert "20 of them are not written as declared" in (check.description or "")
    assert bench.query("SELECT failed_records, records FROM etl.check_result WHERE name = 'keys_at_source'") == [
        (20, 20)
    ]


def test_keys_that_cannot_be_listed_fail_the_check_and_not_the_run(bench: Bench, people: Source) -> None:
    extractor = cast("DatabaseExtractor", people.extractor)
    gone = replace(people, extractor=Unlisted(extractor.url, table="people", key_comparison=DAILY))
    check = run(bench, gone)
    assert not check.passed
    assert "the next run tries again. DeliveryMissingError: " in (check.description or "")
    assert bench.query("SELECT count(*) FROM core.people") == [(20,)]
    assert run(bench, people).passed


class Unlisted(DatabaseExtractor):
    """A database whose table is gone when its keys are listed."""

    def of_keys(self, names: Any) -> DatabaseExtractor:
        return replace(super().of_keys(names), table="people_before")


def test_a_source_that_declares_no_comparison_has_no_check(bench: Bench) -> None:
    assert "keys_at_source" not in bench.checks(bench.run(bench.people("1,Ada,36")))
