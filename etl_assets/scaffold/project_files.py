"""The texts of the files of a project."""

from __future__ import annotations

import keyword
import sys
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from etl_assets.extract.access.azure import Azure
from etl_assets.extract.access.gcs import Gcs
from etl_assets.extract.access.s3 import S3
from etl_assets.extract.access.sftp import Sftp
from etl_assets.extract.formats.excel.format import Excel
from etl_assets.extract.location import is_remote
from etl_assets.infer.names import source_name

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets.infer import Inference

_EXTRA_OF_SCHEME: Final = {
    scheme: extra
    for access, extra in ((S3, "s3"), (Sftp, "sftp"), (Gcs, "gcs"), (Azure, "azure"))
    for scheme in access.schemes
}
_PYPROJECT: Final = """\
[project]
name = "{distribution}"
version = "0.1.0"
requires-python = ">=3.11,<3.14"
dependencies = ["etl-assets[{extras}]>={version}"]

[dependency-groups]
dev = ["dagster-dg-cli>=1.13.27,<1.14", "pytest>=8.3"]

[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[tool.hatch.build.targets.wheel]
packages = ["{package}"]

# The settings of etl-assets. A variable of the environment wins; passwords are in variables or files alone.
[tool.etl_assets]
sources = ["{package}/defs/sources"]
bundled = false

[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "{package}"
"""
_DEFINITIONS: Final = '''\
"""What Dagster loads: everything in the folder defs."""

from pathlib import Path

from dagster import Definitions, definitions, load_from_defs_folder


@definitions
def defs() -> Definitions:
    return load_from_defs_folder(path_within_project=Path(__file__).parent)
'''
_DEFS_YAML: Final = """\
# Every source of the project: each file of this folder declares one.
type: etl_assets.components.SourceComponent
"""
_TEST: Final = '''\
"""The source {name}."""

from click.testing import CliRunner

from etl_assets.cli import main


def test_its_declaration_is_valid() -> None:
    result = CliRunner().invoke(main, ["check", "{name}"])
    assert result.exit_code == 0, result.output
'''
_TEST_OF_FILE: Final = '''\
"""The source {name}."""

import json

from click.testing import CliRunner

from etl_assets.cli import main


def test_its_declaration_is_valid() -> None:
    result = CliRunner().invoke(main, ["check", "{name}"])
    assert result.exit_code == 0, result.output


def test_its_file_would_be_loaded() -> None:
    result = CliRunner().invoke(main, ["preview", "{name}", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["refused"] is False
'''
_CI: Final = """\
name: CI

on:
  push:
  pull_request:

permissions:
  contents: read

jobs:
  check:
    runs-on: ubuntu-latest
    timeout-minutes: 20
    steps:
      - uses: actions/checkout@v5
      - uses: actions/setup-python@v6
        with:
          python-version: "3.12"
      - run: python -m pip install --upgrade pip
      - run: python -m pip install --editable . --group dev
      - run: etl-assets check
      - run: python -m pytest
"""
_IGNORED: Final = """\
# The embedded database, frozen deliveries, Dagster's home
/.etl_assets/
/.venv/
/dist/
__pycache__/
.pytest_cache/
"""


def package_name(folder: Path) -> str:
    """Return the name of the package in a project's folder: one that no other module has.

    Args:
        folder: Absolute path of the folder.
    """
    name = source_name(folder.name) if any(map(str.isalpha, folder.name)) else "feeds"
    taken = keyword.iskeyword(name) or name in {"tests", "defs"} or name in sys.stdlib_module_names
    return f"{name}_feeds" if taken or _is_elsewhere(name, folder) else name


def _is_elsewhere(name: str, folder: Path) -> bool:
    """Whether a module of the name is installed, so that it would be taken for the package."""
    spec = find_spec(name)
    return spec is not None and spec.origin is not None and not spec.origin.startswith(str(folder))


def project_files(folder: Path, package: str, inference: Inference) -> dict[Path, str]:
    """Return the files of a new project by path, all but those of its first source.

    Args:
        folder: Folder of the project.
        package: Name of its package.
        inference: Of its first source.
    """
    extras = ",".join(["embedded", *_extras(inference)])
    pyproject = _PYPROJECT.format(
        distribution=package.replace("_", "-"), package=package, extras=extras, version=version("etl-assets")
    )
    return {
        folder / "pyproject.toml": pyproject,
        folder / ".gitignore": _IGNORED,
        folder / ".github" / "workflows" / "ci.yml": _CI,
        folder / package / "__init__.py": "",
        folder / package / "definitions.py": _DEFINITIONS,
        folder / package / "defs" / "sources" / "defs.yaml": _DEFS_YAML,
    }


def test_of_source(inference: Inference) -> str:
    """Return the test of a source; it reads the file if that is in the project.

    Args:
        inference: With a location as the project has it.
    """
    file = inference.file
    is_here = file.by is None and not is_remote(file.location) and not file.location.startswith(("/", "~"))
    return (_TEST_OF_FILE if is_here else _TEST).format(name=inference.name)


def _extras(inference: Inference) -> list[str]:
    """Return the extras of this package that a source needs."""
    extras = ["excel"] if isinstance(inference.recognised.format, Excel) else []
    extras += ["passwords"] if inference.password is not None else []
    scheme = inference.file.location.partition("://")[0]
    return [*extras, *([_EXTRA_OF_SCHEME[scheme]] if scheme in _EXTRA_OF_SCHEME else [])]
