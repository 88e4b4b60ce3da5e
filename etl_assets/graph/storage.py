"""Dagster's storage in Postgres, with connections that stay open and fewer statements for each event.

dagster-postgres opens a new connection for every statement, so that none stays open. Each connection costs a handshake,
which is slow on purpose. A run with sixty checks opens about eight hundred connections; they take several times as long
as the load. Here each of the three storages of a process keeps one connection and opens others when it needs them.
"""

from __future__ import annotations

import select
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self

import sqlalchemy
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS
from dagster._core.storage.event_log import SqlEventLogStorage, SqlEventLogStorageTable
from dagster._core.storage.runs.schema import RunTagsTable
from dagster._serdes import serialize_value
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage, PostgresRunStorage
from dagster_postgres.utils import create_pg_engine, get_token_provider_from_config, pg_url_from_config
from sqlalchemy import Connection, Select, Update, event
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError

from etl_assets.postgres.connection import without_password
from etl_assets.postgres.outages import open_waiting

if TYPE_CHECKING:
    from dagster import DagsterRun, EventLogEntry
    from dagster._core.storage.config import PostgresStorageConfig
    from dagster._serdes import ConfigurableClassData
    from sqlalchemy import CursorResult, Engine, Executable
    from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect
    from sqlalchemy.pool import ConnectionPoolEntry

POOL_SIZE: Final = 1
MAX_OVERFLOW: Final = 20
RECYCLE_SECONDS: Final = 1800
IDLE_SECONDS: Final = 1.0


class PooledPostgresStorage(DagsterPostgresStorage):
    """A `DagsterPostgresStorage` that keeps connections open; ``dagster.yaml`` names it.

    ```yaml
    storage:
      custom:
        module: etl_assets.graph.storage
        class: PooledPostgresStorage
        config:
          postgres_url:
            env: ETL_ASSETS_DAGSTER_STORAGE_URL
    ```

    A connection that the server has closed is replaced before use. If the server is away, the run waits for it as it
    does for the warehouse.
    """

    def __init__(self, **settings: Any) -> None:
        """Create the storage with the settings of `DagsterPostgresStorage`."""
        super().__init__(**settings)
        token_provider = settings.get("token_provider")
        self._run_storage = RepeatingRunStorage(
            self.postgres_url, should_autocreate_tables=False, token_provider=token_provider
        )
        self._event_log_storage = LeanEventLogStorage(
            self.postgres_url, should_autocreate_tables=False, token_provider=token_provider
        )
        for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
            storage._engine.dispose()  # noqa: SLF001 -- there is no other way to set the pool
            storage._engine = create_pg_engine(  # noqa: SLF001
                self.postgres_url,
                token_provider,
                isolation_level="AUTOCOMMIT",
                pool_size=POOL_SIZE,
                max_overflow=MAX_OVERFLOW,
                pool_recycle=RECYCLE_SECONDS,
            )
            _watch_connections(storage._engine)  # noqa: SLF001

    @classmethod
    def from_config_value(  # type: ignore[override]  # as in the class it derives from
        cls, inst_data: ConfigurableClassData | None, config_value: PostgresStorageConfig
    ) -> Self:
        """Create the storage from the configuration in ``dagster.yaml``."""
        return cls(
            inst_data=inst_data,
            postgres_url=pg_url_from_config(config_value),
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
            token_provider=get_token_provider_from_config(config_value),
        )


class RepeatingRunStorage(PostgresRunStorage):
    """A run storage that looks up a run whose connection broke while it was stored, and stores what is missing."""

    def add_run(self, dagster_run: DagsterRun) -> DagsterRun:
        """Store a run and its tags."""
        try:
            return super().add_run(dagster_run)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        if not self.has_run(dagster_run.run_id):
            return super().add_run(dagster_run)
        run_id, tags = dagster_run.run_id, dagster_run.tags_for_storage()
        with self.connect() as connection:
            connection.execute(RunTagsTable.delete().where(RunTagsTable.c.run_id == run_id))
            if tags:
                rows = [{"run_id": run_id, "key": key, "value": value} for key, value in tags.items()]
                connection.execute(RunTagsTable.insert(), rows)
        return dagster_run


class LeanEventLogStorage(PostgresEventLogStorage):
    """An event log that sends fewer statements than `PostgresEventLogStorage`, and stores the same.

    It looks up a table or column of Dagster's schema once, and sends no NOTIFY: Dagster no longer listens for it.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        """Create the storage with the arguments of `PostgresEventLogStorage`."""
        self._tables: set[str] = set()
        self._asset_key_columns: set[str] = set()
        super().__init__(*arguments, **settings)

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event as every SQL storage does; the class it derives from also sends NOTIFY.

        If the connection breaks, so that it is unknown whether the event was stored, look it up and store what is
        missing.
        """
        try:
            SqlEventLogStorage.store_event(self, event)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            if (event_id := self._find(event)) is None:
                SqlEventLogStorage.store_event(self, event)
            else:
                self._store_what_follows(event, event_id)

    def _find(self, event: EventLogEntry) -> int | None:
        table = SqlEventLogStorageTable.c
        same = sqlalchemy.select(table.id).where(table.run_id == event.run_id, table.event == serialize_value(event))
        with self.run_connection(event.run_id) as connection:
            row = connection.execute(same).fetchone()
        return None if row is None else int(row[0])

    def _store_what_follows(self, event: EventLogEntry, event_id: int) -> None:
        """Store what `SqlEventLogStorage.store_event` stores after the event."""
        if event.dagster_event_type in ASSET_EVENTS and event.get_dagster_event().asset_key:
            with self.index_transaction() as connection:
                self._store_asset_event_tags(connection, [event], [event_id])
                self._store_asset_event(connection, event, event_id)
        if event.dagster_event_type in ASSET_CHECK_EVENTS:
            with suppress(IntegrityError):  # it is stored already
                self.store_asset_check_event(event, event_id)

    def has_table(self, table_name: str) -> bool:
        """Return whether a table exists. Migrations only add tables, so each is looked up until it is found."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        columns = self._asset_key_columns
        if column_name not in columns and super()._has_asset_key_col_on_connection(conn, column_name):
            columns.add(column_name)
        return column_name in columns


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


def _watch_connections(engine: Engine) -> None:
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
