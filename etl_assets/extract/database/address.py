"""Addresses of databases: URLs without a login."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from etl_assets.errors import DeclarationError

Backend = Literal["postgresql", "mysql", "sqlite", "sqlserver", "oracle", "duckdb"]
_BACKENDS: Final[dict[str, Backend]] = {
    "postgresql": "postgresql",
    "mysql": "mysql",
    "mysql+pymysql": "mysql",
    "mariadb": "mysql",
    "mariadb+pymysql": "mysql",
    "sqlite": "sqlite",
    "mssql": "sqlserver",
    "mssql+pymssql": "sqlserver",
    "oracle": "oracle",
    "oracle+oracledb": "oracle",
    "duckdb": "duckdb",
}
_PORTS: Final[dict[Backend, int]] = {"postgresql": 5432, "mysql": 3306, "sqlserver": 1433, "oracle": 1521}
_OPTIONS: Final[dict[Backend, str]] = {"postgresql": "host", "mysql": "unix_socket", "oracle": "service_name"}
"""What the query of a URL may say: the folder or path of a socket, or the service."""
_FILES: Final = ("sqlite", "duckdb")
_THIS_MACHINE: Final = ("", "localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Address:
    """Where a database is.

    Attributes:
        url: As declared; it has no login.
        backend: The kind of database.
        host: Name or address of the server; empty for a file and for a socket.
        port: Of the server.
        database: Name of the database, or path of the file.
        option: Path of a socket, or the service of Oracle.
    """

    url: str
    backend: Backend
    host: str = ""
    port: int = 0
    database: str = ""
    option: str = ""

    @property
    def is_file(self) -> bool:
        """Whether the database is a file of this machine."""
        return self.backend in _FILES

    @property
    def is_local(self) -> bool:
        """Whether the database is on this machine."""
        return self.is_file or self.host in _THIS_MACHINE

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.database).expanduser()


def address_of(url: str, where: str) -> Address:
    """Return the address that a URL means.

    Raises:
        DeclarationError: If it means none, or has a login.
    """
    scheme, separator, rest = url.partition("://")
    backend = _BACKENDS.get(scheme)
    if not separator or backend is None:
        shown = f"begins with {scheme!r}, which is no known kind of database" if separator else "is no URL"
        known = ", ".join(sorted(f"{name}://" for name in _BACKENDS))
        raise DeclarationError(where, "url", shown, f"Write a URL that begins with one of {known}")
    if "@" in rest.partition("?")[0] and (backend not in _FILES or "@" in rest.partition("/")[0]):
        remedy = "Leave it out, and declare access=Database(user='…', password=Secret('…'))"
        raise DeclarationError(where, "url", "contains a login, or an @ that is not written as %40", remedy)
    if backend in _FILES:
        return _file_of(url, backend, rest, where)
    return _server_of(url, backend, where)


def _file_of(url: str, backend: Backend, rest: str, where: str) -> Address:
    host, slash, path = rest.partition("/")
    if host or not slash or not path or path == ":memory:" or "?" in path:
        remedy = f"Write {backend}:///folder/file.db, or {backend}:////folder/file.db for a path from the root"
        raise DeclarationError(where, "url", "names no file", remedy)
    return Address(url, backend, database=unquote(path))


def _server_of(url: str, backend: Backend, where: str) -> Address:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise DeclarationError(where, "url", "cannot be read", "Write postgresql://host:5432/database") from None
    known = _OPTIONS.get(backend)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(set(options) - {known}):
        remedy = f"Leave it out; {known}=… alone may be there" if known else "Leave out all that follows the '?'"
        raise DeclarationError(where, "url", f"has {unknown[0]!r} in its query", remedy)
    option = options.get(known or "", "")
    database = unquote(parts.path.removeprefix("/"))
    if not (database or (backend == "oracle" and option)) or not (parts.hostname or option):
        problem, remedy = "lacks the host or the database", "Write both: postgresql://host:5432/database"
        raise DeclarationError(where, "url", problem, remedy)
    return Address(url, backend, parts.hostname or "", port or _PORTS[backend], database, option)
