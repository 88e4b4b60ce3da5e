"""The component for Dagster's dg: the sources of a project, as a folder of it.

``dg scaffold defs etl_assets.components.SourceComponent NAME --location FILE`` writes a declaration. The definitions of
all sources are one whole, because tables refer to each other: the first folder of sources in the project file returns
them, and the others nothing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from dagster.components.component_scaffolding import scaffold_component
from pydantic import BaseModel, Field

from etl_assets import project
from etl_assets.errors import SettingsError
from etl_assets.infer import infer
from etl_assets.model.secret import Secret
from etl_assets.scaffold import absolute, source_files, write

if TYPE_CHECKING:
    from collections.abc import Sequence

_DEFS_FILES = ("defs.yaml", "component.py")


class SourceParams(BaseModel):
    """What ``dg scaffold defs`` asks for."""

    location: str = Field(description="Path or URL of a file that the source fetches.")
    member: str = Field(default="*", description="Glob for the members of an archive.")
    part: str | None = Field(default=None, description="The table, sheet or path of records, if there are several.")
    password: str | None = Field(default=None, description="Name of the secret that opens the file.")


class SourceScaffolder(dg.Scaffolder[SourceParams]):
    """Writes the folder of a source: its declaration, and the file that lets dg load it."""

    @classmethod
    def get_scaffold_params(cls) -> type[SourceParams]:
        """Return the class of the parameters."""
        return SourceParams

    def scaffold(self, request: dg.ScaffoldRequest[SourceParams]) -> None:
        """Infer the declaration, write it, and name its folder in the project file.

        Raises:
            SettingsError: If the project file cannot name it.
            EtlAssetsError: If nothing can be inferred.
        """
        folder, root = request.target_path, request.project_root or Path.cwd()
        try:
            self._write_source(folder, root, request.params)
        except BaseException:
            if not any(folder.iterdir()):
                folder.rmdir()  # dg made it, and refuses a folder that exists
            raise
        scaffold_component(request)

    def _write_source(self, folder: Path, root: Path, params: SourceParams) -> None:
        """Write a declaration and its test, and name the folder in the project file."""
        secret = None if params.password is None else Secret(params.password)
        with infer(
            absolute(params.location),
            folder.name,
            {},
            member=params.member,
            part=params.part,
            password=secret,
        ) as inference:
            files = source_files(inference, folder, project.Project(root, {}, ()))
        named = _with_sources(root, folder)
        write(files)
        (root / project.FILE).write_text(named, encoding="utf-8")


@dg.scaffold_with(SourceScaffolder)
class SourceComponent(dg.Component):
    """A folder of sources: each file of it declares one, and the project file names the folder."""

    @classmethod
    def load(cls, attributes: object, context: dg.ComponentLoadContext) -> SourceComponent:  # noqa: ARG003 -- dg's
        """Return the component; it has no attributes, because its files declare everything."""
        return cls()

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return the definitions of all sources of the project if the folder is the first of them, else none.

        Raises:
            SettingsError: If the project file does not name the folder.
        """
        os.environ.setdefault("ETL_ASSETS_PROJECT", str(context.project_root))
        here = project.current()
        folders = [] if here is None else _folders(here.folder, here.sources)
        if context.path.resolve() not in folders:
            raise SettingsError(
                f"{context.path} has sources, and {project.TABLE} in {context.project_root / project.FILE} does not "
                "name it. Nothing was loaded. Add the path of the folder to sources."
            )
        if context.path.resolve() != folders[0]:
            return dg.Definitions()
        from etl_assets import definitions  # noqa: PLC0415 -- loads every source

        return definitions.defs


def _folders(root: Path, sources: Sequence[str]) -> list[Path]:
    """Return the folders of sources that are components of dg."""
    folders = [(root / place).resolve() for place in sources]
    return [folder for folder in folders if any((folder / name).is_file() for name in _DEFS_FILES)]


def _with_sources(root: Path, folder: Path) -> str:
    """Return the text of the project file with a folder added to its sources.

    Raises:
        SettingsError: If there is no such file.
    """
    import tomlkit  # noqa: PLC0415 -- it comes with dg

    file = root / project.FILE
    if not file.is_file():
        raise SettingsError(f"There is no {file}. Nothing was written. Run dg in the folder of a project.")
    document = tomlkit.parse(file.read_text(encoding="utf-8"))
    tool = document.setdefault("tool", tomlkit.table(is_super_table=True))
    settings = tool.setdefault("etl_assets", tomlkit.item({"sources": [], "bundled": False}))
    settings.setdefault("sources", tomlkit.array()).append(folder.relative_to(root).as_posix())
    return tomlkit.dumps(document)
