"""The settings, read once from the environment and the project file. No other module reads ``ETL_ASSETS_*``.

A variable wins over the file, whose settings are in module `project`.

============================ =========================================================================================
``ETL_ASSETS_HOME``          folder of all local files; by default ``.etl_assets`` in the folder of the project, or else
                             in the current folder
``ETL_ASSETS_DATABASE_URL``  the warehouse, ``postgresql://user:password@host:port/name``; an embedded server by default
``ETL_ASSETS_DAGSTER_URL``   Dagster's storage; the database ``<name>_dagster`` on the warehouse's server by default
``ETL_ASSETS_LANDING_URL``   the landing store, a folder or an fsspec URL; ``<home>/landing`` by default
``ETL_ASSETS_DATABASE_PASSWORD``, ``ETL_ASSETS_DAGSTER_PASSWORD``
                             password for the URL of that database, if the URL has none
``ETL_ASSETS_SOURCES``       packages and folders with sources, separated by colons, besides the bundled ones
``ETL_ASSETS_BUNDLED``       ``no`` leaves out the bundled sources
``ETL_ASSETS_PORT``          TCP port of the embedded server; chosen by the operating system by default
``ETL_ASSETS_DATABASE_WAIT`` seconds that a run waits for a database that is away; 300 by default
``ETL_ASSETS_LOG_FORMAT``    ``json`` for logs as one JSON object a line; ``text`` by default
``ETL_ASSETS_EVENT_DAYS``    days after which Dagster's events may be deleted; 180 by default; with 0, every event stays
``ETL_ASSETS_CHANNEL_NAME``  Apprise URL of the channel ``name`` for alerts; one variable for each channel
``ETL_ASSETS_UI_URL``        URL of the Dagster UI, for links to it; ``http://127.0.0.1:3000`` by default
``ETL_ASSETS_STATUS_URL``    URL of the pages of ``etl-assets status``, for links to them; none by default
``ETL_ASSETS_UI_HOSTS``      hosts under which ``etl-assets dev`` answers, separated by commas, besides loopback and the
                             host of ``ETL_ASSETS_UI_URL``
``ETL_ASSETS_INBOX``         folder of the files that publishers send; ``<home>/inbox`` by default
``ETL_ASSETS_WORKSPACE``     file of the code locations to watch; ``workspace.yaml`` in ``DAGSTER_HOME`` by default
``ETL_ASSETS_SECRETS``       folder of files with secrets, each named like its secret; ``/run/secrets`` by default
``ETL_ASSETS_PROJECT``       folder of the project file; the current folder or the nearest above it by default
============================ =========================================================================================

Each password and each channel may be in a file instead, which the variable with ``_FILE`` at its end names.

Two are secrets, which may also be in files. ``ETL_ASSETS_CELERY_BROKER_URL`` is the broker from which workers take
runs, ``amqp://user:password@host:5672//``, and ``ETL_ASSETS_CELERY_RESULTS_URL`` where the states of their tasks are
kept, ``redis://:password@host:6379/0``.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from etl_assets import project
from etl_assets.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

_HIGHEST_PORT = 65535
_DATABASE_WAIT = 300.0
_EVENT_DAYS = 180
_CHANNEL = re.compile(r"ETL_ASSETS_CHANNEL_([A-Z][A-Z0-9_]*)(?<!_FILE)")
_IN_FILE = re.compile(r"(ETL_ASSETS_(?:DATABASE_PASSWORD|DAGSTER_PASSWORD|CHANNEL_[A-Z][A-Z0-9_]*))_FILE")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f:]*:[0-9a-f:.]*")
_SECRET = re.compile("PASS|SECRET|TOKEN|KEY|CREDENTIAL|AUTH|URL|DSN|CHANNEL", re.IGNORECASE)
_SHORTEST_SECRET = 4
_SECRETS = "/run/secrets"
_read_secrets: set[str] = set()
"""The values that `read_secret` returned in this process."""
_PACKAGE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True, kw_only=True, repr=False)
class Settings:
    """The parsed settings. The repr masks passwords; the attributes contain them."""

    home: Path
    """Absolute path of the folder of all local files. May not exist yet."""

    database_url: str | None = None
    """URL of the warehouse in libpq's form; None means the embedded server."""

    dagster_url: str | None = None
    """URL of Dagster's storage in libpq's form; None means the one of the embedded server."""

    landing_url: str
    """Absolute path, or fsspec URL, of the landing store."""

    sources: tuple[str, ...] = ()
    """Import names of packages, and absolute paths of folders."""

    bundled: bool = True
    """Whether the bundled sources are loaded too."""

    port: int | None = None
    """TCP port of the embedded server; None means any."""

    channels: Mapping[str, str] = field(default_factory=dict)
    """Apprise URLs by names of channels, in lower case. The URLs are secrets."""

    ui_url: str = "http://127.0.0.1:3000"
    """URL of the Dagster UI, without a slash at the end."""

    status_url: str = ""
    """URL of the pages of ``etl-assets status``, without a slash at the end; empty if they are not served."""

    ui_hosts: frozenset[str] = frozenset()
    """Hosts under which the UI is reached, in lower case and without ports, in addition to those of loopback."""
    database_wait: float = _DATABASE_WAIT
    """Seconds that a run waits for a database that is away."""

    event_days: int = _EVENT_DAYS
    """Days after which Dagster's events may be deleted; 0 means never."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings from environment variables, and from the project file what they do not say.

        Args:
            environ: Variables and their values; those of this process and its project by default. An empty variable
                counts as absent.

        Raises:
            SettingsError: If a variable is not valid. The text names it and says what to write.
        """
        given = _with_files({name: value for name, value in variables(environ).items() if value.strip()})
        home = _home(given)
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
            bundled=_is_yes(given, "ETL_ASSETS_BUNDLED"),
            port=_port(given["ETL_ASSETS_PORT"]) if "ETL_ASSETS_PORT" in given else None,
            channels={
                match[1].lower(): _channel(name, value)
                for name, value in sorted(given.items())
                if (match := _CHANNEL.fullmatch(name))
            },
            ui_url=_page(given, "ETL_ASSETS_UI_URL", cls.ui_url),
            status_url=_page(given, "ETL_ASSETS_STATUS_URL", cls.status_url),
            ui_hosts=_ui_hosts(given),
            database_wait=database_wait(given),
            event_days=event_days(given),
        )

    def __repr__(self) -> str:
        values = ((attribute.name, getattr(self, attribute.name)) for attribute in fields(self))
        return f"Settings({', '.join(f'{name}={_masked(value)!r}' for name, value in values)})"


