"""Locates, creates and checks the data folder of the embedded PostgreSQL.

The data are in ``<home>/postgres/data``. If this process is root and the account that runs the server cannot enter that
folder (for example a home below ``/root``), the data are in a separate folder below ``/var/lib/etl_assets``. Then
``<home>/postgres/data`` is a symbolic link to that folder: to delete the home, delete the target of the link as well.
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
from etl_assets.local.roles import SUPERUSER

if TYPE_CHECKING:
    from etl_assets.local.account import Account
    from etl_assets.local.binaries import Binaries

OUTSIDE_FOLDER = Path("/var/lib/etl_assets")
"""Folder of data that the server's account could not reach in their home; root and that account can read them."""


def working_folder(home: Path) -> Path:
    """Create ``<home>/postgres`` if it is missing: the folder of the server's locks, password, log and data.

    Other accounts cannot read it, nor a home that is created here. If this process is root, they can pass through both
    if they know the name of a file, because the account of root's server must reach its data.

    Raises:
        SettingsError: If the folder cannot be created or belongs to another user.
    """
    folder = home / "postgres"
    mode = 0o711 if os.geteuid() == 0 else 0o700
    try:
        if not home.is_dir():
            home.mkdir(parents=True, exist_ok=True)
            home.chmod(mode)
        folder.mkdir(mode=mode, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"The embedded PostgreSQL cannot keep its files in {folder} ({error.strerror}). Nothing was started. "
            "Set ETL_ASSETS_HOME to a folder that you own."
        ) from error
    if folder.stat().st_uid != os.geteuid():
        raise SettingsError(
            f"{folder} belongs to uid {folder.stat().st_uid}, and this process runs as uid {os.geteuid()}. Nothing "
            "was started. Run as that user, or set ETL_ASSETS_HOME to a folder that you own."
        )
    folder.chmod(mode)
    return folder


def password(folder: Path) -> str:
    """Return the superuser's password, from ``<folder>/password``; generate it once. Only this user can read it.

    Raises:
        SettingsError: If there are data but no password.
    """
    path = folder / "password"
    if not path.exists():
        if os.path.lexists(folder / "data"):
            raise SettingsError(
                f"{folder} has data but not the file {path.name} with the password of the database. Nothing was "
                "started. Restore the file, or move the folder away to start with an empty database."
            )
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(24))
    return path.read_text()


def locate_data(folder: Path, account: Account, elsewhere: Path = OUTSIDE_FOLDER) -> Path:
    """Return the path of the data folder. Its parents exist, and the account can enter all of them.

    Args:
        folder: The working folder.
        account: The account that runs the server.
        elsewhere: The parent folder of data that the account could not reach in ``folder``.

    Raises:
        SettingsError: If the data of this home are missing, the account cannot reach them, or no folder can store them.
    """
    link = folder / "data"
    if link.is_symlink() and not link.exists():
        raise SettingsError(
            f"{link} points to {link.readlink()}, which does not exist. Nothing was started. Restore the data, or "
            f"remove {folder} to start with an empty database."
        )
    if link.exists():
        data = link.resolve()
        if not account.can_enter(data.parent):
            raise SettingsError(
                f"The account that runs PostgreSQL (uid {account.uid}) cannot enter {data.parent}, where the data are. "
                "Nothing was started. Let it enter (chmod o+x on the parents), or set another ETL_ASSETS_HOME."
            )
        return data
    if account.can_enter(folder):
        return folder.resolve() / "data"
    return _new_folder_outside(folder, elsewhere) / "data"


def _new_folder_outside(folder: Path, elsewhere: Path) -> Path:
    """Create a folder outside the home, with a file that names the working folder to which it belongs."""
    try:
        elsewhere.mkdir(mode=0o711, parents=True, exist_ok=True)
        own = Path(tempfile.mkdtemp(dir=elsewhere, prefix=f"{folder.parent.name.lstrip('.')}-"))
        own.chmod(0o711)
        (own / "belongs_to").write_text(f"{folder}\n")
    except OSError as error:
        raise SettingsError(
            f"PostgreSQL refuses to run as root, the account that would run it cannot enter {folder}, and {elsewhere} "
            f"cannot be written ({error.strerror}). Nothing was started. Set ETL_ASSETS_HOME to a folder that "
            "other accounts can enter, or name a server in ETL_ASSETS_DATABASE_URL."
        ) from error
    return own


def prepare(folder: Path, data: Path, programs: Binaries, account: Account) -> None:
    """Create the data folder if it is missing; otherwise check that these programs can run it.

    Raises:
        SettingsError: If the data are of another major version, another server runs on them, or initdb fails.
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
                f"PostgreSQL's initdb could not create a data folder in {data.parent}. Nothing was kept. Correct the "
                f"cause, then try again. Its message: {result.stderr.strip()[-500:]}"
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
        *("--pgdata", str(draft / "data"), "--username", SUPERUSER, "--pwfile", str(draft / "password")),
        # repeated hashing protects passwords that can be guessed; the 24 random bytes of this one cannot
        *("--auth", "scram-sha-256", "--set", "scram_iterations=1"),
        *("--encoding", "UTF8", "--data-checksums", "--no-instructions"),
        # text sorts and changes case in the same way on every machine, whatever locales it has
        *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"),
    ]


def _require_version(data: Path) -> None:
    try:
        version = (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        version = "unknown"
    if version != MAJOR_VERSION:
        raise SettingsError(
            f"{data} has data of PostgreSQL {version}, and the embedded server is PostgreSQL {MAJOR_VERSION}. Nothing "
            f"was started or changed. Dump the data with PostgreSQL {version} and restore them into a new home, or set "
            "ETL_ASSETS_HOME to an empty folder."
        )


def _require_unused(data: Path) -> None:
    """Raise if a server that this package did not start runs on the data. The locks of this package do not show it.

    The pid in the server's status file proves nothing: the file survives a crash, and another process may get the pid.
    The server is alive if processes are attached to the shared memory that the file names. Linux lists these; on other
    systems, the server is alive if it answers on the port that the file names.
    """
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        port, (key, segment) = int(lines[3]), (int(word) for word in lines[6].split())
    except (FileNotFoundError, IndexError, ValueError):
        return  # no such file, or the file of a server that never became ready
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
