"""Chooses the PostgreSQL server of the framework: the one that the settings name, or else the embedded one."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import errors, sql

from etl_assets.errors import SettingsError
from etl_assets.local.server import embedded
from etl_assets.postgres.outages import reason
from etl_assets.settings import with_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.settings import Settings

OLDEST_VERSION = 150000
"""The oldest server that is supported, as ``server_version_num`` writes it."""

_CONNECT_SECONDS = 10


@dataclass(frozen=True)
class Database:
    """The URLs of both databases, in libpq's form: ``postgresql://user:password@host:port/name``."""

    url: str = field(repr=False)
    """URL of the warehouse: the tables of the sources and those of the framework."""

    dagster_url: str = field(repr=False)
    """URL of Dagster's storage."""


@contextmanager
def database(settings: Settings) -> Iterator[Database]:
    """Open the databases for the length of a ``with`` block.

    An external server is only checked, and Dagster's database is created on it if it is missing. The embedded server is
    started and held.

    Raises:
        SettingsError: If the server does not answer, is too old, or lacks Dagster's database and forbids creating it.
    """
    if settings.database_url is None:
        with embedded(settings.home, settings.port) as server:
            yield Database(server.url, settings.dagster_url or server.dagster_url)
        return
    dagster_url = settings.dagster_url or settings.database_url
    _require_server(settings.database_url)
    _ensure_database(dagster_url, settings.database_url)
    yield Database(settings.database_url, dagster_url)


def _require_server(url: str) -> None:
    with _connect(url, "ETL_ASSETS_DATABASE_URL") as connection:
        version = connection.info.server_version
    if version < OLDEST_VERSION:
        raise SettingsError(
            f"The server in ETL_ASSETS_DATABASE_URL is PostgreSQL {version // 10000}. Nothing was written. "
            f"Use PostgreSQL {OLDEST_VERSION // 10000} or later."
        )


def _ensure_database(url: str, neighbour: str) -> None:
    """Create Dagster's database if its server does not have it.

    Args:
        url: URL of Dagster's database.
        neighbour: URL of a database that exists; used for the connection if it is on the same server.
    """
    name = unquote(urlsplit(url).path.removeprefix("/"))
    same_server = urlsplit(url).netloc == urlsplit(neighbour).netloc
    with _connect(neighbour if same_server else with_database(url, "postgres"), "ETL_ASSETS_DAGSTER_URL") as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            return
        try:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except (errors.DuplicateDatabase, errors.UniqueViolation):
            return  # another process has created it in the meantime
        except errors.InsufficientPrivilege as error:
            raise SettingsError(
                f"The database {name!r} for Dagster's storage does not exist, and user {connection.info.user!r} may "
                "not create it. Nothing was written. Create it (CREATE DATABASE ... OWNER ...), or name another in "
                "ETL_ASSETS_DAGSTER_URL."
            ) from error


def _connect(url: str, variable: str) -> psycopg.Connection[tuple[object, ...]]:
    """Connect in autocommit mode. The message of libpq names host, port, user and database, never the password."""
    try:
        return psycopg.connect(url, autocommit=True, connect_timeout=_CONNECT_SECONDS)
    except psycopg.OperationalError as error:
        raise SettingsError(
            f"The PostgreSQL server in {variable} does not accept the connection: {reason(error)}. Nothing was "
            f"written. Start the server, or correct {variable}, or {_key(variable)} in the project file."
        ) from None
    except psycopg.ProgrammingError:
        raise SettingsError(
            f"{variable} is not a PostgreSQL URL. Nothing was written. Write "
            "postgresql://user:password@host:port/name, with special characters percent-encoded."
        ) from None


def _key(variable: str) -> str:
    """Return the key of the project file that stands for a variable."""
    return variable.removeprefix("ETL_ASSETS_").lower()
