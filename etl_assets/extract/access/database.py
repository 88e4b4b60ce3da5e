"""`Database`: how a database is reached, with its login and limits."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import ClassVar

from etl_assets.errors import DeclarationError
from etl_assets.extract.access.base import Access
from etl_assets.model.secret import Secret


@dataclass(frozen=True)
class Database(Access):
    """How a database is reached.

    A connection to another machine is encrypted, and the server must prove who it is. One to this machine is as the
    server has it. For a database that SQLAlchemy reads, encryption is a setting of the driver, in the URL.

    Attributes:
        user: The login. A file of SQLite or DuckDB has none.
        password: Its password.
        tls: Whether the connection to another machine is encrypted.
        ca_file: Path of a file with certificates that are trusted, in the PEM form, instead of those of the system.
        deadline: Seconds within which a fetch must end; it is also the limit of each statement at the server.
        timeout: Seconds without an answer after which a fetch fails. A query that sorts is silent until it has sorted.
        max_bytes: The largest number of bytes of the frozen file.
    """

    user: str = ""
    password: Secret | None = None
    timeout: float = field(default=600.0, kw_only=True)
    tls: bool = field(default=True, kw_only=True)
    ca_file: str = field(default="", kw_only=True)

    schemes: ClassVar[tuple[str, ...]] = (
        *("postgresql", "mysql", "mysql+pymysql", "mariadb", "mariadb+pymysql"),
        *("mssql", "mssql+pymssql", "oracle", "oracle+oracledb", "sqlite", "duckdb"),
    )

    def __post_init__(self) -> None:
        where = "access Database"
        if self.password is not None and not self.user:
            raise DeclarationError(where, "user", "is missing", "Write the user of the password")
        if self.ca_file and not self.tls:
            raise DeclarationError(where, "ca_file", "is declared beside tls=False", "Declare one of them")

    @property
    def login_is_declared(self) -> bool:
        """True: a login is never a part of an address."""
        return True

    def read_password(self) -> str:
        """Return the value of the password; the empty text without one.

        Raises:
            SettingsError: If the secret has no value.
        """
        return "" if self.password is None else self.password.read()

    def certificates(self) -> ssl.SSLContext:
        """Return what verifies the certificate of a server."""
        return ssl.create_default_context(cafile=self.ca_file or None)
