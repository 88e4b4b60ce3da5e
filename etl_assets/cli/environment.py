"""What a command works with: the settings, the databases, Dagster's home and the declared sources."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from etl_assets import project
from etl_assets.cli.suggestions import did_you_mean
from etl_assets.errors import EtlAssetsError, SettingsError
from etl_assets.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stamina.instrumentation import RetryDetails

    from etl_assets.catalog import Catalog
    from etl_assets.landing import Warehouse
    from etl_assets.local import Database
    from etl_assets.postgres.connection import Connection
    from etl_assets.source import Source

_INSTANCE_FILE = "dagster.yaml"
_PRIVATE_FOLDERS = ("dagster", "data_docs", "landing")
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class Environment:
    """The settings and databases of a command.

    Attributes:
        settings: The parsed settings.
        warehouse: The database and the landing store.
        databases: The URLs of both databases.
    """

    settings: Settings
    warehouse: Warehouse
    databases: Database

    @property
    def url(self) -> str:
        """URL of the warehouse."""
        return self.warehouse.url

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Connect to the warehouse for the length of a block.

        Raises:
            SettingsError: If its tables have another version.
        """
        from etl_assets.postgres.connection import connected
        from etl_assets.postgres.migrations.migrate import require_current

        with connected(self.url) as connection:
            require_current(connection)
            yield connection

    def require_current(self) -> None:
        """Raise `SettingsError` unless the tables of the warehouse have this version."""
        with self.connection():
            pass


@contextmanager
def environment(*, creates: bool = False) -> Iterator[Environment]:
    """Open the databases for the length of a block, and set the environment variables of Dagster and child processes.

    Args:
        creates: Whether to create the embedded server's data if there are none.

    Raises:
        SettingsError: If a setting is wrong, the database does not answer, or there is none and none is created.
    """
    from stamina.instrumentation import set_on_retry_hooks

    from etl_assets.landing import Warehouse
    from etl_assets.landing.store import LandingStore
    from etl_assets.local import database

    settings = Settings.from_environment()
    if not creates:
        require_warehouse(settings)
    _make_private(settings.home)
    set_on_retry_hooks([_log_retry])
    with database(settings) as databases:
        os.environ.update(
            ETL_ASSETS_HOME=str(settings.home),
            ETL_ASSETS_DATABASE_URL=databases.url,
            ETL_ASSETS_DAGSTER_URL=databases.dagster_url,
            DAGSTER_HOME=str(_dagster_home(settings)),
        )
        yield Environment(settings, Warehouse(databases.url, LandingStore(settings.landing_url)), databases)


def declared(settings: Settings | None = None) -> Catalog:
    """Load every file of sources that the settings name."""
    from etl_assets import catalog

    return catalog.of_settings(settings or Settings.from_environment())


def source_named(known: Catalog, name: str) -> Source:
    """Return the source with a name.

    Raises:
        BrokenFileError: If its file does not load.
        click.UsageError: If there is none.
    """
    if name in known.sources:
        return known.sources[name]
    if name in known.broken:
        raise known.broken[name].error
    names = ", ".join(known.sources) or "none"
    raise click.UsageError(
        f"There is no source {name!r}.{did_you_mean(name, known.sources)} Declared sources: {names}."
    )


def require_warehouse(settings: Settings) -> None:
    """Raise unless a server is named or the home has the data of one: an empty warehouse would answer nothing.

    Raises:
        SettingsError: If there is neither.
    """
    if settings.database_url is not None or os.path.lexists(settings.home / "postgres" / "data"):
        return
    found = project.current()
    file = f"found {found.file}" if found else f"none in {Path.cwd()} or above it"
    raise SettingsError(
        "There is no warehouse here. Nothing was started and nothing was created. These were looked for: "
        f"ETL_ASSETS_DATABASE_URL: not set. A project file, {project.FILE} with {project.TABLE}: {file}. Data of an "
        f"embedded server in {settings.home}: none. Go to the folder of your project, or name its database in "
        "ETL_ASSETS_DATABASE_URL or its local files in ETL_ASSETS_HOME. To create a warehouse here, run: etl-assets "
        "migrate"
    )


def _make_private(home: Path) -> None:
    """Let no other account read the folders in a home, of which earlier versions created some readable.

    The home itself stays as it is: it may be a folder that has other things, and root's database server passes through.
    """
    for folder in (home / name for name in _PRIVATE_FOLDERS):
        if folder.is_dir() and folder.stat().st_uid == os.geteuid() and folder.stat().st_mode & 0o077:
            folder.chmod(0o700)


def _log_retry(details: RetryDetails) -> None:
    """Log that something is tried again; the default hook of stamina would write to standard output."""
    if isinstance(details.caused_by, EtlAssetsError):
        _LOG.warning("Trying again in %.1f seconds. %s", details.wait_for, details.caused_by)


def _dagster_home(settings: Settings) -> Path:
    """Return Dagster's home: ``DAGSTER_HOME`` if that has an instance file, else a folder in our home."""
    configured = os.environ.get("DAGSTER_HOME", "")
    if configured and Path(configured, _INSTANCE_FILE).is_file():
        return Path(configured).absolute()
    home = settings.home / "dagster"
    settings.home.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    home.mkdir(mode=0o700, exist_ok=True)
    text = files("etl_assets.cli").joinpath(_INSTANCE_FILE).read_text()
    instance_file = home / _INSTANCE_FILE
    if not instance_file.is_file() or instance_file.read_text() != text:
        instance_file.write_text(text)
    return home