def variables(environ: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """Return the variables of the environment, and those that the project file stands for, unless they are set.

    Args:
        environ: Variables and their values, without a project; those of this process and its project by default.

    Raises:
        SettingsError: If the project file is not valid.
    """
    if environ is not None:
        return environ
    set_here = {name: value for name, value in os.environ.items() if value.strip()}
    found = project.current()
    if found is None:
        return set_here
    of_project = dict(found.variables)
    if "ETL_ASSETS_DATABASE_URL" in set_here:
        of_project.pop("ETL_ASSETS_DAGSTER_URL", None)  # it belongs to the database that the file names
    return of_project | set_here


def read_secret(name: str) -> str:
    """Return the value of a secret: of a variable, of the file that ``NAME_FILE`` names, or of the folder of secrets.

    Line ends at the end of a file are no part of the value.

    Raises:
        SettingsError: If there is no value. The text has the name alone.
    """
    value = os.environ.get(name, "")
    if not value:
        folder = os.environ.get("ETL_ASSETS_SECRETS", "").strip() or _SECRETS
        path = Path(os.environ.get(f"{name}_FILE", "").strip() or f"{folder}/{name}")
        try:
            value = _in_file(path)
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"There is no secret {name}: the variable is not set, and its file cannot be read "
                f"({type(error).__name__}). Nothing was fetched. Set {name}, or {name}_FILE to the path of a file."
            ) from None
    if not value:
        raise SettingsError(
            f"The secret {name} is empty. Nothing was fetched. Write its value to the file or variable."
        )
    _read_secrets.add(value)
    return value


def _in_file(path: Path) -> str:
    """Return the value in a file. Line ends at its end are no part of it."""
    return path.read_text(encoding="utf-8").rstrip("\r\n")


def _with_files(given: Mapping[str, str]) -> dict[str, str]:
    """Add the variables whose values are in files, those that ``NAME_FILE`` names; remember these values as secrets.

    Raises:
        SettingsError: If a file cannot be read or is empty, or if both variables are set.
    """
    added: dict[str, str] = {}
    for variable, path in given.items():
        if not (match := _IN_FILE.fullmatch(variable)):
            continue
        name = match[1]
        if name in given:
            raise SettingsError(f"Both {name} and {variable} are set. Nothing was started. Unset one of them.")
        try:
            value = _in_file(Path(path.strip()))
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"{variable} names a file that cannot be read ({type(error).__name__}). Nothing was started. Write "
                "the path of a file that this account may read."
            ) from None
        if not value.strip():
            raise SettingsError(f"The file that {variable} names is empty. Nothing was started. Write the value to it.")
        added[name] = value
        _read_secrets.add(value)
    return {**given, **added}


