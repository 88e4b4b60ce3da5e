"""What an SQLSTATE means, which error it becomes, and what that says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from etl_assets.errors import EnvironmentFaultError, LoadError, TransientLoadError
from etl_assets.postgres.connection import connected
from etl_assets.postgres.faults import FAULTS, database_error_in, describe, fault_of, translate

if TYPE_CHECKING:
    from etl_assets.postgres.faults import Kind

_AGAIN = "Run it again"
_MEANINGS: list[tuple[str, Kind, type[LoadError], str, str]] = [
    ("08006", "transient", TransientLoadError, "connection to the database was lost", _AGAIN),
    ("22003", "data", LoadError, "cannot store a value", "Correct the declaration"),
    ("23505", "data", LoadError, "does not allow a row", "Correct the declaration or the constraint"),
    ("25006", "environment", EnvironmentFaultError, "is read-only", "name the primary"),
    ("25P03", "transient", TransientLoadError, "transaction that was idle", _AGAIN),
    ("28P01", "environment", EnvironmentFaultError, "the user or the password", "ETL_ASSETS_DATABASE_URL"),
    ("3D000", "environment", EnvironmentFaultError, "there is no such database", "Create it"),
    ("3F000", "bug", LoadError, "lacks a table, column or schema", "etl-assets migrate"),
    ("40001", "transient", TransientLoadError, "could not order", _AGAIN),
    ("40P01", "transient", TransientLoadError, "deadlock", _AGAIN),
    ("42501", "environment", EnvironmentFaultError, "lacks a right", "Grant it"),
    ("42601", "bug", LoadError, "refused a statement", "report it"),
    ("42703", "bug", LoadError, "lacks a table, column or schema", "etl-assets migrate"),
    ("42P01", "bug", LoadError, "lacks a table, column or schema", "etl-assets migrate"),
    ("53100", "environment", EnvironmentFaultError, "no space left", "disk space"),
    ("53200", "environment", EnvironmentFaultError, "no memory left", "memory"),
    ("53300", "transient", TransientLoadError, "too many connections", "max_connections"),
    ("53400", "environment", EnvironmentFaultError, "lacks a resource", "Provide it"),
    ("54000", "data", LoadError, "too big", "Correct the declaration"),
    ("54011", "environment", EnvironmentFaultError, "too many columns", "fewer columns"),
    ("55P03", "transient", TransientLoadError, "lock_timeout", "pg_stat_activity"),
    ("57014", "transient", TransientLoadError, "statement_timeout", "Raise statement_timeout"),
    ("57P01", "transient", TransientLoadError, "shutting down", _AGAIN),
    ("57P02", "transient", TransientLoadError, "crashed", _AGAIN),
    ("57P03", "transient", TransientLoadError, "starting", _AGAIN),
    ("58030", "environment", EnvironmentFaultError, "cannot read or write a file", "Ask who runs the server"),
    ("XX001", "environment", EnvironmentFaultError, "internal error", "its log"),
]


@pytest.mark.parametrize(("code", "kind", "class_", "problem", "remedy"), _MEANINGS)
def test_an_sqlstate_decides_the_error_and_its_words(
    code: str, kind: Kind, class_: type[LoadError], problem: str, remedy: str
) -> None:
    error = psycopg.errors.lookup(code)("something")
    assert fault_of(error).kind == kind
    translated = translate(error, "batch 3")
    assert type(translated) is class_
    assert str(translated).startswith("batch 3: ")
    assert problem in str(translated)
    undone = "What was not committed was rolled back" if code == "08006" else "The transaction wrote nothing"
    assert f"({code}). {undone}. " in str(translated)
    assert remedy in str(translated)


def test_a_lost_connection_without_an_sqlstate_is_transient_and_a_value_that_cannot_be_sent_is_not() -> None:
    assert fault_of(psycopg.OperationalError("the connection is closed")).kind == "transient"
    assert fault_of(psycopg.ProgrammingError("the query has 0 placeholders")).kind == "bug"
    assert fault_of(psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")).kind == "data"


def test_every_remedy_is_a_sentence() -> None:
    for fault in FAULTS.values():
        assert fault.remedy[0].isupper()
        assert not fault.remedy.endswith(".")
        assert fault.problem[0].islower()


def test_an_error_contains_none_of_the_values_that_the_database_quotes(migrated_url: str) -> None:
    with connected(migrated_url) as connection, pytest.raises(psycopg.Error) as caught:
        connection.execute(
            "CREATE TEMPORARY TABLE people (name text PRIMARY KEY); INSERT INTO people VALUES ('Ada'), ('Ada')"
        )
    assert "Ada" in str(caught.value)
    assert describe(caught.value) == "UniqueViolation (23505, table people, constraint people_pkey)"
    assert "Ada" not in str(translate(caught.value))


def test_an_error_that_leaves_the_block_of_a_connection_has_its_remedy(migrated_url: str) -> None:
    with (
        pytest.raises(LoadError, match=r"^The database lacks a table.*run: etl-assets migrate\.$"),
        connected(migrated_url) as connection,
    ):
        connection.execute("SELECT FROM etl.none")


def test_the_error_of_a_driver_is_found_behind_those_of_libraries(migrated_url: str) -> None:
    engine = create_engine(migrated_url.replace("postgresql:", "postgresql+psycopg2:"))
    with engine.connect() as connection, pytest.raises(DBAPIError) as caught:
        connection.execute(text("SET TRANSACTION READ ONLY; CREATE TABLE etl.x ()"))
    engine.dispose()
    outer = RuntimeError("of a library")
    outer.__cause__ = caught.value
    cause = database_error_in(outer)
    assert cause is not None
    assert isinstance(translate(cause), EnvironmentFaultError)
    assert "read-only" in str(translate(cause))
    assert database_error_in(ValueError()) is None
