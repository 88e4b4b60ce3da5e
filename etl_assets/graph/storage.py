"""Dagster's storage in Postgres, with connections that stay open and fewer statements for each event.

dagster-postgres opens a new connection for every statement, so that none stays open. Each connection costs a handshake,
which is slow on purpose. A run with sixty checks opens about eight hundred connections; they take several times as long
as the load. Here each of the three storages of a process keeps one connection and opens others when it needs them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Self

from dagster._core.storage.event_log import SqlEventLogStorage
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage
from dagster_postgres.utils import create_pg_engine, get_token_provider_from_config, pg_url_from_config
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError

if TYPE_CHECKING:
    from dagster import EventLogEntry
    from dagster._core.storage.config import PostgresStorageConfig
    from dagster._serdes import ConfigurableClassData
    from sqlalchemy import Connection, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection
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

    A connection that was idle for a second or more is tested before use, and replaced if the server has closed it.
    """

    def __init__(self, **settings: Any) -> None:
        """Create the storage with the settings of `DagsterPostgresStorage`."""
        super().__init__(**settings)
        token_provider = settings.get("token_provider")
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
            _check_idle_connections(storage._engine)  # noqa: SLF001

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
        """Store an event as every SQL storage does; the class it derives from also sends NOTIFY."""
        SqlEventLogStorage.store_event(self, event)

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


def _check_idle_connections(engine: Engine) -> None:
    """Make a pool ping a connection before use if it was idle for `IDLE_SECONDS`.

    The pool's own option, ``pool_pre_ping``, pings before every use, and Dagster takes a connection for each statement.
    """

    @event.listens_for(engine, "checkin")
    def remember(_: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        entry.info["idle_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ping(connection: DBAPIConnection, entry: ConnectionPoolEntry, _: object) -> None:
        idle_since = entry.info.get("idle_since")
        if idle_since is None or time.monotonic() - idle_since < IDLE_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error  # the pool replaces the connection and tries again
