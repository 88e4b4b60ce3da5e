"""Dagster's storage in Postgres, with connections that stay open.

dagster-postgres opens a new connection for every statement, so that none stays open. Each connection costs a handshake,
which is slow on purpose. A run with sixty checks opens about eight hundred connections; they take several times as long
as the load. Here each of the three storages of a process keeps one connection and opens others when it needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import create_pg_engine, get_token_provider_from_config, pg_url_from_config

if TYPE_CHECKING:
    from dagster._core.storage.config import PostgresStorageConfig
    from dagster._serdes import ConfigurableClassData

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
        config:
          postgres_url:
            env: ETL_ASSETS_DAGSTER_STORAGE_URL
    ```

    The pool checks a connection before it uses it, and replaces one that the server has closed.
    """

    def __init__(self, **settings: Any) -> None:
        """Create the storage with the settings of `DagsterPostgresStorage`."""
        super().__init__(**settings)
        for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
            storage._engine.dispose()  # noqa: SLF001 -- there is no other way to set the pool
            storage._engine = create_pg_engine(  # noqa: SLF001
                self.postgres_url,
                settings.get("token_provider"),
                isolation_level="AUTOCOMMIT",
                pool_size=POOL_SIZE,
                max_overflow=MAX_OVERFLOW,
                pool_pre_ping=True,
                pool_recycle=RECYCLE_SECONDS,
            )

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
