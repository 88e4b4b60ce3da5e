"""Loads every declared source: those of this package, and of the packages and folders that the environment names.

A module that declares a feed has a `Source` named ``SOURCE``. A module may also contain other things, such as Dagster
assets, or what its neighbours import. A file that does not load is set aside, and all others are loaded.
"""

from __future__ import annotations

import importlib
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

from etl_assets.errors import DeclarationError
from etl_assets.model.trigger import After
from etl_assets.source import Source
from etl_assets.source_files import BUNDLED, BrokenFile, file_at, find, set_aside

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet
    from pathlib import Path
    from types import ModuleType

    from etl_assets.settings import Settings
    from etl_assets.source_files import SourceFile


@dataclass(frozen=True)
class Catalog:
    """What the files of sources declare.

    Attributes:
        sources: Every source, by name.
        modules: Every module that was loaded, with or without a source, by file.
        broken: Every file that does not load, by the name of its asset, which no source has.
    """

    sources: Mapping[str, Source]
    modules: Mapping[SourceFile, ModuleType]
    broken: Mapping[str, BrokenFile]

    def downstream(self, source: Source) -> list[str]:
        """Return the names of the sources that refer to a source's table, or run after it."""
        asset = f"core/{source.name}"
        return sorted(
            name
            for name, other in self.sources.items()
            if source.table in other.parents or (isinstance(other.trigger, After) and asset in other.trigger.assets)
        )


def load(places: Iterable[str] = (), only: AbstractSet[str] | None = None, *, bundled: bool = True) -> Catalog:
    """Load the bundled sources, and those of other packages and folders.

    Of two files that declare the same source, the second is broken.

    Args:
        places: Names of packages, and paths of folders whose ``*.py`` files are modules. Modules whose names begin
            with an underscore are not loaded by themselves.
        only: Load no file except those of these names; None loads all.
        bundled: Whether to load the bundled sources too.

    Raises:
        SettingsError: If a package does not exist.
    """
    sources: dict[str, Source] = {}
    modules: dict[SourceFile, ModuleType] = {}
    broken: list[BrokenFile] = []
    for file in find([*(BUNDLED if bundled else ()), *places]):
        if only is not None and file.name not in only:
            continue
        with set_aside(file, broken):
            module = importlib.import_module(file.module)
            source = source_of(file, module)
            if source is not None and source.name in sources:
                raise DeclarationError(
                    f"file {file.path}", "name", f"{source.name!r} is taken", "Give each source its own name"
                )
            modules[file] = module
            if source is not None:
                sources[source.name] = source
    return Catalog(sources, modules, by_name(broken, sources))


def of_settings(settings: Settings, only: AbstractSet[str] | None = None) -> Catalog:
    """Load what the settings name; see `load`.

    Args:
        settings: They name the packages and folders, and say whether the bundled sources are loaded.
        only: Load no file except those of these names; None loads all.
    """
    return load(settings.sources, only, bundled=settings.bundled)


def load_file(path: Path) -> Source:
    """Load the source that one file declares; the settings need not name its folder.

    The error has the error of the file as its cause, which may contain secrets.

    Raises:
        BrokenFileError: If the file does not load.
        DeclarationError: If it declares no source.
    """
    file = file_at(path)
    with _raising_broken(file):
        source = source_of(file, importlib.import_module(file.module))
    if source is None:
        raise DeclarationError(f"file {path}", "SOURCE", "is missing", "Write SOURCE = Source(...)")
    return source


def load_module(path: Path) -> ModuleType:
    """Load the module that one file is; its folder need not be named by the settings.

    Raises:
        BrokenFileError: If it does not load. The cause may contain secrets.
    """
    file = file_at(path)
    with _raising_broken(file):
        return importlib.import_module(file.module)


@contextmanager
def _raising_broken(file: SourceFile) -> Iterator[None]:
    """Raise any error of a block, in which a file is loaded, as the error of the file."""
    try:
        yield
    except (Exception, SystemExit) as error:
        raise BrokenFile.of(file, error).error from error


def source_of(file: SourceFile, module: ModuleType) -> Source | None:
    """Return the source that a module declares; None if it declares none.

    Raises:
        DeclarationError: If its ``SOURCE`` is no source, or the file is not named like it, or a source that is named
            like the file has another variable.
    """
    source = getattr(module, "SOURCE", None)
    where = f"file {file.path}"
    if source is None:
        for variable, value in vars(module).items():
            if isinstance(value, Source) and value.name == file.name:
                raise DeclarationError(where, variable, "is not read", "Rename it: SOURCE = Source(...)")
        return None
    if not isinstance(source, Source):
        raise DeclarationError(where, "SOURCE", "is not a Source", "Write SOURCE = Source(...)")
    if source.name != file.name:
        remedy = f"Name the file like the source, or import that of a neighbour as SOURCE as {source.name.upper()}"
        raise DeclarationError(where, "name", f"is {source.name!r}", remedy)
    return source


def by_name(broken: Iterable[BrokenFile], sources: Collection[str]) -> dict[str, BrokenFile]:
    """Return broken files by the names of their assets; one whose name is taken gets a number: ``sales_2``.

    Args:
        broken: The files.
        sources: Names of the sources that are loaded.
    """
    named: dict[str, BrokenFile] = {}
    for file in broken:
        free = _free_name(file.name, {*sources, *named})
        named[free] = replace(file, name=free)
    return named


def _free_name(name: str, taken: Collection[str]) -> str:
    numbered = (f"{name}_{number}" for number in count(2))
    return name if name not in taken else next(candidate for candidate in numbered if candidate not in taken)
