"""`Access`: how the files of a place are reached. Each kind of place has a class that derives from it."""

from __future__ import annotations

import importlib
import math
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from etl_assets.errors import DeclarationError, EnvironmentFaultError
from etl_assets.model.declaration import Declaration

HOUR: Final = 3600.0
LARGEST: Final = 16 * 1024**3
_READ_BYTES: Final = 8 * 1024**2
"""How much is read ahead of a file whose file system asks for one range after another."""


@dataclass(frozen=True)
class Access(Declaration):
    """How the files of a place are reached.

    Attributes:
        deadline: Seconds within which a file must be fetched.
        timeout: Seconds without a byte after which a fetch fails.
        max_bytes: The largest number of bytes of a file.
    """

    deadline: float = field(default=HOUR, kw_only=True)
    timeout: float = field(default=60.0, kw_only=True)
    max_bytes: int = field(default=LARGEST, kw_only=True)

    schemes: ClassVar[tuple[str, ...]]
    """What its locations begin with."""

    def check(self, location: str, where: str) -> None:
        """Raise a `DeclarationError` unless the declaration is sound, and for this kind of location."""
        if location.partition("://")[0] not in self.schemes:
            problem = f"is for {' and '.join(f'{known}://' for known in self.schemes)}, and the location is not"
            raise DeclarationError(where, "access", problem, "Declare the access of its kind of place, or none")
        if "@" in location.partition("://")[2].partition("/")[0] and self.login_is_declared:
            remedy = "Leave it out, and declare it by access=…"
            raise DeclarationError(where, "location", "contains a login", remedy)
        self.check_limits(where)

    def check_limits(self, where: str) -> None:
        """Raise a `DeclarationError` unless the times and the number of bytes are limits."""
        for name in ("deadline", "timeout"):
            if not 0 < getattr(self, name) < math.inf:
                raise DeclarationError(where, name, f"is {getattr(self, name)}", "Write seconds, more than 0")
        if self.max_bytes < 1:
            raise DeclarationError(where, "max_bytes", f"is {self.max_bytes}", "Write a number of bytes, 1 or more")

    @property
    def login_is_declared(self) -> bool:
        """Whether the declaration has a user or a key, so that the location must have none."""
        return False


@dataclass(frozen=True)
class FileSystemAccess(Access):
    """How a file system of fsspec is reached.

    Nothing keeps a file system when its block ends: it contains the values of secrets.
    """

    lists_validators: ClassVar[bool] = False
    """Whether a listing has the same validators of a file as a request for the file alone."""

    @abstractmethod
    def connect(self, location: str) -> Any:
        """Return the file system of a location, newly connected.

        Raises:
            EnvironmentFaultError: If a package is not installed.
            Exception: Whatever the file system raises.
        """

    def path(self, system: Any, location: str) -> str:
        """Return the path that a location has on its file system."""
        return str(system._strip_protocol(location))  # noqa: SLF001 -- fsspec's name for it, documented for its callers

    def open(self, system: Any, path: str) -> Any:
        """Open a file, to be read once from start to end."""
        return system.open(path, "rb", block_size=_READ_BYTES)

    def close(self, system: Any) -> None:
        """End the connection; one that ends itself with the last reference to the system needs nothing."""

    def move(self, system: Any, path: str, target: str) -> None:
        """Move a file, in place of another of that name; an interrupted move can be repeated."""
        system.cp_file(path, target)
        system.rm_file(path)


def required(package: str, extra: str) -> Any:
    """Return an imported package that an extra of this one installs.

    Raises:
        EnvironmentFaultError: If it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError:
        raise EnvironmentFaultError(
            f"The package {package} is not installed. Nothing was fetched, and nothing was written. Install it: "
            f"pip install 'etl-assets[{extra}]'."
        ) from None


def check_alternatives(where: str, **given: bool) -> None:
    """Raise a `DeclarationError` if more than one of several arguments is given."""
    names = [name for name, is_given in given.items() if is_given]
    if len(names) > 1:
        raise DeclarationError(where, names[1], f"is declared beside {names[0]}", "Declare one of them")


def check_together(where: str, **given: bool) -> None:
    """Raise a `DeclarationError` if one of two arguments is given without the other."""
    missing = [name for name, is_given in given.items() if not is_given]
    if 0 < len(missing) < len(given):
        other = next(name for name in given if name != missing[0])
        raise DeclarationError(where, missing[0], f"is missing beside {other}", "Declare both, or neither")
