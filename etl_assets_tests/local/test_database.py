from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from etl_assets.errors import SettingsError
from etl_assets.local import Database, database
from etl_assets.settings import Settings, with_database

if TYPE_CHECKING:
    from collections.abc import Iterator


def _settings(home: Path = Path("/nowhere"), **urls: str) -> Settings:
    return Settings.from_environment({"ETL_ASSETS_HOME": str(home), **urls})


def _open(url: str) -> None:
    with database(_settings(ETL_ASSETS_DATABASE_URL=url)):
        pass


def _name(url: str) -> str:
    with psycopg.connect(url) as connection:
        return connection.info.dbname


@pytest.fixture
def dagster_url(database_url: str) -> Iterator[str]:
    """The URL of Dagster's database on the server of the test; the database is dropped after the test."""
    url = f"{database_url}_dagster"
    yield url
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(urlsplit(url).path[1:])))


def test_without_a_url_the_embedded_server_is_used(home: Path) -> None:
    with database(_settings(home)) as databases:
        assert (_name(databases.url), _name(databases.dagster_url)) == ("warehouse", "dagster")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(databases.url)


def test_the_database_for_dagster_is_created_on_an_external_server(database_url: str, dagster_url: str) -> None:
    for _ in range(2):  # the second time the database exists
        with database(_settings(ETL_ASSETS_DATABASE_URL=database_url)) as databases:
            assert databases == Database(database_url, dagster_url)
            assert _name(databases.dagster_url) == f"{_name(database_url)}_dagster"


def test_a_database_for_dagster_on_another_server_is_created_there(database_url: str, dagster_url: str) -> None:
    elsewhere = dagster_url.replace("127.0.0.1", "localhost")
    settings = _settings(ETL_ASSETS_DATABASE_URL=database_url, ETL_ASSETS_DAGSTER_URL=elsewhere)
    with database(settings) as databases:
        assert _name(databases.dagster_url) == urlsplit(dagster_url).path[1:]


def test_an_error_says_what_to_do_if_the_user_may_not_create_the_database(database_url: str) -> None:
    role = f"{urlsplit(database_url).path[1:]}_reader"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'secret-word'").format(sql.Identifier(role)))
    try:
        parts = urlsplit(database_url)
        url = urlunsplit(parts._replace(netloc=f"{role}:secret-word@{parts.netloc.rpartition('@')[2]}"))
        with pytest.raises(SettingsError, match=r"may not create it.*ETL_ASSETS_DAGSTER_URL") as caught:
            _open(url)
        assert "secret-word" not in str(caught.value)
    finally:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://someone:secret-word@127.0.0.1:1/warehouse",
        "postgresql://someone:secret-word@127.0.0.1/warehouse?no_such_parameter=1",
    ],
    ids=["no server", "no URL"],
)
def test_a_server_that_cannot_be_reached_is_an_error_without_the_password(url: str) -> None:
    with pytest.raises(SettingsError, match=r"ETL_ASSETS_DATABASE_URL.*Nothing was written") as caught:
        _open(url)
    assert "secret-word" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_server_that_cannot_be_reached_may_be_named_in_the_project_file() -> None:
    told = r"Connection refused\. Nothing.* or correct ETL_ASSETS_DATABASE_URL, or database_url in the project file\.$"
    with pytest.raises(SettingsError, match=told):
        _open("postgresql://someone:secret-word@127.0.0.1:1/warehouse")


def test_a_warehouse_that_does_not_exist_is_an_error(postgres_url: str) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        _open(with_database(postgres_url, "no_such_database"))


def test_the_repr_shows_no_password() -> None:
    assert "secret-word" not in repr(Database("postgresql://u:secret-word@h/d", "postgresql://u:secret-word@h/e"))
