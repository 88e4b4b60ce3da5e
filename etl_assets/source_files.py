"""Finds the files of sources. Module `catalog` imports them.

A folder is a package, and its name depends only on the path of the folder. So its files import each other with ``from
.neighbour import NAME``, and files of the same name in two folders are two modules. A file that does not load is
described, so that the others can be loaded without it.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from etl_assets.errors import BrokenFileError, EtlAssetsError, SettingsError
from etl_assets.model.text import storable
from etl_assets.settings import mask_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BUNDLED: Final = ("etl_assets.sources", "etl_assets.marts")
"""The packages of the bundled feeds, and of the assets over them."""
_FOLDER: Final = "etl_assets_folder_"
_LENGTH: Final = 1000
"""The most characters of a description."""
_SHOWN: Final = (EtlAssetsError, SyntaxError, ImportError, NameError, AttributeError, TypeError, RecursionError)
"""Errors whose texts name things of a program. The text of any other error may repeat a value, and is not shown."""


@dataclass(frozen=True)
class SourceFile:
    """A file that may declare a source.

    Attributes:
        module: The name under which it is imported.
        path: Its path.
    """

    module: str
    path: str

    @property
    def name(self) -> str:
        """The last part of the module's name: the name of the source that the file may declare."""
        return self.module.rpartition(".")[2]


@dataclass(frozen=True)
class BrokenFile:
    """A file that does not load.

    Attributes:
        name: The name of its asset: of the file, in ASCII letters, digits and underscores.
        path: Its path.
        problem: Where the error was raised and what it says, without secrets.
    """

    name: str
    path: str
    problem: str

    @classmethod
    def of(cls, file: SourceFile, error: BaseException) -> BrokenFile:
        """Return the description of a file and of the error that it was loaded with."""
        name = re.sub(r"\W", "_", file.name, flags=re.ASCII)
        return cls(name, storable(file.path), storable(_problem(file.path, error)))

    @property
    def error(self) -> BrokenFileError:
        """The error for a command or a run that needs the file."""
        return BrokenFileError(self.path, self.problem)


def find(places: Iterable[str]) -> list[SourceFile]:
    """Return the files of some places, each once, by place and then by name.

    Args:
        places: Names of packages, and paths of folders.

    Raises:
        SettingsError: If a package does not exist.
    """
    importlib.invalidate_caches()
    files: dict[str, SourceFile] = {}
    for place in places:
        for file in _of_folder(Path(place).resolve()) if Path(place).is_dir() else _of_package(place):
            files.setdefault(file.path, file)
    return list(files.values())


def file_at(path: Path) -> SourceFile:
    """Return the file at a path, as a module of the package that its folder is."""
    folder = path.parent.resolve()
    return SourceFile(f"{_package(folder)}.{path.stem}", str(folder / path.name))


@contextmanager
def set_aside(file: SourceFile, broken: list[BrokenFile]) -> Iterator[None]:
    """Add the file to the broken ones if the block raises an error, and do not raise it.

    A file may raise any error, and may end the process; neither stops the other files.
    """
    try:
        yield
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- see above
        broken.append(BrokenFile.of(file, error))


def _of_folder(folder: Path) -> Iterator[SourceFile]:
    package = _package(folder)
    for path in sorted(folder.glob("*.py")):
        if not path.name.startswith(("_", ".")):
            yield SourceFile(f"{package}.{path.stem}", str(path))


def _package(folder: Path) -> str:
    """Return the name of the package that a folder is; its ``__init__.py`` is not imported."""
    name = f"{_FOLDER}{sha256(str(folder).encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"
    if name not in sys.modules:
        spec = ModuleSpec(name, loader=None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
        sys.modules[name] = module_from_spec(spec)
    return name


def _of_package(name: str) -> Iterator[SourceFile]:
    """Yield the modules of a package; the package itself, if it does not load or is a single module."""
    try:
        package = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise SettingsError(
                f"There is no package or folder {name!r} with sources. Nothing was loaded. Correct "
                "ETL_ASSETS_SOURCES, or sources in the project file: write names of packages or paths of folders."
            ) from error
        yield SourceFile(name, name)
        return
    except (Exception, SystemExit):  # noqa: BLE001 -- its import raises the error again, where it is described
        yield SourceFile(name, name)
        return
    if not hasattr(package, "__path__"):
        yield SourceFile(name, package.__file__ or name)
        return
    for info in pkgutil.iter_modules(package.__path__):
        if not info.name.startswith("_"):
            spec = info.module_finder.find_spec(f"{name}.{info.name}", None)
            yield SourceFile(f"{name}.{info.name}", (spec and spec.origin) or f"{name}.{info.name}")


def _problem(path: str, error: BaseException) -> str:
    """Return where an error was raised, its class, and its text if it repeats no values."""
    if isinstance(error, SyntaxError):
        file, line, text = error.filename or path, error.lineno, error.msg
    else:
        file, line = _place(path, error)
        text = str(error)
    where = f"Line {line}: " if file == path and line else f"In {file}, line {line}: " if line else ""
    name = type(error).__name__
    if isinstance(error, SystemExit):
        return f"{where}{name}: The file ends the process that imports it."
    if not isinstance(error, _SHOWN) and type(error).__module__.partition(".")[0] != "dagster":
        return f"{where}{name}. Its text is not shown, because it may contain secrets or records."
    line_of_text = mask_secrets(" ".join(text.split()))[:_LENGTH]
    return f"{where}{name}: {line_of_text.removesuffix('.')}."


def _place(path: str, error: BaseException) -> tuple[str, int | None]:
    """Return the file and the line that raised an error: the deepest one in a file of sources."""
    frames = traceback.extract_tb(error.__traceback__)
    folder = str(Path(path).parent)
    own = [frame for frame in frames if frame.filename == path or str(Path(frame.filename).parent) == folder]
    return (own[-1].filename, own[-1].lineno) if own else (path, None)
