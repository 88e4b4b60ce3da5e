"""Results of the auditor, and the contents that it must not show."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
from psycopg import sql

from etl_assets import Column, Expectation, Schema
from etl_assets.audit import library
from etl_assets.audit.auditor import open_auditor
from etl_assets.audit.results import SAMPLE
from etl_assets.errors import LoadError, TransientLoadError
from etl_assets.model.expectation_types import IN_DATABASE, OUTSIDE_DATABASE, ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.model.check_result import CheckResult

TABLE = "public.people"
PEOPLE = Schema(
    (
        Column("id", "integer", required=True),
        Column("order", "text"),
        Column("age", "integer"),
        Column("salary", "float", sensitive=True),
    ),
    key=("id",),
)
ROWS_OF_PEOPLE = [
    (1, "secret-a", 30, 1000.0, 1),
    (2, "secret-b", 200, 2000.0, 1),
    (3, None, None, None, 2),
    (4, "secret-d", -5, 9000.0, 2),
]


@pytest.fixture(scope="module")
def people(warehouse_url: str) -> str:
    with psycopg.connect(warehouse_url, autocommit=True) as connection:
        connection.execute(
            f'CREATE TABLE {TABLE} (id bigint PRIMARY KEY, "order" text, age bigint, salary float, _delivery_id bigint)'
        )
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {TABLE} VALUES (%s, %s, %s, %s, %s)", ROWS_OF_PEOPLE)
    return warehouse_url


def evaluate(
    url: str, *expectations: Expectation, schema: Schema = PEOPLE, deliveries: Sequence[int] | None = None
) -> list[CheckResult]:
    with open_auditor(url, schema, TABLE, deliveries) as table_auditor:
        return table_auditor.evaluate(expectations)


def between(column: str = "age", name: str = "", **changes: Any) -> Expectation:
    arguments: dict[str, Any] = {"column": column, "min_value": 0, "max_value": 150, **changes}
    return Expectation("expect_column_values_to_be_between", name=name, **arguments)


def test_rows_that_are_not_as_expected_are_counted_and_shown_by_their_keys(people: str) -> None:
    (result,) = evaluate(people, between())
    assert (result.passed, result.failed_records, result.records) == (False, 2, 4)
    assert result.keys == ({"id": 2}, {"id": 4})
    assert result.description == "2 of 4 rows do not meet it."


def test_an_expectation_that_is_met_has_no_description(people: str) -> None:
    (result,) = evaluate(people, between(max_value=300, min_value=-10))
    assert (result.passed, result.failed_records, result.keys, result.description) == (True, 0, (), "")


def test_an_expectation_with_mostly_is_met_if_enough_rows_are_as_expected(people: str) -> None:
    (result,) = evaluate(people, between(mostly=0.3))
    assert (result.passed, result.failed_records, result.keys) == (True, 2, ())


def test_an_audit_of_some_deliveries_reads_only_their_rows(people: str) -> None:
    (result,) = evaluate(people, between(), deliveries=[2])
    assert (result.failed_records, result.records, result.keys) == (1, 2, ({"id": 4},))
    (result,) = evaluate(people, Expectation("expect_table_row_count_to_equal", value=0), deliveries=[])
    assert (result.passed, result.observed) == (True, 0)


def test_an_observed_number_over_many_rows_is_shown(people: str) -> None:
    (result,) = evaluate(people, Expectation("expect_column_mean_to_be_between", column="age", max_value=10))
    assert (result.passed, result.observed, result.description) == (False, 75, "The observed value is 75.")


@pytest.mark.parametrize(
    "expectation",
    [
        Expectation("expect_column_max_to_be_between", column="age", max_value=10),
        Expectation("expect_column_mean_to_be_between", column="salary", max_value=10),
        Expectation("expect_column_distinct_values_to_be_in_set", column="order", value_set=["x"]),
        Expectation("expect_column_most_common_value_to_be_in_set", column="order", value_set=["x"]),
    ],
    ids=lambda expectation: expectation.name,
)
def test_the_contents_of_a_cell_are_never_shown(people: str, expectation: Expectation) -> None:
    (result,) = evaluate(people, expectation)
    assert (result.passed, result.observed, result.keys) == (False, None, ())
    assert result.description == "The table does not meet it."


def test_no_key_is_shown_if_one_of_its_columns_is_sensitive(people: str) -> None:
    hidden = Schema((Column("id", "integer", required=True, sensitive=True), *PEOPLE.columns[1:]), key=("id",))
    by_query = Expectation(ROWS, unexpected_rows_query="SELECT * FROM {batch} WHERE age > 150")
    results = evaluate(people, between(), by_query, schema=hidden)
    assert [(result.failed_records, result.keys) for result in results] == [(2, ()), (1, ())]


def test_only_the_keys_are_kept_of_the_rows_of_a_custom_query(people: str) -> None:
    (result,) = evaluate(people, Expectation(ROWS, unexpected_rows_query="SELECT * FROM {batch} WHERE age > 150"))
    assert (result.passed, result.failed_records, result.keys) == (False, 1, ({"id": 2},))


def test_at_most_as_many_keys_as_the_sample_are_shown(people: str) -> None:
    many = f"SELECT number AS id FROM generate_series(1, 3 * {SAMPLE}) AS number, (SELECT count(*) FROM {{batch}}) AS n"
    (result,) = evaluate(people, Expectation(ROWS, unexpected_rows_query=many))
    assert (result.failed_records, len(result.keys)) == (3 * SAMPLE, SAMPLE)


def test_quantiles_are_evaluated_though_the_library_cannot_serialize_their_result(people: str) -> None:
    median: dict[str, Any] = {"column": "age", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[0, 50]]}}
    lower: dict[str, Any] = {"column": "age", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[-9, -1]]}}
    kind = "expect_column_quantile_values_to_be_between"
    results = evaluate(people, Expectation(kind, **median), Expectation(kind, name="lower", **lower))
    assert [result.passed for result in results] == [True, False]
    json.dumps([asdict(result) for result in results])


def test_results_have_only_plain_values(people: str) -> None:
    results = evaluate(people, between(), Expectation("expect_column_stdev_to_be_between", column="age", max_value=1))
    assert json.loads(json.dumps([asdict(result) for result in results]))[0]["keys"] == [{"id": 2}, {"id": 4}]


@pytest.mark.parametrize(
    ("expectation", "text"),
    [
        (between(min_valu=3), "cannot be evaluated with these arguments: .*min_valu extra fields not permitted"),
        (between(column="order"), "cannot be evaluated"),
        (between(column="gone"), "cannot be evaluated"),
        (Expectation("no.such.module:Thing"), "No module named 'no'"),
        (Expectation("json:Thing"), "has no attribute 'Thing'"),
        (Expectation(ROWS, unexpected_rows_query="SELECT gone FROM {batch}"), r"UndefinedColumn \(42703\)"),
    ],
    ids=lambda value: value.name if isinstance(value, Expectation) else "",
)
def test_an_expectation_that_cannot_be_evaluated_is_not_met_and_does_not_affect_others(
    people: str, expectation: Expectation, text: str
) -> None:
    results = evaluate(people, between(name="before"), expectation, between(name="after", max_value=300, min_value=-9))
    assert [result.passed for result in results] == [False, False, True]
    assert re.search(text, results[1].description)


def test_a_custom_expectation_is_found_by_its_module_and_name(people: str) -> None:
    own = "etl_assets_tests.audit.own_expectations:ExpectColumnValuesToBeAnAge"
    (result,) = evaluate(people, Expectation(own, column="age"))
    assert (result.name, result.failed_records) == ("ExpectColumnValuesToBeAnAge__age", 2)


def test_contents_of_records_do_not_leak_into_results_logs_or_output(
    people: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    cast = 'SELECT id FROM {batch} WHERE "order"::integer > 1'
    results = evaluate(people, Expectation(ROWS, unexpected_rows_query=cast), between(column="order"))
    assert "InvalidTextRepresentation (22P02)" in results[0].description
    out, err = capfd.readouterr()
    assert "secret" not in "".join([str(results), caplog.text, out, err])
    assert (out, err) == ("", "")


def test_a_connection_that_breaks_off_raises_an_error_that_allows_a_retry(people: str) -> None:
    dying = Expectation(ROWS, unexpected_rows_query="SELECT pg_terminate_backend(pg_backend_pid()) FROM {batch}")
    with pytest.raises(TransientLoadError, match=r"public\.people .*AdminShutdown"):
        evaluate(people, dying)


def test_an_auditor_cannot_write(people: str) -> None:
    writing = Expectation(ROWS, unexpected_rows_query="SELECT lo_create(0) FROM {batch}")
    with pytest.raises(LoadError, match="ReadOnlySqlTransaction"):
        evaluate(people, writing)


def test_a_table_that_cannot_be_read_raises_a_load_error(warehouse_url: str) -> None:
    with pytest.raises(LoadError, match="UndefinedTable"), open_auditor(warehouse_url, PEOPLE, "core.nothing"):
        pass


def test_dollars_in_a_password_are_not_read_as_variables(people: str) -> None:
    password = "a$HOME${x}"
    with psycopg.connect(people, autocommit=True) as connection:
        connection.execute(
            sql.SQL("DROP ROLE IF EXISTS auditor; CREATE ROLE auditor LOGIN PASSWORD {}").format(sql.Literal(password))
        )
        connection.execute(f"GRANT SELECT ON {TABLE} TO auditor")
    parts = urlsplit(people)
    host = parts.netloc.rpartition("@")[2]
    (result,) = evaluate(parts._replace(netloc=f"auditor:{password}@{host}").geturl(), between())
    assert result.failed_records == 2


def test_a_url_may_omit_parameters_that_libpq_finds_elsewhere(people: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = urlsplit(people)
    monkeypatch.setenv("PGUSER", unquote(parts.username or ""))
    monkeypatch.setenv("PGPASSWORD", unquote(parts.password or ""))
    (result,) = evaluate(f"postgresql://{parts.path}?host={parts.hostname}&port={parts.port}", between())
    assert result.failed_records == 2


def test_many_expectations_are_evaluated_in_several_queries_and_returned_in_order(people: str) -> None:
    results = evaluate(
        people, *(between(name=f"n{number}", min_value=-5, max_value=199 + number) for number in range(250))
    )
    assert [result.failed_records for result in results] == [1] + [0] * 249
    assert [result.name for result in results] == [f"n{number}" for number in range(250)]


def test_the_names_that_a_declaration_may_use_are_those_of_the_library() -> None:
    library.load()
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    own = {"expect_column_values_to_be_an_age"}  # of the tests
    assert set(list_registered_expectation_implementations()) - own == IN_DATABASE | OUTSIDE_DATABASE
    assert not IN_DATABASE & OUTSIDE_DATABASE


def test_expectations_listed_as_outside_the_database_have_no_query() -> None:
    library.load()
    from great_expectations.expectations.registry import _registered_metrics, get_expectation_impl

    for name in OUTSIDE_DATABASE - {"expect_query_results_to_match_comparison"}:
        metric = vars(get_expectation_impl(name))["map_metric"]
        engines = _registered_metrics[f"{metric}.condition"]["providers"]
        assert "SqlAlchemyExecutionEngine" not in engines, name


GUARDED = """
import sys
def hook(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        print("reached out:", event, arguments[-1] if event != "socket.getaddrinfo" else arguments[0])
sys.addaudithook(hook)
from datetime import UTC, datetime
from pathlib import Path
from etl_assets_tests.audit.test_auditor import PEOPLE, TABLE, evaluate
from etl_assets.audit.data_docs import publish
from etl_assets.audit.examination import TableAudit
from etl_assets.audit.suite import compile_suite
suite = compile_suite(PEOPLE)
results = tuple(evaluate(sys.argv[1], *suite.expectations))
publish(Path(sys.argv[2]), TableAudit("people", TABLE, datetime.now(UTC), suite, results), "run")
import os
print("analytics", os.environ["GX_ANALYTICS_ENABLED"])
"""


def test_the_library_sends_nothing_over_the_network(people: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("home")
    run = subprocess.run(
        [sys.executable, "-c", GUARDED, people, str(home)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HOME": str(home), "GX_ANALYTICS_ENABLED": "true"},
    )
    assert run.stdout == "analytics false\n"
    assert run.stderr == ""
    assert [path.name for path in home.iterdir()] == ["data_docs"]
