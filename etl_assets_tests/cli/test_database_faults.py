"""A database that cannot be used gives one sentence with its remedy, and a traceback only if it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from etl_assets.cli import WRONG_SETTINGS
from etl_assets_tests.cli.desk import prepare_published

if TYPE_CHECKING:
    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk


@pytest.fixture
def migrated(prepared: Prepared) -> Desk:
    """A desk with a migrated database."""
    return prepared(prepare_published)


def _refused(desk: Desk, *arguments: str) -> str:
    """Return what a command prints that the database refuses, without the name of the error."""
    result = desk.type(*arguments)
    assert result.exit_code == WRONG_SETTINGS, result.output
    assert "Traceback" not in result.output
    return result.stderr.strip().splitlines()[-1].split(": ", 1)[1]


def test_a_read_only_database_is_named_as_such(migrated: Desk) -> None:
    database = sql.Identifier(urlsplit(migrated.url).path.removeprefix("/"))
    with psycopg.connect(migrated.url, autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(database))
    migrated.publish_readings()
    for command in (("run", "stations"), ("migrate",)):
        text = _refused(migrated, *command)
        assert text.startswith("The database is read-only: ReadOnlySqlTransaction (25006).")
        assert "wrote nothing. If it is a standby, name the primary in ETL_ASSETS_DATABASE_URL" in text
    assert "Traceback" in migrated.type("--verbose", "migrate").output


def test_a_database_of_a_newer_version_needs_a_newer_version_and_no_migration(migrated: Desk) -> None:
    with psycopg.connect(migrated.url) as connection:
        connection.execute("UPDATE etl.schema_version SET version_num = '9999'")
    for command in (("run", "stations"), ("migrate",), ("doctor",)):
        text = _refused(migrated, *command)
        assert "is at revision 9999, which is newer than this version of etl_assets knows" in text
        assert "Nothing was written. Install the version that migrated the database" in text
        assert "etl-assets migrate" not in text


def test_a_database_without_schema_etl_needs_a_migration(desk: Desk) -> None:
    for command in (("run", "stations"), ("doctor",), ("quarantine", "list"), ("drift", "list"), ("alerts", "list")):
        assert "Run: etl-assets migrate" in _refused(desk, *command)


def test_a_missing_right_is_named_as_such(migrated: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with psycopg.connect(migrated.url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS etl_assets_nobody")
        connection.execute("CREATE ROLE etl_assets_nobody LOGIN PASSWORD 'nobody'")
    try:
        parts = urlsplit(migrated.url)
        nobody = parts._replace(netloc=f"etl_assets_nobody:nobody@{parts.netloc.rpartition('@')[2]}").geturl()
        monkeypatch.setenv("ETL_ASSETS_DATABASE_URL", nobody)
        text = _refused(migrated, "quarantine", "list")
        assert text.startswith("The database user lacks a right: InsufficientPrivilege (42501).")
        assert "Grant it" in text
    finally:
        with psycopg.connect(migrated.url, autocommit=True) as connection:
            connection.execute("DROP ROLE etl_assets_nobody")
