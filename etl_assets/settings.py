"""What the environment says, read once. No other module reads ``ETL_ASSETS_*``.

=========================== ==========================================================================================
``ETL_ASSETS_HOME``         folder of everything kept locally; ``.etl_assets`` in the current folder by default
``ETL_ASSETS_DATABASE_URL`` the warehouse, ``postgresql://user:password@host:port/name``; an embedded one by default
``ETL_ASSETS_DAGSTER_URL``  Dagster's storage; by default, the database ``<name>_dagster`` beside the warehouse
``ETL_ASSETS_LANDING_URL``  where deliveries are frozen, a folder or an fsspec URL; ``<home>/landing`` by default
``ETL_ASSETS_SOURCES``      packages and folders with sources, separated by colons, besides the bundled ones
``ETL_ASSETS_PORT``         TCP port of the embedded server; chosen by the operating system by default
``ETL_ASSETS_CHANNEL_NAME`` where alerts for the channel ``name`` go, an Apprise URL; as many channels as there are such
``ETL_ASSETS_UI_URL``       of the Dagster UI, for links in messages; ``http://127.0.0.1:3000`` by default
=========================== ==========================================================================================
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from etl_assets.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

_HIGHEST_PORT = 65535
_CHANNEL = re.compile(r"ETL_ASSETS_CHANNEL_([A-Z][A-Z0-9_]*)")
_PACKAGE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True, kw_only=True, repr=False)
class Settings:
    """The environment, understood. Its repr masks passwords; its values hold them."""

    home: Path
    """Absolute. May not exist yet."""

    database_url: str | None = None
    """The warehouse in libpq's form; None: the embedded server."""

    dagster_url: str | None = None
    """Dagster's storage in libpq's form; None: the embedded server's."""

    landing_url: str
    """Absolute path, or fsspec URL, of the landing store."""

    sources: tuple[str, ...] = ()
    """Import names of packages, and absolute paths of folders."""

    port: int | None = None
    """Of the embedded server; None: any."""

    channels: Mapping[str, str] = field(default_factory=dict)
    """Apprise URLs by the names of the channels, which are in lower case. Secrets."""

    ui_url: str = "http://127.0.0.1:3000"
    """Of the Dagster UI, without a slash at the end."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings.

        Args:
            environ: Variables and their values; this process's environment by default. A variable that is empty counts
                as absent.

        Raises:
            SettingsError: A variable has no meaning; names it and says what to write.
        """
        given = {name: value for name, value in (os.environ if environ is None else environ).items() if value.strip()}
        home = Path(given.get("ETL_ASSETS_HOME", ".etl_assets")).expanduser().absolute()
        database_url = _database_url(given, "ETL_ASSETS_DATABASE_URL")
        dagster_url = _database_url(given, "ETL_ASSETS_DAGSTER_URL")
        if database_url and not dagster_url:
            dagster_url = with_database(database_url, f"{urlsplit(database_url).path.removeprefix('/')}_dagster")
        return cls(
            home=home,
            database_url=database_url,
            dagster_url=dagster_url,
            landing_url=_location(given["ETL_ASSETS_LANDING_URL"])
            if "ETL_ASSETS_LANDING_URL" in given
            else f"{home}/landing",
            sources=tuple(_source(part) for part in given.get("ETL_ASSETS_SOURCES", "").split(":") if part.strip()),
            port=_port(given["ETL_ASSETS_PORT"]) if "ETL_ASSETS_PORT" in given else None,
            channels={
                match[1].lower(): _channel(name, value)
                for name, value in sorted(given.items())
                if (match := _CHANNEL.fullmatch(name))
            },
            ui_url=_ui_url(given["ETL_ASSETS_UI_URL"]) if "ETL_ASSETS_UI_URL" in given else cls.ui_url,
        )

    def __repr__(self) -> str:
        shown = ((each.name, getattr(self, each.name)) for each in fields(self))
        return f"Settings({', '.join(f'{name}={_masked(value)!r}' for name, value in shown)})"


def with_database(url: str, name: str) -> str:
    """The URL of another database of the same server; ``name`` is percent-encoded already."""
    return _joined(urlsplit(url)._replace(path=f"/{name}"))


def _database_url(given: Mapping[str, str], variable: str) -> str | None:
    """A database URL without SQLAlchemy's driver, or None."""
    if variable not in given:
        return None
    parts = urlsplit(given[variable].strip())
    scheme = parts.scheme.partition("+")[0]
    if scheme not in {"postgresql", "postgres"} or not parts.path.removeprefix("/"):
        raise SettingsError(
            f"{variable} is not the URL of a PostgreSQL database. Nothing was started. Write "
            "postgresql://user:password@host:port/name, with special characters percent-encoded."
        )
    return _joined(parts._replace(scheme="postgresql"))


def _joined(parts: SplitResult) -> str:
    """The URL of its parts, with the two slashes even where no host follows (``urlunsplit`` would drop them)."""
    return f"{parts.scheme}://{parts.netloc}{parts.path}{parts.query and '?'}{parts.query}"


def _location(value: str) -> str:
    """A URL as it is, a path made absolute."""
    return value if "://" in value else str(Path(value).expanduser().absolute())


def _source(part: str) -> str:
    """A package's import name as it is, a folder made absolute."""
    name = part.strip()
    folder = Path(name).expanduser().absolute()
    if folder.is_dir():
        return str(folder)
    if _PACKAGE.fullmatch(name):
        return name
    raise SettingsError(
        f"ETL_ASSETS_SOURCES names {name!r}, which is neither a folder nor the import name of a package. Nothing was "
        f"started. A relative folder is looked for in {Path.cwd()}."
    )


def _port(value: str) -> int:
    if not value.strip().isdecimal() or not 0 < int(value) <= _HIGHEST_PORT:
        raise SettingsError(
            f"ETL_ASSETS_PORT is not a port. Nothing was started. Write a number from 1 to {_HIGHEST_PORT}."
        )
    return int(value)


def _channel(variable: str, value: str) -> str:
    """One URL: a channel with two, of which one fails, would be told twice by the other."""
    url = value.strip()
    if "://" not in url or any(map(str.isspace, url)):
        raise SettingsError(
            f"{variable} is not an Apprise URL. Nothing was sent. Write one URL, such as mailto://… or slack://…, and "
            "give each further one a channel of its own; see https://appriseit.com/services"
        )
    return url


def _ui_url(value: str) -> str:
    url = value.strip().rstrip("/")
    if urlsplit(url).scheme not in {"http", "https"}:
        raise SettingsError(
            "ETL_ASSETS_UI_URL is not the URL of a web page. Nothing was started. Write http://host:port."
        )
    return url


def _masked(value: object) -> object:
    """A value fit to be shown: of a URL, neither the password nor the query, which may hold one; of channels, names."""
    if isinstance(value, dict):
        return dict.fromkeys(value, "***")
    if not isinstance(value, str) or "://" not in value:
        return value
    parts = urlsplit(value)
    credentials, at, host = parts.netloc.rpartition("@")
    user, colon, _ = credentials.partition(":")
    netloc = f"{user}{colon and ':***'}{at}{host}"
    return _joined(parts._replace(netloc=netloc, query=parts.query and "***"))
