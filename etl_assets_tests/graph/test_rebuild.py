"""The job `rebuild` builds the table of a source again, compares it, and puts it in place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dagster as dg
import psycopg

from etl_assets import Column
from etl_assets.graph.build import definitions
from etl_assets_tests.graph.conftest import error_of

if TYPE_CHECKING:
    from dagster._core.execution.execute_in_process_result import ExecuteInProcessResult

    from etl_assets import Source
    from etl_assets_tests.graph.conftest import Bench


def run(bench: Bench, source: Source, name: str = "people", **config: bool) -> ExecuteInProcessResult:
    wanted = {"ops": {"rebuild_table": {"config": {"source": name, **config}}}}
    return bench.run_job(definitions({"people": source}), "rebuild", config=wanted)


def query(bench: Bench, question: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(bench.url, autocommit=True) as connection:
        return connection.execute(question.encode()).fetchall()


def test_a_changed_type_is_put_in_place_and_materialized(bench: Bench) -> None:
    source = bench.people("1,Ann,30", "2,Bo,40")
    assert bench.run(source).success
    columns = (*source.schema.columns[:2], Column("age", "text"))
    changed = replace(source, schema=replace(source.schema, columns=columns))
    assert not bench.run(changed).success
    result = run(bench, changed, verify=True, swap=True)
    assert result.success
    assert query(bench, "SELECT id, age FROM core.people ORDER BY 1") == [(1, "30"), (2, "40")]
    keys = [event.asset_key for event in result.get_asset_materialization_events()]
    assert dg.AssetKey(["core", "people"]) in keys
    assert query(bench, "SELECT source, job, status FROM etl.run ORDER BY id DESC LIMIT 1") == [
        ("people", "rebuild", "succeeded")
    ]


def test_a_table_that_differs_fails_the_run_and_stays(bench: Bench) -> None:
    source = bench.people("1,Ann,30", "2,Bo,40")
    assert bench.run(source).success
    query(bench, "WITH done AS (DELETE FROM core.people WHERE id = 1 RETURNING 1) SELECT * FROM done")
    result = run(bench, source, verify=True, swap=True)
    assert not result.success
    assert "1 rows of core.people differ" in error_of(result)
    assert query(bench, "SELECT id FROM core.people") == [(2,)]


def test_a_source_that_is_not_declared_is_named(bench: Bench) -> None:
    result = run(bench, bench.people("1,Ann,30"), "peeple")
    assert "There is no source 'peeple'. Nothing was done. Known are people." in error_of(result)
