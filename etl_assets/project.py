"""The project file: settings in ``[tool.etl_assets]`` of a ``pyproject.toml``, found in a folder or above it.

A key of the table is a setting, and stands for the variable ``ETL_ASSETS_…`` of its name; a variable of the environment
wins. Relative paths begin in the folder of the file. The file has no secrets: it is kept with the code.

``ETL_ASSETS_PROJECT`` names the folder of a project, for a process that works in another one. A file that belongs to
another account is read only if it is named this way, because what it names is executed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

from etl_assets.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FILE: Final = "pyproject.toml"
TABLE: Final = "[tool.etl_assets]"
_SECRET: Final = ("password", "channel", "celery", "secret")


@dataclass(frozen=True)
class Project:
    """A project.

    Attributes:
        folder: Absolute path of its folder.
        variables: The settings of its file, as the variables of the environment that they stand for.
        sources: The folders and packages of its sources, as its file has them.
    """

    folder: Path
    variables: Mapping[str, str]
    sources: tuple[str, ...]

    @property
    def file(self) -> Path:
        """The path of its file."""
        return self.folder / FILE


def current(environ: Mapping[str, str] | None = None) -> Project | None:
    """Return the project of this process: the one that the environment names, or that of the current folder.

    Args:
        environ: Variables and their values; the environment of this process by default.

    Raises:
        SettingsError: If a file is not valid, or belongs to another account.
    """
    named = (os.environ if environ is None else environ).get("ETL_ASSETS_PROJECT", "").strip()
    if named:
        folder = Path(named).expanduser().absolute()
        if (project := _of_file(folder / FILE)) is None:
            raise SettingsError(
                f"ETL_ASSETS_PROJECT names {folder}, which has no {FILE} with {TABLE} that this account may read. "
                "Nothing was started. Name the folder of a project, or unset it."
            )
        return project
    try:
        return of_folder(Path.cwd())
    except FileNotFoundError:  # the folder was deleted
        return None


def of_folder(start: Path) -> Project | None:
    """Return the project that a folder is in; None if there is no project file in it or above it.

    Raises:
        SettingsError: If the file is not valid, or belongs to another account.
    """
    for folder in (start, *start.parents):
        file = folder / FILE
        if (project := _of_file(file)) is not None:
            owner = file.stat().st_uid
            if owner not in {os.geteuid(), 0}:
                raise SettingsError(
                    f"{file} has {TABLE} and belongs to uid {owner}, and this process runs as uid {os.geteuid()}. "
                    "Nothing was started, because what the file names is executed. If you trust it, set "
                    f"ETL_ASSETS_PROJECT={folder}."
                )
            return project
    return None


def path_in_project(path: str) -> str:
    """Return a path of a declaration: a relative one begins in the folder of the project, if there is one.

    In that folder it stays as it is.
    """
    if Path(path).is_absolute() or (project := current()) is None or project.folder == Path.cwd():
        return path
    return str(project.folder / path)


def _of_file(file: Path) -> Project | None:
    """Return the project of a file; None if there is none, or another account's that this one may not read."""
    try:
        state = file.stat()
        return _read(file, state.st_mtime_ns, state.st_size)
    except OSError:
        return None


@lru_cache(maxsize=8)
def _read(file: Path, _changed: int, _size: int) -> Project | None:
    """Return the project of a file; None if the file has no table of settings."""
    import tomllib  # noqa: PLC0415 -- most commands run where no file is

    raw = file.read_bytes()
    if b"etl_assets" not in raw:
        return None
    try:
        table = tomllib.loads(raw.decode()).get("tool", {}).get("etl_assets")
    except ValueError as error:
        raise SettingsError(f"{file} cannot be read: {error}. Nothing was started. Correct it.") from None
    if table is None:
        return None
    if not isinstance(table, dict):
        raise SettingsError(f"tool.etl_assets in {file} is no table. Nothing was started. Write {TABLE}.")
    variables = {f"ETL_ASSETS_{key.upper()}": _value(file, key, value) for key, value in table.items()}
    variables.setdefault("ETL_ASSETS_HOME", str(file.parent / ".etl_assets"))
    return Project(file.parent, variables, tuple(table.get("sources", ())))


def _value(file: Path, key: str, value: Any) -> str:
    """Return a setting as the value of its variable."""
    if key not in _KINDS:
        secret = any(word in key.lower() for word in _SECRET)
        variable = f"ETL_ASSETS_{key.upper()}"
        remedy = f"Set the variable {variable}, or {variable}_FILE to the path of a file" if secret else _like(key)
        problem = "is a secret, which does not belong in a file with code" if secret else "is no setting"
        raise SettingsError(f"{file}: {key!r} of {TABLE} {problem}. Nothing was started. {remedy}.")
    kind, needed = _KINDS[key]
    text = kind(file.parent, value)
    if text is None:
        raise SettingsError(f"{file}: {key!r} of {TABLE} is not valid. Nothing was started. Write {needed}.")
    return text


def _like(key: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 -- only for an error

    near = get_close_matches(key, _KINDS, 1)
    return f"Write {near[0]!r}" if near else f"Write one of {', '.join(_KINDS)}"


def _path(folder: Path, value: Any) -> str | None:
    return str((folder / Path(value).expanduser()).absolute()) if isinstance(value, str) and value.strip() else None


def _location(folder: Path, value: Any) -> str | None:
    return value if isinstance(value, str) and "://" in value else _path(folder, value)


def _places(folder: Path, value: Any) -> str | None:
    if not isinstance(value, list) or not all(isinstance(part, str) and part.strip() for part in value):
        return None
    return ":".join(str(folder / part) if (folder / part).is_dir() else part for part in value)


def _words(_: Path, value: Any) -> str | None:
    return ",".join(value) if isinstance(value, list) and all(isinstance(part, str) for part in value) else None


def _text(_: Path, value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _number(_: Path, value: Any) -> str | None:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _yes_or_no(_: Path, value: Any) -> str | None:
    return ("yes" if value else "no") if isinstance(value, bool) else None


def _database(_: Path, value: Any) -> str | None:
    """Return the URL of a database; None if it has a password."""
    if not isinstance(value, str) or "://" not in value:
        return None
    try:
        parts = urlsplit(value)
    except ValueError:  # a bracket that is not of an address
        return None
    return None if parts.password or "password" in dict(parse_qsl(parts.query)) else value


_DATABASE: Final = "postgresql://user@host:port/name, and the password in ETL_ASSETS_DATABASE_PASSWORD or its _FILE"
_KINDS: Final[Mapping[str, tuple[Callable[[Path, Any], str | None], str]]] = {
    "sources": (_places, 'a list of folders and packages, as ["feeds"]'),
    "bundled": (_yes_or_no, "true or false"),
    "home": (_path, "the path of a folder"),
    "database_url": (_database, _DATABASE),
    "dagster_url": (_database, _DATABASE.replace("DATABASE_PASSWORD", "DAGSTER_PASSWORD")),
    "landing_url": (_location, "a folder, or a URL of fsspec"),
    "port": (_number, "a number"),
    "database_wait": (_number, "a number of seconds"),
    "event_days": (_number, "a number of days"),
    "log_format": (_text, '"text" or "json"'),
    "ui_url": (_text, '"http://host:port"'),
    "status_url": (_text, '"https://host/status"'),
    "ui_hosts": (_words, "a list of hosts"),
    "inbox": (_path, "the path of a folder"),
    "workspace": (_path, "the path of a file"),
}
"""How each setting becomes the value of a variable, and what to write."""
