"""`Ftp`: how files on FTP servers are reached, over TLS where there is a login."""

from __future__ import annotations

import io
import ssl
from dataclasses import dataclass, field
from ftplib import FTP, FTP_TLS
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from fsspec.implementations.ftp import FTPFileSystem

from etl_assets.errors import DeclarationError
from etl_assets.extract.access.base import FileSystemAccess
from etl_assets.extract.location import path_after_host
from etl_assets.model.secret import Secret

if TYPE_CHECKING:
    import socket


@dataclass(frozen=True)
class Ftp(FileSystemAccess):
    """How files on ``ftp://host/…`` are reached: over TLS, and its certificate is verified.

    Attributes:
        user: The login; ``anonymous`` by default.
        password: Its password.
        tls: Whether the connections are encrypted. Without it, anybody between here and the server can read the
            password, and change the file.
        ca_file: Path of a file with certificates that are trusted, in the PEM form, instead of those of the system.
        encoding: Of the names of files.
    """

    user: str = ""
    password: Secret | None = None
    tls: bool = field(default=True, kw_only=True)
    ca_file: str = field(default="", kw_only=True)
    encoding: str = field(default="utf-8", kw_only=True)

    schemes: ClassVar[tuple[str, ...]] = ("ftp",)
    lists_validators: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.password is not None and not self.user:
            raise DeclarationError("access Ftp", "user", "is missing", "Write the user of the password")

    @property
    def login_is_declared(self) -> bool:
        """Whether there is a user."""
        return bool(self.user)

    def connect(self, location: str) -> Any:
        """See `FileSystemAccess.connect`."""
        parts = urlsplit(location)
        return _FileSystem(
            parts.hostname,
            parts.port or 21,
            self.user or parts.username or "anonymous",
            self.password.read() if self.password is not None else parts.password or "",
            timeout=self.timeout,
            encoding=self.encoding,
            tls=self.tls,
            context=ssl.create_default_context(cafile=self.ca_file or None) if self.tls else None,
            skip_instance_cache=True,
        )

    def path(self, system: Any, location: str) -> str:  # noqa: ARG002 -- other places ask it
        """Return all that follows the host, as it is written."""
        return path_after_host(location)

    def open(self, system: Any, path: str) -> Any:
        """Open a file as one transfer; fsspec would begin another for each of its blocks."""
        return io.BufferedReader(_Transfer(system.ftp, path))

    def close(self, system: Any) -> None:
        """See `FileSystemAccess.close`."""
        system.ftp.close()

    def move(self, system: Any, path: str, target: str) -> None:
        """See `FileSystemAccess.move`."""
        system.makedirs(target.rpartition("/")[0], exist_ok=True)
        if system.exists(target):
            system.rm_file(target)
        system.mv(path, target)


class _FileSystem(FTPFileSystem):  # type: ignore[misc]  # fsspec has no types
    """fsspec's file system, with certificates verified; its own accepts any."""

    def __init__(self, *args: Any, context: ssl.SSLContext | None, **kwargs: Any) -> None:
        self._context = context
        self.ftp = FTP()  # noqa: S321 -- for the case that no connection is made; declared without TLS otherwise
        super().__init__(*args, **kwargs)

    def _connect(self) -> None:
        options: Any = {"timeout": self.timeout, "encoding": self.encoding}
        self.ftp = FTP_TLS(**options, context=self._context) if self._context is not None else FTP(**options)  # noqa: S321 -- declared
        self.ftp.connect(self.host, self.port)
        self.ftp.login(*self.cred)

    def _rm(self, path: str) -> None:
        self.ftp.delete(path)
        self.invalidate_cache(self._parent(path))


class _Transfer(io.RawIOBase):
    """The bytes of one file; its end is the server's word that all were sent."""

    def __init__(self, ftp: FTP, path: str) -> None:
        super().__init__()
        self._ftp = ftp
        ftp.voidcmd("TYPE I")
        self._connection: socket.socket | None = ftp.transfercmd(f"RETR {path}")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if self._connection is None:
            return 0
        count = self._connection.recv_into(buffer)
        if not count:
            self._end()
            self._ftp.voidresp()
        return count

    def close(self) -> None:
        self._end()
        super().close()

    def _end(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
