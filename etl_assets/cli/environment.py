"""What a command works with: settings, the database held for its length, Dagster's home, the declared sources."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import click

from etl_assets import catalog
from etl_assets.landing import Warehouse
from etl_assets.landing.store import LandingStore
from etl_assets.local import database
from etl_assets.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from etl_assets.local import Database
    from etl_assets.source import Source

_INSTANCE_FILE = "dagster.yaml"


@dataclass(frozen=True)
class Environment:
    """What a command that needs the database is given.

    Attributes:
        settings: The environment, understood.
        warehouse: The database and the landing store.
        databases: Where both databases are.
    """

    settings: Settings
    warehouse: Warehouse
    databases: Database

    @property
    def url(self) -> str:
        """Of the warehouse."""
        return self.warehouse.url


@contextmanager
def environment() -> Iterator[Environment]:
    """The databases, held for the length of a block and made known to Dagster, in this process and its children.

    Raises:
        SettingsError: If a setting is wrong, or the database does not answer.
    """
    settings = Settings.from_environment()
    with database(settings) as databases:
        os.environ.update(
            ETL_ASSETS_HOME=str(settings.home),
            ETL_ASSETS_DATABASE_URL=databases.url,
            ETL_ASSETS_DAGSTER_URL=databases.dagster_url,
            ETL_ASSETS_DAGSTER_STORAGE_URL="postgresql+psycopg2://" + databases.dagster_url.split("://", 1)[1],
            DAGSTER_HOME=str(_dagster_home(settings)),
        )
        yield Environment(settings, Warehouse(databases.url, LandingStore(settings.landing_url)), databases)


def declared(settings: Settings | None = None) -> Mapping[str, Source]:
    """Every declared source, by name."""
    return catalog.find((settings or Settings.from_environment()).sources)


def named(sources: Mapping[str, Source], name: str) -> Source:
    """The source of that name.

    Raises:
        click.UsageError: If there is none.
    """
    if name not in sources:
        known = ", ".join(sources) or "none"
        raise click.UsageError(f"There is no source {name!r}. Declared are: {known}.")
    return sources[name]


def _dagster_home(settings: Settings) -> Path:
    """Dagster's home: the one that the environment names, if it has an instance file, or else our own."""
    given = os.environ.get("DAGSTER_HOME", "")
    if given and Path(given, _INSTANCE_FILE).is_file():
        return Path(given).absolute()
    home = settings.home / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    told = files("etl_assets.cli").joinpath(_INSTANCE_FILE).read_text()
    instance_file = home / _INSTANCE_FILE
    if not instance_file.is_file() or instance_file.read_text() != told:
        instance_file.write_text(told)
    return home
