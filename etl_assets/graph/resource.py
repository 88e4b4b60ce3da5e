"""The resource that opens the warehouse. It reads the environment when a run begins and not before."""

from __future__ import annotations

from etl_assets.errors import SettingsError
from etl_assets.landing import LandingStore, Warehouse
from etl_assets.postgres.connection import connected
from etl_assets.postgres.migrations.migrate import require_current
from etl_assets.settings import Settings


def open_warehouse(*, wait: bool = False) -> Warehouse:
    """Return the warehouse and the landing store that the environment names.

    Args:
        wait: Whether to wait for a server that was reached before and does not answer. Runs do; ticks of sensors do
            not, because there will be another tick.

    Raises:
        SettingsError: If it names no warehouse, no server answers, or the server's tables have another version.
        EnvironmentFaultError: If a server was waited for and did not come back.
    """
    settings = Settings.from_environment()
    if settings.database_url is None:
        raise SettingsError(
            "ETL_ASSETS_DATABASE_URL is not set in this process. Nothing was read or written. Start Dagster with "
            "`etl-assets dev`, which runs a PostgreSQL server and names it; or set the variable to "
            "postgresql://user:password@host:port/name of a server of your own, then run: etl-assets migrate"
        )
    with connected(settings.database_url, wait=wait) as connection:
        require_current(connection)
    return Warehouse(settings.database_url, LandingStore(settings.landing_url))


class WarehouseResource:
    """The warehouse as a Dagster resource. It has no configuration, so no configuration can contain a secret."""

    def open(self) -> Warehouse:
        """Open the warehouse that the environment names, and wait for it. See `open_warehouse`."""
        return open_warehouse(wait=True)
