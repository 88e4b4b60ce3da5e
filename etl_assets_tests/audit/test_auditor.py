"""What the auditor answers, and what it keeps to itself."""

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
from etl_assets.audit.auditor import SAMPLE, auditor
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


def ask(
    url: str, *expectations: Expectation, schema: Schema = PEOPLE, deliveries: Sequence[int] | None = None
) -> list[CheckResult]:
    with auditor(url, schema, TABLE, deliveries) as asked:
        return asked.ask(expectations)


def between(column: str = "age", name: str = "", **changes: Any) -> Expectation:
    arguments: dict[str, Any] = {"column": column, "min_value": 0, "max_value": 150, **changes}
    return Expectation("expect_column_values_to_be_between", name=name, **arguments)


def test_rows_that_are_not_as_expected_are_counted_and_known_by_their_keys(people: str) -> None:
    (said,) = ask(people, between())
    assert (said.passed, said.failed_records, said.records) == (False, 2, 4)
    assert said.keys == ({"id": 2}, {"id": 4})
    assert said.description == "2 of 4 rows do not meet it."


def test_what_is_met_says_nothing(people: str) -> None:
    (said,) = ask(people, between(max_value=300, min_value=-10))
    assert (said.passed, said.failed_records, said.keys, said.description) == (True, 0, (), "")


def test_most_rows_may_be_enough(people: str) -> None:
    (said,) = ask(people, between(mostly=0.3))
    assert (said.passed, said.failed_records, said.keys) == (True, 2, ())


def test_only_the_rows_of_some_deliveries_are_asked_about(people: str) -> None:
    (said,) = ask(people, between(), deliveries=[2])
    assert (said.failed_records, said.records, said.keys) == (1, 2, ({"id": 4},))
    (said,) = ask(people, Expectation("expect_table_row_count_to_equal", value=0), deliveries=[])
    assert (said.passed, said.observed) == (True, 0)


def test_a_number_about_many_rows_is_shown(people: str) -> None:
    (said,) = ask(people, Expectation("expect_column_mean_to_be_between", column="age", max_value=10))
    assert (said.passed, said.observed, said.description) == (False, 75, "Found was 75.")


@pytest.mark.parametrize(
    "expectation",
    [
        Expectation("expect_column_max_to_be_between", column="age", max_value=10),
        Expectation("expect_column_mean_to_be_between", column="salary", max_value=10),
        Expectation("expect_column_distinct_values_to_be_in_set", column="order", value_set=["x"]),
        Expectation("expect_column_most_common_value_to_be_in_set", column="order", value_set=["x"]),
    ],
    ids=lambda each: each.name,
)
def test_the_contents_of_a_cell_are_never_shown(people: str, expectation: Expectation) -> None:
    (said,) = ask(people, expectation)
    assert (said.passed, said.observed, said.keys) == (False, None, ())
    assert said.description == "The table does not meet it."


def test_no_key_is_shown_where_one_of_its_columns_is_sensitive(people: str) -> None:
    hidden = Schema((Column("id", "integer", required=True, sensitive=True), *PEOPLE.columns[1:]), key=("id",))
    by_query = Expectation(ROWS, unexpected_rows_query="SELECT * FROM {batch} WHERE age > 150")
    said = ask(people, between(), by_query, schema=hidden)
    assert [(each.failed_records, each.keys) for each in said] == [(2, ()), (1, ())]


def test_of_a_query_of_ones_own_only_the_keys_are_kept(people: str) -> None:
    (said,) = ask(people, Expectation(ROWS, unexpected_rows_query="SELECT * FROM {batch} WHERE age > 150"))
    assert (said.passed, said.failed_records, said.keys) == (False, 1, ({"id": 2},))


def test_at_most_so_many_keys_are_shown(people: str) -> None:
    many = f"SELECT number AS id FROM generate_series(1, 3 * {SAMPLE}) AS number, (SELECT count(*) FROM {{batch}}) AS n"
    (said,) = ask(people, Expectation(ROWS, unexpected_rows_query=many))
    assert (said.failed_records, len(said.keys)) == (3 * SAMPLE, SAMPLE)


def test_quantiles_are_answered_though_the_library_cannot_write_their_result_down(people: str) -> None:
    asked: dict[str, Any] = {"column": "age", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[0, 50]]}}
    lower: dict[str, Any] = {"column": "age", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[-9, -1]]}}
    kind = "expect_column_quantile_values_to_be_between"
    said = ask(people, Expectation(kind, **asked), Expectation(kind, name="lower", **lower))
    assert [each.passed for each in said] == [True, False]
    json.dumps([asdict(each) for each in said])


def test_what_is_said_holds_plain_values(people: str) -> None:
    said = ask(people, between(), Expectation("expect_column_stdev_to_be_between", column="age", max_value=1))
    assert json.loads(json.dumps([asdict(each) for each in said]))[0]["keys"] == [{"id": 2}, {"id": 4}]


