"""The storage that ``dagster.yaml`` names, with connections that stay open.

dagster-postgres opens a new connection for every statement, so that none stays open. Each connection costs a handshake,
which is slow on purpose. A run with sixty checks opens about eight hundred connections; they take several times as long
as the load. Here each of the three storages of a process keeps one connection and opens others when it needs them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, Self

from dagster._core.storage.runs.schema import RunTagsTable
from dagster_postgres import DagsterPostgresStorage, PostgresRunStorage
from dagster_postgres.utils import create_pg_engine, get_token_provider_from_config, pg_url_from_config
from sqlalchemy.exc import DBAPIError

from etl_assets.errors import SettingsError
from etl_assets.graph.loggers import configure_logs
from etl_assets.graph.storage.connections import watch_connections
from etl_assets.graph.storage.event_log import LeanEventLogStorage
from etl_assets.settings import Settings

if TYPE_CHECKING:
    from dagster import DagsterRun
    from dagster._core.storage.config import PostgresStorageConfig
    from dagster._serdes import ConfigurableClassData

BATCH_SIZE: Final = 1000
"""How many events Dagster gives the storage at once: of what a run plans, or of the partitions of an output."""
POOL_SIZE: Final = 1
MAX_OVERFLOW: Final = 20
RECYCLE_SECONDS: Final = 1800


class PooledPostgresStorage(DagsterPostgresStorage):
    """A `DagsterPostgresStorage` that keeps connections open; ``dagster.yaml`` names it.

    ```yaml
    storage:
      custom:
        module: etl_assets.graph.storage
        class: PooledPostgresStorage
        config: {}
    ```

    The settings name the database: ``ETL_ASSETS_DAGSTER_URL``. The configuration may name another one, as that of
    `DagsterPostgresStorage` does. A connection that the server has closed is replaced before use. If the server is
    away, the run waits for it as it does for the warehouse. The events that Dagster stores together reach the storage
    together: if ``DAGSTER_EVENT_BATCH_SIZE`` is not set in a process, it is set.
    """

    def __init__(self, **settings: Any) -> None:
        """Create the storage with the settings of `DagsterPostgresStorage`."""
        os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(BATCH_SIZE))  # Dagster reads it for each event
        configure_logs()  # every process of Dagster creates its storage, after it has set up its own logs
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
            watch_connections(storage._engine)  # noqa: SLF001

    @classmethod
    def from_config_value(  # type: ignore[override]  # as in the class it derives from
        cls, inst_data: ConfigurableClassData | None, config_value: PostgresStorageConfig
    ) -> Self:
        """Create the storage from the configuration in ``dagster.yaml``, or in the database that the settings name.

        Raises:
            SettingsError: If neither names a database.
        """
        configured = config_value.get("postgres_url") or config_value.get("postgres_db")
        return cls(
            inst_data=inst_data,
            postgres_url=pg_url_from_config(config_value) if configured else _url_of_settings(),
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
            token_provider=get_token_provider_from_config(config_value),
        )


def _url_of_settings() -> str:
    """Return the URL of Dagster's storage.

    It has the driver by whose errors dagster-postgres recognises races of its first start.

    Raises:
        SettingsError: If no setting names a database, as where a server is embedded and no command has started it.
    """
    url = Settings.from_environment().dagster_url
    if url is None:
        raise SettingsError(
            "No setting names the database of Dagster's storage. Nothing was started. Set ETL_ASSETS_DAGSTER_URL or "
            "ETL_ASSETS_DATABASE_URL."
        )
    return url.replace("postgresql:", "postgresql+psycopg2:", 1)


class RepeatingRunStorage(PostgresRunStorage):
    """A run storage that looks up a run whose connection broke while it was stored, and stores what is missing.

    It looks up a column of Dagster's schema once: migrations only add columns.
    """

    _has_run_stats = False
    _has_backfill_id = False

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

    def has_run_stats_index_cols(self) -> bool:
        """Return whether runs have columns for their start and their end."""
        self._has_run_stats = self._has_run_stats or super().has_run_stats_index_cols()
        return self._has_run_stats

    def has_backfill_id_column(self) -> bool:
        """Return whether runs have a column for their backfill."""
        self._has_backfill_id = self._has_backfill_id or super().has_backfill_id_column()
        return self._has_backfill_id
