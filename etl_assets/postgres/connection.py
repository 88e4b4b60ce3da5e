"""Connections to the warehouse, with the session settings that every writer needs."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

import psycopg
from psycopg import sql
from psycopg.types.json import set_json_dumps
from psycopg.types.string import StrBinaryDumper, StrDumper, StrDumperUnknown

from etl_assets.errors import SettingsError
from etl_assets.model.texts import storable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg.abc import Buffer

Connection = psycopg.Connection[tuple[Any, ...]]

_SESSION = {
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "idle_in_transaction_session_timeout": "5min",
    "client_connection_check_interval": "500ms",
    "lock_timeout": "60s",
    "work_mem": "64MB",
    "random_page_cost": "1.1",
    "jit": "off",
}
_MINIMUM_VERSION = 150_000


def connect(url: str) -> Connection:
    """Open a connection in autocommit mode; callers begin transactions where they need them.

    Args:
        url: ``postgresql://user:password@host:port/database``.

    Raises:
        SettingsError: If no server answers there, or its version is older than PostgreSQL 15.
    """
    options = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    try:
        connection = psycopg.connect(
            url, autocommit=True, options=options, application_name="etl_assets", connect_timeout=15, keepalives_idle=30
        )
    except psycopg.OperationalError as error:
        raise SettingsError(
            f"No database answers at {without_password(url)} ({type(error).__name__}). Nothing was written. "
            "Start the server, or correct ETL_ASSETS_DATABASE_URL."
        ) from error
    if connection.info.server_version < _MINIMUM_VERSION:
        version = connection.info.server_version // 10_000
        connection.close()
        raise SettingsError(f"The server is PostgreSQL {version}. Nothing was written. Use PostgreSQL 15 or later.")
    for dumper in (_BinaryText, _Text, _UntypedText):  # the last one is the default
        connection.adapters.register_dumper(str, dumper)
    set_json_dumps(_storable_json, connection)
    return connection


class _BinaryText(StrBinaryDumper):
    """Sends texts in binary form, with an escape for what no database stores: see `storable`."""

    def dump(self, obj: str) -> Buffer | None:
        return super().dump(storable(obj))


class _Text(StrDumper):
    """Sends texts in lists, with the same escapes."""

    def dump(self, obj: str) -> Buffer | None:
        return super().dump(storable(obj))


class _UntypedText(StrDumperUnknown):
    """Sends texts that Postgres may cast to another type, with the same escapes."""

    def dump(self, obj: str) -> Buffer | None:
        return super().dump(storable(obj))


def _storable_json(value: object) -> str:
    r"""Return JSON without ``\u0000`` and lone surrogates, which ``jsonb`` refuses."""
    return json.dumps(_storable(value))


def _storable(value: object) -> object:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    return [_storable(item) for item in value] if isinstance(value, list | tuple) else value


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """Open a connection for a block, and close it at the end."""
    connection = connect(url)
    try:
        yield connection
    finally:
        connection.close()


def without_password(url: str) -> str:
    """Return the URL in a form that may be shown: without the password and without options."""
    parts = urlsplit(url)
    user = f"{quote(unquote(parts.username))}@" if parts.username else ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{user}{parts.hostname or ''}{port}{parts.path}"


def commit_without_waiting(connection: Connection) -> None:
    """Make the commit of the current transaction return before the data is on disk.

    The transaction is as atomic and final as any other. Only a crash of the server can undo it, together with its
    ledger entry. The delivery becomes complete only with a commit that waits, and so puts all earlier ones on disk.
    """
    connection.execute("SET LOCAL synchronous_commit = off")


@contextmanager
def planned_without(connection: Connection, *methods: str) -> Iterator[None]:
    """Let the planner avoid some methods, of which it estimates too low a cost, for the statements of a block.

    Args:
        connection: In a transaction.
        methods: What to avoid, such as ``hashjoin`` or ``seqscan``; used all the same where nothing else is possible.
    """
    settings = [sql.Identifier(f"enable_{method}") for method in methods]
    for setting in settings:
        connection.execute(sql.SQL("SET LOCAL {} = off").format(setting))
    yield
    for setting in settings:
        connection.execute(sql.SQL("SET LOCAL {} TO DEFAULT").format(setting))
