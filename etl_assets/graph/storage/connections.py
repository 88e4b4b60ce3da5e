"""The connections of an engine: they are replaced when they break, and a server that is away is waited for."""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Select, Update, event
from sqlalchemy.exc import DBAPIError, DisconnectionError

from etl_assets.postgres.connection import without_password
from etl_assets.postgres.outages import open_waiting

if TYPE_CHECKING:
    from sqlalchemy import CursorResult, Engine, Executable
    from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect
    from sqlalchemy.pool import ConnectionPoolEntry

IDLE_SECONDS: Final = 1.0


class _RepeatingConnection(Connection):
    """A connection that executes a statement again if it broke and to execute the statement twice does no harm."""

    def execute(self, statement: Executable, *arguments: Any, **options: Any) -> CursorResult[Any]:
        """Execute a statement; outside a transaction, on a new connection if this one is broken."""
        try:
            return super().execute(statement, *arguments, **options)
        except DBAPIError as error:
            in_transaction = "isolation_level" in self.get_execution_options()  # Dagster sets it for a transaction
            if in_transaction or not error.connection_invalidated or not _may_be_repeated(statement):
                raise
        self.rollback()  # of nothing: each statement was committed by itself
        return super().execute(statement, *arguments, **options)


def _may_be_repeated(statement: Executable) -> bool:
    """Return whether a statement of Dagster leaves the same if it is executed twice."""
    return isinstance(statement, Select | Update) or "ON CONFLICT" in str(statement).upper()


def watch_connections(engine: Engine) -> None:
    """Make an engine wait for a server that is away, and replace the connections that it has closed.

    A connection is pinged before use if it was idle for `IDLE_SECONDS`, or if the server has sent something since: a
    server that ends a session says so. The pool's own option, ``pool_pre_ping``, pings before every use, and Dagster
    takes a connection for each statement.
    """
    engine._connection_cls = _RepeatingConnection  # noqa: SLF001 -- there is no other way to set it
    database_error = engine.dialect.loaded_dbapi.OperationalError
    server = without_password(engine.url.set(drivername="postgresql").render_as_string())

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Dialect, _: object, arguments: Any, settings: Any) -> DBAPIConnection:
        return open_waiting(server, lambda: dialect.connect(*arguments, **settings), database_error)

    @event.listens_for(engine, "checkin")
    def remember(_: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        entry.info["idle_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ping(connection: Any, entry: ConnectionPoolEntry, _: object) -> None:
        idle_since = entry.info.get("idle_since")
        if idle_since is None or (time.monotonic() - idle_since < IDLE_SECONDS and not _has_sent(connection)):
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error  # the pool replaces the connection and tries again


def _has_sent(connection: Any) -> bool:
    """Return whether a server has sent something on an idle connection; this asks only the operating system."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