def inbox_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Return the absolute path of the folder in which each source that receives files has its own.

    Args:
        environ: Variables and their values; the environment of this process by default.
    """
    given = variables(environ)
    return Path(given.get("ETL_ASSETS_INBOX", "").strip() or _home(given) / "inbox").expanduser().absolute()


def workspace_file(environ: Mapping[str, str] | None = None) -> Path:
    """Return the path of the file that names the code locations: ``workspace.yaml`` in ``DAGSTER_HOME`` by default.

    Args:
        environ: Variables and their values; the environment of this process by default.
    """
    given = variables(environ)
    named = given.get("ETL_ASSETS_WORKSPACE", "").strip()
    return Path(named or Path(given.get("DAGSTER_HOME", "").strip(), "workspace.yaml")).expanduser().absolute()


def _home(given: Mapping[str, str]) -> Path:
    return Path(given.get("ETL_ASSETS_HOME", "").strip() or ".etl_assets").expanduser().absolute()


def mask_secrets(text: str) -> str:
    """Mask in a text the secrets that were read, passwords of URLs, and the values of variables that may be secrets.

    The name of a variable suggests whether it is a secret.
    """
    values = [value for name, value in os.environ.items() if _SECRET.search(name)]
    values += _read_secrets
    values += [urlsplit(value).password or "" for value in os.environ.values() if "://" in value]
    values += [unquote(value) for value in values]
    for value in sorted({value for value in values if len(value) >= _SHORTEST_SECRET}, key=len, reverse=True):
        text = text.replace(value, "***")
    return text


def with_database(url: str, name: str) -> str:
    """Return the URL of another database of the same server; ``name`` must be percent-encoded already."""
    return _joined(urlsplit(url)._replace(path=f"/{name}"))


def database_wait(environ: Mapping[str, str] | None = None) -> float:
    """Return how many seconds a run waits for a database that is away.

    Args:
        environ: Variables and their values; the environment of this process by default.

    Raises:
        SettingsError: If ``ETL_ASSETS_DATABASE_WAIT`` is not a number of seconds.
    """
    return _whole_number(environ, "ETL_ASSETS_DATABASE_WAIT", "seconds", _DATABASE_WAIT, "no run waits")


def event_days(environ: Mapping[str, str] | None = None) -> int:
    """Return after how many days Dagster's events may be deleted; 0 means never.

    Args:
        environ: Variables and their values; the environment of this process by default.

    Raises:
        SettingsError: If ``ETL_ASSETS_EVENT_DAYS`` is not a number of days.
    """
    return int(_whole_number(environ, "ETL_ASSETS_EVENT_DAYS", "days", _EVENT_DAYS, "every event stays"))


def logs_as_json(environ: Mapping[str, str] | None = None) -> bool:
    """Return whether logs are written as JSON.

    Args:
        environ: Variables and their values; the environment of this process by default.

    Raises:
        SettingsError: If ``ETL_ASSETS_LOG_FORMAT`` is neither ``text`` nor ``json``.
    """
    value = variables(environ).get("ETL_ASSETS_LOG_FORMAT", "").strip().lower() or "text"
    if value not in {"text", "json"}:
        raise SettingsError("ETL_ASSETS_LOG_FORMAT is not a format. Nothing was started. Write text, or json.")
    return value == "json"


def _whole_number(environ: Mapping[str, str] | None, variable: str, unit: str, default: float, with_zero: str) -> float:
    """Return the whole number in a variable, or its default if the variable is absent or empty."""
    value = variables(environ).get(variable, "").strip()
    if not value.isdecimal() and value:
        raise SettingsError(
            f"{variable} is not a number of {unit}. Nothing was started. Write a whole number, such as {default:g}; "
            f"with 0, {with_zero}."
        )
    return float(value) if value else default


def _database_url(given: Mapping[str, str], variable: str) -> str | None:
    """Return a database URL without SQLAlchemy's driver, or None if the variable is absent."""
    if variable not in given:
        return None
    parts = _database_parts(given[variable].strip())
    if parts is None:
        raise SettingsError(
            f"{variable} is not the URL of a PostgreSQL database. Nothing was started. Write "
            "postgresql://user:password@host:port/name, with special characters percent-encoded."
        )
    password = given.get(variable.removesuffix("_URL") + "_PASSWORD")
    if password is not None and parts.password is None:
        user, _, host = parts.netloc.rpartition("@")
        if not user:
            raise SettingsError(
                f"{variable} has no user for the password in {variable.removesuffix('_URL')}_PASSWORD. Nothing was "
                "started. Write postgresql://user@host:port/name."
            )
        parts = parts._replace(netloc=f"{user.removesuffix(':')}:{quote(password, safe='')}@{host}")
    return _joined(parts._replace(scheme="postgresql"))


