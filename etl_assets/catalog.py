"""Finds every declared source: in this package, and in the packages and folders that the environment names.

A module that declares a feed has a `Source` named ``SOURCE``. A module may also contain other things, such as Dagster
assets. Callers that need those use `modules`.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from etl_assets.errors import DeclarationError, SettingsError
from etl_assets.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import ModuleType

BUNDLED: Final = ("etl_assets.sources", "etl_assets.marts")


def modules(places: Iterable[str]) -> Iterator[ModuleType]:
    """Import every module of some packages and folders.

    Args:
        places: Names of packages, or paths of folders whose ``*.py`` files are modules.

    Yields:
        The modules, by place and then by name, without those whose names begin with an underscore.

    Raises:
        SettingsError: If a package or folder does not exist.
    """
    for place in places:
        if Path(place).is_dir():
            yield from _modules_of_folder(Path(place).resolve())
        else:
            yield from _modules_of_package(place)


def sources(imported: Iterable[ModuleType]) -> Mapping[str, Source]:
    """Return the sources that some modules declare, by name.

    Raises:
        DeclarationError: If a file is not named like its source, or two sources have one name.
    """
    declared: dict[str, Source] = {}
    for module in imported:
        source = getattr(module, "SOURCE", None)
        if source is None:
            continue
        where = f"file {module.__file__}"
        if not isinstance(source, Source):
            raise DeclarationError(where, "SOURCE", "is not a Source", "Write SOURCE = Source(...)")
        if source.name != Path(module.__file__ or "").stem:
            raise DeclarationError(where, "name", f"is {source.name!r}", "Name the file like the source")
        if source.name in declared:
            raise DeclarationError(where, "name", f"{source.name!r} is taken", "Give each source its own name")
        declared[source.name] = source
    return declared


def find(places: Iterable[str] = ()) -> Mapping[str, Source]:
    """Return every source by name: the bundled ones, and those of other packages and folders."""
    return sources(modules([*BUNDLED, *places]))


def _modules_of_package(name: str) -> Iterator[ModuleType]:
    try:
        package = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise
        raise SettingsError(
            f"There is no package or folder {name!r} with sources. Nothing was loaded. Correct "
            "ETL_ASSETS_SOURCES: write names of packages or paths of folders, separated by ':'."
        ) from error
    for info in pkgutil.iter_modules(package.__path__):
        if not info.name.startswith("_"):
            yield importlib.import_module(f"{name}.{info.name}")


def _modules_of_folder(folder: Path) -> Iterator[ModuleType]:
    prefix = f"etl_assets_from_{sha256(str(folder).encode()).hexdigest()[:12]}"
    for path in sorted(folder.glob("[!_]*.py")):
        name = f"{prefix}_{path.stem}"
        if name not in sys.modules:
            spec = importlib.util.spec_from_file_location(name, path)
            if spec is None or spec.loader is None:
                raise SettingsError(f"{path} cannot be imported. Nothing was loaded. Check its name and permissions.")
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            try:
                spec.loader.exec_module(module)
            except BaseException:
                del sys.modules[name]
                raise
        yield sys.modules[name]
