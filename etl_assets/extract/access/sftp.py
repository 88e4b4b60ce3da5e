"""`Sftp`: how files on SFTP servers are reached. The server must prove who it is."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from fsspec.asyn import sync

from etl_assets.errors import DeclarationError, EnvironmentFaultError
from etl_assets.extract.access.base import FileSystemAccess, check_alternatives, required
from etl_assets.extract.location import path_after_host
from etl_assets.model.secret import Secret

_FINGERPRINT: Final = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_ALIVE: Final = 15.0
"""Seconds of silence after which the server is asked whether it is still there."""


@dataclass(frozen=True)
class Sftp(FileSystemAccess):
    """How files on ``sftp://host/…`` are reached. It needs the extra ``sftp``.

    Without a password and a key, the keys of this account and of its agent are offered.

    Attributes:
        user: The login. Without one, it is that of the location, or else of this account.
        password: Its password.
        private_key: Its private key: the text of the file.
        passphrase: With which the private key is encrypted.
        host_key: The fingerprint of the server's key, as ``ssh-keygen -lf`` prints it: ``SHA256:…``. Without one, the
            key must be in ``known_hosts``.
        known_hosts: Path of a file of the keys of known servers.
    """

    user: str = ""
    password: Secret | None = None
    private_key: Secret | None = field(default=None, kw_only=True)
    passphrase: Secret | None = field(default=None, kw_only=True)
    host_key: str = field(default="", kw_only=True)
    known_hosts: str = field(default="~/.ssh/known_hosts", kw_only=True)

    schemes: ClassVar[tuple[str, ...]] = ("sftp",)
    lists_validators: ClassVar[bool] = True

    def __post_init__(self) -> None:
        where = "access Sftp"
        check_alternatives(where, password=self.password is not None, private_key=self.private_key is not None)
        if (self.password or self.private_key) and not self.user:
            raise DeclarationError(where, "user", "is missing", "Write the user of the password or key")
        if self.host_key and not _FINGERPRINT.fullmatch(self.host_key):
            problem = "is no fingerprint"
            raise DeclarationError(
                where, "host_key", problem, "Write SHA256: and 43 characters, as ssh-keygen -lf does"
            )

    @property
    def login_is_declared(self) -> bool:
        """Whether there is a user."""
        return bool(self.user)

    def connect(self, location: str) -> Any:
        """See `FileSystemAccess.connect`."""
        sshfs = required("sshfs", "sftp")
        parts = urlsplit(location)
        user = self.user or parts.username
        return sshfs.SSHFileSystem(
            parts.hostname,
            port=parts.port or 22,
            config=None,
            connect_timeout=min(10.0, self.timeout),
            login_timeout=self.timeout,
            keepalive_interval=min(_ALIVE, self.timeout),
            skip_instance_cache=True,
            **({"username": user} if user else {}),
            **self._login(),
            **self._host_keys(),
        )

    def path(self, system: Any, location: str) -> str:  # noqa: ARG002 -- other places ask it
        """Return all that follows the host, as it is written."""
        return path_after_host(location)

    def move(self, system: Any, path: str, target: str) -> None:
        """See `FileSystemAccess.move`; the protocol renames to no name that is taken."""
        system.makedirs(target.rpartition("/")[0], exist_ok=True)
        if system.exists(target):
            system.rm_file(target)

        async def rename() -> None:
            async with system._pool.get() as channel:  # noqa: SLF001 -- its own mv deletes a file that it cannot copy
                await channel.rename(path, target)

        sync(system.loop, rename)

    def _login(self) -> dict[str, Any]:
        if self.private_key is not None:
            import asyncssh  # noqa: PLC0415 -- of an extra

            passphrase = self.passphrase.read() if self.passphrase is not None else None
            return {"client_keys": [asyncssh.import_private_key(self.private_key.read(), passphrase)]}
        if self.password is not None:
            return {"password": self.password.read(), "client_keys": None, "agent_path": None}
        return {}

    def _host_keys(self) -> dict[str, Any]:
        """Return what makes the connection fail if the server has another key."""
        if self.host_key:
            return {"known_hosts": ([], [], []), "client_factory": _client_of(self.host_key)}
        path = Path(self.known_hosts).expanduser()
        if not path.is_file():
            raise EnvironmentFaultError(
                f"There is no file {path} of known servers, so that no server can be trusted. Nothing was fetched. "
                "Declare access=Sftp(host_key='SHA256:…'), or write the file by ssh-keyscan and compare its keys."
            )
        return {"known_hosts": str(path)}


def _client_of(fingerprint: str) -> type[Any]:
    """Return a class of clients that accept one key of a server alone."""
    import asyncssh  # noqa: PLC0415 -- of an extra

    class Client(asyncssh.SSHClient):
        def validate_host_public_key(self, host: str, addr: str, port: int, key: Any) -> bool:  # noqa: ARG002 -- asyncssh's
            return bool(key.get_fingerprint() == fingerprint)

    return Client