def _database_parts(url: str) -> SplitResult | None:
    """Return the parts of a database URL; None if it is none, or if a password in it ends where it should not."""
    try:
        parts = urlsplit(url)
    except ValueError:  # a bracket that is not of an address
        return None
    is_postgres = parts.scheme.partition("+")[0] in {"postgresql", "postgres"}
    is_whole = parts.netloc.count("@") <= 1 and "@" not in parts.path
    return parts if is_postgres and is_whole and parts.path.removeprefix("/") else None


def _joined(parts: SplitResult) -> str:
    """Join the parts of a URL; keep the two slashes even without a host, which ``urlunsplit`` would drop."""
    return f"{parts.scheme}://{parts.netloc}{parts.path}{parts.query and '?'}{parts.query}"


def _location(value: str) -> str:
    """Return a URL unchanged, and a path as an absolute path."""
    return value if "://" in value else str(Path(value).expanduser().absolute())


def _source(part: str) -> str:
    """Return the import name of a package unchanged, and a folder as an absolute path."""
    name = part.strip()
    folder = Path(name).expanduser().absolute()
    if folder.is_dir():
        return str(folder)
    if _PACKAGE.fullmatch(name):
        return name
    raise SettingsError(
        f"ETL_ASSETS_SOURCES, or sources in the project file, names {name!r}, which is neither a folder nor the import "
        "name of a package. Nothing was started. Correct it. A relative path of a folder begins in the folder of the "
        f"project file, or in {Path.cwd()}."
    )


def _is_yes(given: Mapping[str, str], variable: str) -> bool:
    """Return whether a variable says yes; an absent one does."""
    value = given.get(variable, "yes").strip().lower()
    if value not in {"yes", "no"}:
        raise SettingsError(f"{variable} is {value!r}. Nothing was started. Write yes or no.")
    return value == "yes"


def _port(value: str) -> int:
    if not value.strip().isdecimal() or not 0 < int(value) <= _HIGHEST_PORT:
        raise SettingsError(
            f"ETL_ASSETS_PORT is not a port. Nothing was started. Write a number from 1 to {_HIGHEST_PORT}."
        )
    return int(value)


def _channel(variable: str, value: str) -> str:
    """Return the one URL of a channel. With two URLs, a retry after one failed would send twice to the other."""
    url = value.strip()
    if "://" not in url or any(map(str.isspace, url)):
        raise SettingsError(
            f"{variable} is not an Apprise URL. Nothing was sent. Write one URL, such as mailto://… or slack://…, and "
            "give each further URL its own channel; see https://appriseit.com/services"
        )
    return url


def _page(given: Mapping[str, str], variable: str, default: str) -> str:
    """Return the URL of a web page, without a slash at its end."""
    if variable not in given:
        return default
    url = given[variable].strip().rstrip("/")
    if urlsplit(url).scheme not in {"http", "https"}:
        raise SettingsError(f"{variable} is not the URL of a web page. Nothing was started. Write http://host:port.")
    return url


def _ui_hosts(given: Mapping[str, str]) -> frozenset[str]:
    """Return the hosts that are declared, and that of the URL of the UI."""
    hosts = {name.strip().lower() for name in given.get("ETL_ASSETS_UI_HOSTS", "").split(",") if name.strip()}
    if wrong := sorted(name for name in hosts if not _HOST.fullmatch(name)):
        raise SettingsError(
            f"ETL_ASSETS_UI_HOSTS names {wrong[0]!r}, which is not a host. Nothing was started. Write names such as "
            "dagster.example.org, without http:// and without a port, separated by commas."
        )
    if (host := urlsplit(given.get("ETL_ASSETS_UI_URL", "").strip()).hostname) is not None:
        hosts.add(host)
    return frozenset(hosts)


def _masked(value: object) -> object:
    """Return a value without secrets: mask the password and the query of a URL, and the URLs of channels."""
    if isinstance(value, dict):
        return dict.fromkeys(value, "***")
    if not isinstance(value, str) or "://" not in value:
        return value
    parts = urlsplit(value)
    credentials, at, host = parts.netloc.rpartition("@")
    user, colon, _ = credentials.partition(":")
    netloc = f"{user}{colon and ':***'}{at}{host}"
    return _joined(parts._replace(netloc=netloc, query=parts.query and "***"))
