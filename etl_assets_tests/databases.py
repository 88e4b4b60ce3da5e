"""Databases of the test server: created, copied and dropped."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
from psycopg import sql

from etl_assets.settings import with_database

if TYPE_CHECKING:
    from collections.abc import Iterator

_EMPTY = "template1"


def create_database(postgres_url: str, name: str, template: str = _EMPTY) -> str:
    """Create a database, empty or as a copy of another, whose sessions are ended; returns its URL."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        if template != _EMPTY:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (template,))
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
    return with_database(postgres_url, name)


def drop_database(postgres_url: str, name: str) -> None:
    """Drop a database, if it exists, and end its sessions."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def database_exists(postgres_url: str, name: str) -> bool:
    """Return whether there is a database of that name."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        return connection.execute("SELECT FROM pg_database WHERE datname = %s", (name,)).fetchone() is not None


@contextmanager
def fresh_database(postgres_url: str, prefix: str = "test") -> Iterator[str]:
    """Yield the URL of a new, empty database, and drop it at the end of the block."""
    name = f"{prefix}_{uuid4().hex}"
    try:
        yield create_database(postgres_url, name)
    finally:
        drop_database(postgres_url, name)
