"""The OS account that runs PostgreSQL, and which files it can reach. PostgreSQL refuses to run as root.

If this process is an ordinary user, the server runs as the same user. If it is root, the server runs as an account that
owns nothing. This module changes no permissions of files or folders.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from etl_assets.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_UNPRIVILEGED = ("nobody", "daemon")
_ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}


class Identity(TypedDict, total=False):
    """Arguments of ``subprocess`` that start a process as an account."""

    user: int
    group: int
    extra_groups: Iterable[int]


@dataclass(frozen=True)
class Account:
    """An account of the operating system."""

    uid: int
    gid: int

    @property
    def is_current(self) -> bool:
        """Whether this process already runs as the account."""
        return self.uid == os.geteuid()

    @property
    def identity(self) -> Identity:
        """Arguments for ``subprocess`` that start a process as this account; none if it is the current account."""
        return {} if self.is_current else {"user": self.uid, "group": self.gid, "extra_groups": []}

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a program as this account, in the root folder and with a minimal environment.

        Raises:
            SettingsError: If this process may not start programs as the account.
        """
        try:
            return subprocess.run(  # noqa: S603 - the callers' commands are literal programs and our own paths
                command, cwd="/", env=_ENVIRONMENT, capture_output=True, text=True, check=False, **self.identity
            )
        except OSError as error:  # not permitted, or no such account in this container's user namespace
            raise SettingsError(
                f"This process is root but may not start programs as uid {self.uid}, and PostgreSQL refuses to run as "
                "root. Nothing was started. Run as an ordinary user, or name a server in ETL_ASSETS_DATABASE_URL."
            ) from error

    def can_run(self, program: Path) -> bool:
        """Whether the account can reach and execute a program."""
        return self._may_execute(program)

    def can_enter(self, folder: Path) -> bool:
        """Whether the account can enter a folder and reach the files in it."""
        return self._may_execute(folder)

    def _may_execute(self, path: Path) -> bool:
        if self.is_current:
            return os.access(path, os.X_OK)
        return self.run(["/bin/sh", "-c", 'test -x "$1"', "sh", str(path)]).returncode == 0


def account_for(data: Path) -> Account:
    """Return the account that runs the server.

    Args:
        data: The data folder, which may not exist yet. If it exists, root runs the server as its owner.

    Raises:
        SettingsError: If this process is root and the machine has no unprivileged account.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    if data.exists():
        owner = data.stat()
        return Account(owner.st_uid, owner.st_gid)
    for name in _UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise SettingsError(
        f"PostgreSQL refuses to run as root, and this machine has no account named {' or '.join(_UNPRIVILEGED)}. "
        "Nothing was started. Run as an ordinary user, or name a server in ETL_ASSETS_DATABASE_URL."
    )
