"""Addresses of databases: URLs without a login."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from etl_assets.errors import DeclarationError

Backend = Literal["postgresql", "mysql", "sqlite", "sqlserver", "oracle", "duckdb", "sqlalchemy"]
"""The kinds with a session of their own, and any other that SQLAlchemy has a dialect of."""
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
_SCHEME: Final = re.compile(r"[A-Za-z][\w.]*(?:\+[A-Za-z][\w.]*)?", re.ASCII)
_NO_DATABASE: Final = ("http", "https", "file", "ftp", "ftps", "sftp", "s3", "s3a", "gs", "gcs", "az", "abfs", "jdbc")
_OTHERWISE: Final = {"postgres": "postgresql", "pgsql": "postgresql", "sqlserver": "mssql", "sqlite3": "sqlite"}
"""Names that people write for databases which have another one."""
_SECRET: Final = re.compile(
    r"pass(?:word|wd|phrase|code)?|pwd|token|secret|credential|private_?key|access_?key|api_?key|auth_?key",
    re.IGNORECASE,
)
_SECRET_WITHIN: Final = re.compile(r"\b(?:pwd|password|token|secret)\s*=|//[^/\s]*@", re.IGNORECASE)
"""Shows a login in the value of an option that is a whole connection string, or a URL."""


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
    backend = _BACKENDS.get(scheme, "sqlalchemy")
    _check_scheme(scheme, is_url=bool(separator), where=where)
    authority = (
        re.split(r"[/?#]", rest, maxsplit=1)[0] if backend in (*_FILES, "sqlalchemy") else rest.partition("?")[0]
    )
    if "@" in authority:
        remedy = "Leave it out, and declare access=Database(user='…', password=Secret('…'))"
        raise DeclarationError(where, "url", "contains a login, or an @ that is not written as %40", remedy)
    if backend in _FILES:
        return _file_of(url, backend, rest, where)
    return _other_of(url, where) if backend == "sqlalchemy" else _server_of(url, backend, where)


def _check_scheme(scheme: str, *, is_url: bool, where: str) -> None:
    known = ", ".join(sorted(f"{name}://" for name in _BACKENDS))
    remedy = f"Write a URL that begins with one of {known}, or with another name that a dialect of SQLAlchemy has"
    if not is_url or not _SCHEME.fullmatch(scheme):
        raise DeclarationError(where, "url", "is no URL of a database", remedy)
    if scheme in _OTHERWISE:
        raise DeclarationError(where, "url", f"begins with {scheme!r}", f"Write {_OTHERWISE[scheme]}://")
    if scheme in _NO_DATABASE:
        raise DeclarationError(where, "url", f"begins with {scheme!r}, which is no database", remedy)


def _other_of(url: str, where: str) -> Address:
    """Return an address that SQLAlchemy reads, whose dialect knows what its parts mean."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 0
    except ValueError:
        raise DeclarationError(where, "url", "cannot be read", "Write dialect+driver://host:port/database") from None
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if _SECRET.search(name) or _SECRET_WITHIN.search(value):
            remedy = "Leave it out, and declare access=Database(user='…', password=Secret('…'))"
            raise DeclarationError(where, "url", f"has a secret in its query, {name!r}", remedy)
    return Address(url, "sqlalchemy", host, port, unquote(parts.path.removeprefix("/")))


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
