"""Writes the files of a project, and of a source in it, from what was inferred.

What a declaration is, `infer` decides; here is where it goes and what is around it. No file is overwritten.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from etl_assets.errors import SettingsError
from etl_assets.extract.location import is_remote
from etl_assets.infer import declaration
from etl_assets.scaffold.project_files import package_name, project_files, test_of_source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_assets.infer import Inference
    from etl_assets.project import Project
    from etl_assets.settings import Settings

__all__ = [
    "absolute",
    "declared_in",
    "folder_of_sources",
    "package_name",
    "project_files",
    "source_files",
    "write",
]


def absolute(location: str) -> str:
    """Return a location with its path made absolute in the current folder; URLs, packages and ``~`` stay."""
    stays = is_remote(location) or location.startswith(("package:", "file://", "~"))
    return location if stays else str(Path(location).absolute())


def declared_in(folder: Path, inference: Inference) -> Inference:
    """Return what was inferred with a location that is written as the project has it.

    Args:
        folder: Folder of the project; a path in it becomes relative to it.
        inference: Of a file whose path is absolute.
    """
    file = inference.file
    if file.by is not None or is_remote(file.location) or not Path(file.location).is_relative_to(folder):
        return inference
    return replace(inference, file=replace(file, location=Path(file.location).relative_to(folder).as_posix()))


def folder_of_sources(settings: Settings, extractor: Path | None = None) -> Path:
    """Return the folder that a new source is written to: the first one that has sources.

    Args:
        settings: They name the folders.
        extractor: The file of a declared extractor, beside which its source is written.

    Raises:
        SettingsError: If there is no such folder.
    """
    folders = [Path(place) for place in settings.sources if Path(place).is_dir()]
    if extractor is not None:
        folders = [folder for folder in folders if folder.resolve() == extractor.parent.resolve()]
    if not folders:
        where = "no folder of sources" if extractor is None else f"no folder of sources that {extractor} is in"
        raise SettingsError(
            f"There is {where}. Nothing was written. Make a project with etl-assets init, or name the folder in "
            "ETL_ASSETS_SOURCES."
        )
    return folders[0]


def source_files(inference: Inference, folder: Path, project: Project | None) -> dict[Path, str]:
    """Return the files of a new source by path: its declaration, and in a project its test.

    Args:
        inference: What was inferred.
        folder: The folder of sources.
        project: The project; None outside of one.
    """
    file = folder / f"{inference.name}.py"
    if project is None:
        return {file: declaration(inference)}
    inference = declared_in(project.folder, inference)
    test = project.folder / "tests" / f"test_{inference.name}.py"
    return {file: declaration(inference), test: test_of_source(inference)}


def write(files: Mapping[Path, str]) -> None:
    """Write new files and the folders that they are in.

    Raises:
        SettingsError: If one of them exists. Then nothing is written.
    """
    if taken := [str(path) for path in files if path.exists() or path.is_symlink()]:
        raise SettingsError(
            f"{', '.join(taken)} {'exists' if len(taken) == 1 else 'exist'}. Nothing was written. Choose another name "
            "or folder, or move what is there."
        )
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