@pytest.mark.parametrize(
    ("expectation", "told"),
    [
        (between(min_valu=3), "cannot be asked with these arguments: .*min_valu extra fields not permitted"),
        (between(column="order"), "cannot be asked"),
        (between(column="gone"), "cannot be asked"),
        (Expectation("no.such.module:Thing"), "No module named 'no'"),
        (Expectation("json:Thing"), "has no attribute 'Thing'"),
        (Expectation(ROWS, unexpected_rows_query="SELECT gone FROM {batch}"), r"UndefinedColumn \(42703\)"),
    ],
    ids=lambda each: each.name if isinstance(each, Expectation) else "",
)
def test_what_cannot_be_asked_is_not_met_and_spoils_nothing_else(
    people: str, expectation: Expectation, told: str
) -> None:
    said = ask(people, between(name="before"), expectation, between(name="after", max_value=300, min_value=-9))
    assert [each.passed for each in said] == [False, False, True]
    assert said[1].description == said[1].description
    assert re.search(told, said[1].description)


def test_an_expectation_of_ones_own_is_found_by_its_module_and_name(people: str) -> None:
    own = "etl_assets_tests.audit.own_expectations:ExpectColumnValuesToBeAnAge"
    (said,) = ask(people, Expectation(own, column="age"))
    assert (said.name, said.failed_records) == ("ExpectColumnValuesToBeAnAge__age", 2)


def test_the_contents_of_a_record_leak_nowhere(
    people: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    cast = 'SELECT id FROM {batch} WHERE "order"::integer > 1'
    said = ask(people, Expectation(ROWS, unexpected_rows_query=cast), between(column="order"))
    assert "InvalidTextRepresentation (22P02)" in said[0].description
    out, err = capfd.readouterr()
    assert "secret" not in "".join([str(said), caplog.text, out, err])
    assert (out, err) == ("", "")


def test_a_connection_that_breaks_off_asks_for_another_try(people: str) -> None:
    dying = Expectation(ROWS, unexpected_rows_query="SELECT pg_terminate_backend(pg_backend_pid()) FROM {batch}")
    with pytest.raises(TransientLoadError, match=r"public\.people .*AdminShutdown"):
        ask(people, dying)


def test_an_auditor_cannot_write(people: str) -> None:
    writing = Expectation(ROWS, unexpected_rows_query="SELECT lo_create(0) FROM {batch}")
    with pytest.raises(LoadError, match="ReadOnlySqlTransaction"):
        ask(people, writing)


def test_a_table_that_cannot_be_read_is_an_error_of_its_own(warehouse_url: str) -> None:
    with pytest.raises(LoadError, match="UndefinedTable"), auditor(warehouse_url, PEOPLE, "core.nothing"):
        pass


def test_a_password_with_dollars_is_no_variable(people: str) -> None:
    password = "a$HOME${x}"
    with psycopg.connect(people, autocommit=True) as connection:
        connection.execute(
            sql.SQL("DROP ROLE IF EXISTS auditor; CREATE ROLE auditor LOGIN PASSWORD {}").format(sql.Literal(password))
        )
        connection.execute(f"GRANT SELECT ON {TABLE} TO auditor")
    parts = urlsplit(people)
    host = parts.netloc.rpartition("@")[2]
    (said,) = ask(parts._replace(netloc=f"auditor:{password}@{host}").geturl(), between())
    assert said.failed_records == 2


def test_a_url_may_leave_out_what_libpq_finds_elsewhere(people: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = urlsplit(people)
    monkeypatch.setenv("PGUSER", unquote(parts.username or ""))
    monkeypatch.setenv("PGPASSWORD", unquote(parts.password or ""))
    (said,) = ask(f"postgresql://{parts.path}?host={parts.hostname}&port={parts.port}", between())
    assert said.failed_records == 2


def test_many_expectations_are_asked_in_several_queries_and_answered_in_order(people: str) -> None:
    said = ask(people, *(between(name=f"n{number}", min_value=-5, max_value=199 + number) for number in range(250)))
    assert [each.failed_records for each in said] == [1] + [0] * 249
    assert [each.name for each in said] == [f"n{number}" for number in range(250)]


def test_the_names_that_a_declaration_may_use_are_those_of_the_library() -> None:
    library.load()
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    own = {"expect_column_values_to_be_an_age"}  # of the tests
    assert set(list_registered_expectation_implementations()) - own == IN_DATABASE | OUTSIDE_DATABASE
    assert not IN_DATABASE & OUTSIDE_DATABASE


def test_what_is_said_to_be_outside_the_database_has_no_query_for_it() -> None:
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
from etl_assets_tests.audit.test_auditor import PEOPLE, TABLE, ask
from etl_assets.audit.data_docs import publish
from etl_assets.audit.examination import Examination
from etl_assets.audit.suite import compiled
suite = compiled(PEOPLE)
said = tuple(ask(sys.argv[1], *suite.expectations))
publish(Path(sys.argv[2]), Examination("people", TABLE, datetime.now(UTC), suite, said), "run")
import os
print("analytics", os.environ["GX_ANALYTICS_ENABLED"])
"""


def test_nobody_is_told_that_the_library_is_used(people: str, tmp_path_factory: pytest.TempPathFactory) -> None:
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
