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
    from collections.abc import Callable

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

    A connection that was idle for a second or more is checked before it is used, and replaced if the server has closed
    it.
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
    """The event log, without what `PostgresEventLogStorage` does again for each event.

    It looks up once whether a table or a column exists, and notifies no listeners, of which Dagster has none any more.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        """Create the storage with the arguments of `PostgresEventLogStorage`."""
        self._found: set[tuple[str, str]] = set()
        super().__init__(*arguments, **settings)

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event as every SQL storage does; the class it derives from also sends NOTIFY."""
        SqlEventLogStorage.store_event(self, event)

    def has_table(self, table_name: str) -> bool:
        """Return whether a table exists. Only a migration adds tables, so one that exists is looked up once."""
        return self._is_found(("table", table_name), lambda: super(LeanEventLogStorage, self).has_table(table_name))

    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        inherited = super()._has_asset_key_col_on_connection
        return self._is_found(("column", column_name), lambda: inherited(conn, column_name))

    def _is_found(self, name: tuple[str, str], look_up: Callable[[], bool]) -> bool:
        if name not in self._found and look_up():
            self._found.add(name)
        return name in self._found


def _check_idle_connections(engine: Engine) -> None:
    """Make a pool ping a connection only after `IDLE_SECONDS`; its own option pings before every statement."""

    @event.listens_for(engine, "checkin")
    def remember(_: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        entry.info["idle_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ping(connection: DBAPIConnection, entry: ConnectionPoolEntry, _: object) -> None:
        if time.monotonic() - entry.info.get("idle_since", time.monotonic()) < IDLE_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error  # the pool replaces the connection and tries again
