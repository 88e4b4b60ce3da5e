"""Connections to the warehouse, with the session settings that every writer needs, and what is done if one breaks."""

from __future__ import annotations

import json
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote, unquote, urlsplit

import psycopg
import stamina
from psycopg.types.json import set_json_dumps
from psycopg.types.string import StrBinaryDumper, StrDumper, StrDumperUnknown

from etl_assets.errors import SettingsError, TransientLoadError
from etl_assets.model.text import storable
from etl_assets.postgres import kept_connections
from etl_assets.postgres.faults import translating
from etl_assets.postgres.outages import open_waiting, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from psycopg.abc import Buffer

Connection = psycopg.Connection[tuple[Any, ...]]
T = TypeVar("T")

_SESSION = {
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "idle_in_transaction_session_timeout": "5min",
    "client_connection_check_interval": "500ms",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "lock_timeout": "60s",
    "work_mem": "64MB",
    "random_page_cost": "1.1",
    "jit": "off",
}
"""With the keepalives, the server notices within half a minute that a machine is gone, and releases its locks."""
_KEEPALIVES: Final[dict[str, Any]] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""The same for the server's machine; the last number is in milliseconds."""
_MINIMUM_VERSION = 150_000
_TRIES: Final = 5


def connect(url: str, *, wait: bool = True) -> Connection:
    """Open a connection in autocommit mode; callers begin transactions where they need them.

    If this process was connected to the database before, wait for it; see `outages`.

    Args:
        url: ``postgresql://user:password@host:port/database``.
        wait: Whether to wait at all.

    Raises:
        SettingsError: If no server answers there, or its version is older than PostgreSQL 15.
        EnvironmentFaultError: If a server answered before, and did not come back in time.
    """
    server = without_password(url)
    try:
        connection = open_waiting(server, partial(_open, url), psycopg.OperationalError) if wait else _open(url)
    except psycopg.OperationalError as error:
        raise SettingsError(
            f"The database at {server} does not accept a connection: {reason(error)}. Nothing more was "
            "written. Start the server, or correct ETL_ASSETS_DATABASE_URL."
        ) from None
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
    text = json.dumps(value)
    return json.dumps(_storable(value)) if r"\u0000" in text or r"\ud" in text else text


def _storable(value: object) -> object:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    return [_storable(item) for item in value] if isinstance(value, list | tuple) else value


@contextmanager
def connected(url: str, *, wait: bool = True) -> Iterator[Connection]:
    """Open a session for a block, and end it at the end; arguments and errors are those of `connect`.

    Raises:
        LoadError: For an error of psycopg that leaves the block.
    """
    connection = open_session(url, wait=wait)
    try:
        with translating():
            yield connection
    except BaseException:
        abandon_session(url, connection)
        raise
    end_session(url, connection)


def open_session(url: str, *, wait: bool = True) -> Connection:
    """Return a connection that was kept, else open one; arguments and errors are those of `connect`."""
    return kept_connections.take(url) or connect(url, wait=wait)


def end_session(url: str, connection: Connection) -> None:
    """Release the locks, settings and temporary tables of a session, and close its connection unless it is kept."""
    kept_connections.give_back(url, connection)


def abandon_session(url: str, connection: Connection) -> None:
    """Close a connection after a fault, and those that are kept: the fault may concern all of them."""
    connection.close()
    kept_connections.close(url)


def retries() -> Iterable[stamina.Attempt]:
    """Return the attempts of whatever may be done again after a transient fault, each on a connection of its own."""
    return stamina.retry_context(on=TransientLoadError, attempts=_TRIES, timeout=None, wait_initial=0.2, wait_max=5.0)


def in_session(url: str, work: Callable[[Connection], T], action: str = "") -> T:
    """Do some work on a connection; after a transient fault, do all of it again on another one.

    Args:
        url: Of the warehouse.
        work: Gets a connection in autocommit. It must be harmless to do twice, because the answer of the database can
            be lost after it has committed.
        action: What the work does, as for `translate`.

    Returns:
        What the work returns.

    Raises:
        LoadError: If the database refuses a statement, or fails again and again.
    """
    for attempt in retries():
        with attempt, connected(url) as connection, translating(action):
            return work(connection)
    raise AssertionError("a retry loop ends by returning or raising")


def in_transaction(url: str, work: Callable[[Connection], T]) -> T:
    """Do some work in one transaction, exactly once; arguments, result and errors are those of `in_session`.

    If the answer to COMMIT is lost, the database is asked whether the transaction was committed.
    """
    done: list[tuple[str, T]] = []

    def once(connection: Connection) -> T:
        if done and _was_committed(connection, done[-1][0]):
            return done[-1][1]
        with connection.transaction():
            result = work(connection)
            row = connection.execute("SELECT pg_current_xact_id()::text").fetchone()
            done.append((row[0] if row else "", result))
        return result

    return in_session(url, once)


def _was_committed(connection: Connection, transaction: str) -> bool:
    row = connection.execute("SELECT pg_xact_status(%s::xid8)", (transaction,)).fetchone()
    status = row[0] if row else None
    if status == "in progress":
        raise TransientLoadError(
            "The session of a lost connection has not ended yet. Nothing is known of its transaction. Run it again."
        )
    return bool(status == "committed")


def _open(url: str) -> Connection:
    options = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    return psycopg.connect(
        url, autocommit=True, options=options, application_name="etl_assets", connect_timeout=15, **_KEEPALIVES
    )


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


def joining_by_index(connection: Connection) -> AbstractContextManager[None]:
    """Let the statements of a block search an index of the table for each row that they join with it.

    Their cost then depends on these rows, however large the table is.
    """
    return planned_without(connection, "hashjoin", "mergejoin", "material")


@contextmanager
def planned_without(connection: Connection, *methods: str) -> Iterator[None]:
    """Let the planner avoid some methods, of which it estimates too low a cost, for the statements of a block.

    Args:
        connection: In a transaction.
        methods: What to avoid, such as ``hashjoin`` or ``seqscan``; used all the same where nothing else is possible.
    """
    settings = [f"enable_{method}" for method in methods]
    connection.execute("SELECT set_config(name, 'off', true) FROM unnest(%s::text[]) name", (settings,))
    yield
    connection.execute("SELECT set_config(name, NULL, true) FROM unnest(%s::text[]) name", (settings,))
