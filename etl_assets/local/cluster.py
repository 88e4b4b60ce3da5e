"""The data folder of the embedded PostgreSQL: where it is, how it is made, whether these programs can run it.

The data lie in ``<home>/postgres/data``. If this process is root and the account that runs the server cannot enter that
folder (a home below ``/root``, say), they lie in a folder of their own below ``/var/lib/etl_assets``, and
``<home>/postgres/data`` is a symbolic link to it: whoever deletes the home must delete what the link names as well.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from etl_assets.errors import SettingsError
from etl_assets.local.binaries import MAJOR_VERSION

if TYPE_CHECKING:
    from etl_assets.local.account import Account
    from etl_assets.local.binaries import Binaries

ELSEWHERE = Path("/var/lib/etl_assets")
"""Where data go that would be out of the server's reach in their home; readable to root and the server's account."""

USER = "etl_assets"
"""The database superuser; the only role of a new data folder that may log in."""


def working_folder(home: Path) -> Path:
    """Make ``<home>/postgres``, if need be, for the server's locks, password, log and data.

    Raises:
        SettingsError: The folder cannot be made or belongs to someone else.
    """
    folder = home / "postgres"
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not folder.is_dir():
            folder.mkdir(exist_ok=True)
            folder.chmod(0o711 if os.geteuid() == 0 else 0o700)  # root's server runs as another, who passes through
    except OSError as error:
        raise SettingsError(
            f"The embedded PostgreSQL cannot keep its files in {folder} ({error.strerror}). Nothing was started. "
            "Name a folder of your own in ETL_ASSETS_HOME."
        ) from error
    if folder.stat().st_uid != os.geteuid():
        raise SettingsError(
            f"{folder} was made by uid {folder.stat().st_uid}, and this process runs as uid {os.geteuid()}. Nothing "
            "was started. Run as that user, or name a folder of your own in ETL_ASSETS_HOME."
        )
    return folder


def password(folder: Path) -> str:
    """The superuser's password: generated once and kept in ``<folder>/password``, for this user's eyes only.

    Raises:
        SettingsError: There are data but no password.
    """
    path = folder / "password"
    if not path.exists():
        if os.path.lexists(folder / "data"):
            raise SettingsError(
                f"{folder} holds data but not the file {path.name} that opens them. Nothing was started. Put the file "
                "back, or move the folder away to begin with an empty database."
            )
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(24))
    return path.read_text()


def place(folder: Path, account: Account, elsewhere: Path = ELSEWHERE) -> Path:
    """Where the data are or will be: a path all of whose parents exist and can be entered by the account.

    Args:
        folder: The working folder.
        account: Who runs the server.
        elsewhere: Where to keep data that the account could not reach in ``folder``.

    Raises:
        SettingsError: The data of this home are gone, or out of the account's reach, or cannot be kept anywhere.
    """
    link = folder / "data"
    if link.is_symlink() and not link.exists():
        raise SettingsError(
            f"{link} points to {link.readlink()}, which is gone. Nothing was started. Put the data back, or remove "
            f"{folder} to begin with an empty database."
        )
    if link.exists():
        data = link.resolve()
        if not account.can_enter(data.parent):
            raise SettingsError(
                f"The account that runs PostgreSQL (uid {account.uid}) cannot enter {data.parent}, where the data are. "
                "Nothing was started. Let it pass (chmod o+x on the parents), or name another ETL_ASSETS_HOME."
            )
        return data
    if account.can_enter(folder):
        return folder.resolve() / "data"
    return _elsewhere(folder, elsewhere) / "data"


def _elsewhere(folder: Path, elsewhere: Path) -> Path:
    """A new folder outside the home, which says what it belongs to."""
    try:
        elsewhere.mkdir(mode=0o711, parents=True, exist_ok=True)
        own = Path(tempfile.mkdtemp(dir=elsewhere, prefix=f"{folder.parent.name.lstrip('.')}-"))
        own.chmod(0o711)
        (own / "belongs_to").write_text(f"{folder}\n")
    except OSError as error:
        raise SettingsError(
            f"PostgreSQL refuses to run as root, the account that would run it cannot enter {folder}, and {elsewhere} "
            f"cannot be written ({error.strerror}). Nothing was started. Name a folder in ETL_ASSETS_HOME that "
            "others may pass through, or a server in ETL_ASSETS_DATABASE_URL."
        ) from error
    return own


def prepare(folder: Path, data: Path, programs: Binaries, account: Account) -> None:
    """Make the data folder if there is none; otherwise see that these programs can run it.

    Raises:
        SettingsError: The data are of another major version, or the folder cannot be made.
    """
    if data.exists():
        _require_version(data)
        _require_unused(data)
        return
    draft = Path(tempfile.mkdtemp(dir=data.parent, prefix=".data-"))
    try:
        secret = draft / "password"
        secret.write_text(password(folder))
        for path in (draft, secret):
            os.chown(path, account.uid, account.gid)
        result = account.run(_initdb(programs, draft))
        if result.returncode != 0:
            raise SettingsError(
                f"PostgreSQL's initdb could not make a data folder in {data.parent}. Nothing was kept. It said: "
                f"{result.stderr.strip()[-500:]}"
            )
        (draft / "data").rename(data)
    finally:
        shutil.rmtree(draft)
    link = folder.resolve() / "data"
    if data != link:
        link.symlink_to(data)


def _initdb(programs: Binaries, draft: Path) -> list[str]:
    return [
        programs.program("initdb"),
        *("--pgdata", str(draft / "data"), "--username", USER, "--pwfile", str(draft / "password")),
        *("--auth", "scram-sha-256", "--encoding", "UTF8", "--data-checksums", "--no-instructions"),
        # the same order and the same letters on every machine, whatever locales it has
        *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"),
    ]


def _require_version(data: Path) -> None:
    try:
        found = (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        found = "unknown"
    if found != MAJOR_VERSION:
        raise SettingsError(
            f"{data} holds data of PostgreSQL {found}, and the embedded server is PostgreSQL {MAJOR_VERSION}. Nothing "
            f"was started or changed. Dump the data with PostgreSQL {found} and restore them into a new home, or name "
            "an empty folder in ETL_ASSETS_HOME."
        )


def _require_unused(data: Path) -> None:
    """Refuse data on which somebody runs a server by other means than this package, which its locks would not show.

    The pid in the server's status file proves nothing: it outlives a crash and is given to another process. The shared
    memory that the file names proves that server alive if processes are attached to it. Where the system does not list
    that (it does on Linux), a server that answers on the port which the file names does.
    """
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        port, (key, segment) = int(lines[3]), (int(word) for word in lines[6].split())
    except (FileNotFoundError, IndexError, ValueError):
        return  # no such file, or one of a server that never came up
    listing = Path("/proc/sysvipc/shm")
    if listing.exists():
        rows = (line.split() for line in listing.read_text().splitlines()[1:])
        used = any(int(row[0]) == key and int(row[1]) == segment and int(row[6]) > 0 for row in rows)
    else:
        with socket.socket() as client:
            used = client.connect_ex(("127.0.0.1", port)) == 0
    if used:
        raise SettingsError(
            f"Another PostgreSQL server, which this package did not start, runs on {data}. Nothing was started. Stop "
            "it, or name another folder in ETL_ASSETS_HOME."
        )
