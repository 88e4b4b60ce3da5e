"""The commands `sql` and `db url`, and the variables through which psql is given a database."""

from __future__ import annotations

import csv
import subprocess
import sys
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from etl_assets.cli import main
from etl_assets.cli.db import without_password
from etl_assets.cli.sql import connection_variables
from etl_assets.local.binaries import installed_program
from etl_assets_tests.cli.desk import prepare_january

if TYPE_CHECKING:
    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk

_READINGS = "SELECT station, day, celsius, NULL AS keeper FROM core.readings ORDER BY day"


@pytest.fixture
def ready(prepared: Prepared) -> Desk:
    """January is loaded."""
    return prepared(prepare_january)


def test_a_query_is_answered_with_a_table(ready: Desk) -> None:
    result = ready.type("sql", _READINGS)
    head, _, *rows = result.stdout.splitlines()
    assert head.split() == ["station", "day", "celsius", "keeper"]
    assert [row.split() for row in rows if row] == [["A", "1", "2.5"], ["A", "2", "1"]]
    assert result.stderr == "2 rows.\n"


def test_json_has_a_line_for_each_row_and_csv_has_the_texts_of_the_server(ready: Desk) -> None:
    assert ready.lines("sql", _READINGS, "--json") == [
        {"station": "A", "day": 1, "celsius": 2.5, "keeper": None},
        {"station": "A", "day": 2, "celsius": 1.0, "keeper": None},
    ]
    printed = ready.succeed("sql", "SELECT true, 1.50::numeric, '{\"a\": 1}'::jsonb, ARRAY[1, 2], 'a,b'", "--csv")
    assert list(csv.reader(StringIO(printed)))[1] == ["t", "1.50", '{"a": 1}', "{1,2}", "a,b"]


def test_an_answer_without_rows_has_its_columns(ready: Desk) -> None:
    assert ready.succeed("sql", "SELECT station, day FROM core.readings WHERE false", "--csv") == "station,day\n"
    assert ready.type("sql", "SET statement_timeout = 0").stderr == "0 rows.\n"


def test_a_query_may_begin_with_a_comment(ready: Desk) -> None:
    query = "-- of this month\nSELECT 1 AS one"
    assert ready.succeed("sql", "--csv", query) == ready.succeed("sql", "--csv", "--", query) == "one\n1\n"
    assert ready.type("sql", "--cvs").exit_code == 2


def test_a_query_is_read_from_standard_input(ready: Desk) -> None:
    del ready
    result = CliRunner().invoke(main, ["sql", "-", "--csv"], input="SELECT 1 AS one")
    assert result.stdout == "one\n1\n"


def test_a_long_answer_is_cut_as_a_table_alone(ready: Desk) -> None:
    query = "SELECT n FROM generate_series(1, 1001) AS n"
    result = ready.type("sql", query)
    assert "The first 1,000 rows; --csv and --json print all." in result.stderr
    assert " 1001 " not in result.stdout
    assert len(ready.lines("sql", query, "--json")) == 1001


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("DELETE FROM core.readings", "cannot execute DELETE in a read-only transaction"),
        ("SELECT 1; DELETE FROM core.readings", "cannot insert multiple commands"),
        ("SELECT nothing", 'column "nothing" does not exist'),
        ("SELECT 1 / 0", "division by zero"),
    ],
)
def test_what_the_database_refuses_is_an_error_and_nothing_is_written(ready: Desk, query: str, words: str) -> None:
    for options in ([], ["--csv"], ["--json"]):
        result = ready.type("sql", query, *options)
        assert result.exit_code == 1
        assert words in result.stderr
    assert ready.query("SELECT count(*) FROM core.readings") == [(2,)]


def test_two_columns_of_one_name_are_no_json(ready: Desk) -> None:
    result = ready.type("sql", "SELECT 1 AS a, 2 AS a", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Name each by AS." in result.stderr


def test_without_a_query_psql_is_opened_and_can_only_read(ready: Desk) -> None:
    code = "from etl_assets.cli import main; main(['sql'])"
    typed = "\\pset format unaligned\n\\t\nSELECT count(*) FROM core.readings;\nDELETE FROM core.readings;\n"
    done = subprocess.run([sys.executable, "-c", code], input=typed, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "2"
    assert "read-only transaction" in done.stderr
    assert ready.query("SELECT count(*) FROM core.readings") == [(2,)]


def test_the_url_has_the_password_only_if_it_is_asked_for(ready: Desk) -> None:
    assert ready.succeed("db", "url") == f"{without_password(ready.url)}\n"
    assert ready.succeed("db", "url", "--password") == f"{ready.url}\n"


def test_no_part_of_a_url_keeps_a_password() -> None:
    url = "postgresql://me:p%40ss@[::1]:6432/sales?sslmode=verify-full&password=x&sslpassword=y"
    assert without_password(url) == "postgresql://me@[::1]:6432/sales?sslmode=verify-full"
    assert without_password("postgresql:///sales?host=%2Ftmp") == "postgresql:///sales?host=%2Ftmp"


def test_all_parts_of_a_url_are_given_in_variables_and_options_are_kept() -> None:
    url = "postgresql://us%65r:p%40ss@db.example:6432/sales?sslmode=verify-full&options=-c%20work_mem%3D8MB"
    assert connection_variables(url) == {
        "PGUSER": "user",
        "PGPASSWORD": "p@ss",
        "PGHOST": "db.example",
        "PGPORT": "6432",
        "PGDATABASE": "sales",
        "PGSSLMODE": "verify-full",
        "PGOPTIONS": "-c work_mem=8MB -c default_transaction_read_only=on",
    }


def test_a_program_of_the_embedded_server_is_found_and_another_is_none() -> None:
    program = installed_program("psql")
    assert program is not None
    assert subprocess.run([program, "--version"], capture_output=True, check=True).stdout.startswith(b"psql")
    assert installed_program("cobol") is None
