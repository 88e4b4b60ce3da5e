"""The command `psql`, and the variables through which it is given a database."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from etl_assets.cli.psql import connection_variables
from etl_assets.local.binaries import installed_program
from etl_assets_tests.cli.desk import prepare_january

if TYPE_CHECKING:
    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk


@pytest.fixture
def ready(prepared: Prepared) -> Desk:
    """January is loaded."""
    return prepared(prepare_january)


def test_a_query_is_answered_with_the_rows_of_the_warehouse(ready: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    ready.succeed("psql", "-At", "-c", "SELECT station, celsius FROM core.readings ORDER BY day")
    assert capfd.readouterr().out == "A|2.5\nA|1\n"


def test_the_options_and_the_exit_code_are_those_of_psql(ready: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    ready.succeed("psql", "--help")
    assert "psql is the PostgreSQL interactive terminal" in capfd.readouterr().out
    assert ready.type("psql", "-v", "ON_ERROR_STOP=1", "-c", "SELECT nothing").exit_code == 1
    assert ready.type("psql", "-v", "ON_ERROR_STOP=1", "-f", "missing.sql").exit_code == 1


def test_nothing_can_be_written_by_mistake(ready: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    assert ready.type("psql", "-c", "DELETE FROM core.readings").exit_code == 1
    assert "read-only transaction" in capfd.readouterr().err
    assert ready.query("SELECT count(*) FROM core.readings") == [(2,)]


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
