"""The fingerprint of a source covers the code of its author that decides which rows the same bytes become."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import Column, Csv, FileExtractor, Files, Schema, Source
from etl_assets.user_code import code_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FEED = '''"""Readings, from a publisher."""
# who owns it has been decided elsewhere
from dataclasses import dataclass

import pandas as pd

from etl_assets import *
from {package}.scales import scaled

FACTOR = 2


@dataclass(frozen=True)
class Scaled(Transformer):
    """Scales readings."""

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Scale."""
        return scaled(frame, FACTOR)


SOURCE = Source(
    name="readings",
    description="Readings.",
    owner="team:tests",
    extractor=FileExtractor(location="/feeds/readings.csv", format=Csv()),
    schema=Schema(columns=(Column("id", "integer", required=True),), key=("id",)),
    transformer=Scaled(),
)
'''
SCALES = "def scaled(frame, factor):\n    return frame * factor\n"


@dataclass
class Folder:
    """A package with a source and its neighbours."""

    path: Path
    package: str

    def write(self, **files: str) -> Source:
        """Write files, import the package again, and return the source."""
        for name, text in files.items():
            (self.path / f"{name}.py").write_text(text.replace("{package}", self.package))
        for name in [name for name in sys.modules if name.startswith(self.package)]:
            del sys.modules[name]
        importlib.invalidate_caches()
        source = importlib.import_module(f"{self.package}.readings").SOURCE
        assert isinstance(source, Source)
        return source


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    package = f"feeds_{tmp_path.name}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # files change within a second
    yield Folder(tmp_path / package, package)
    for name in [name for name in sys.modules if name.startswith(package)]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("readings", "FACTOR = 2", "FACTOR = 3"),
        ("readings", "scaled(frame, FACTOR)", "scaled(frame, 2 * FACTOR)"),
        ("scales", "frame * factor", "frame + factor"),
        ("units", "1", "1000"),
        ("readings", "Csv()", "Csv(null=('NA',))"),
        ("readings", "format=Csv()", 'format=Csv(), member="a*"'),
    ],
)
def test_a_change_that_may_change_rows_changes_the_fingerprint(folder: Folder, file: str, old: str, new: str) -> None:
    files = {"readings": FEED, "scales": f"from . import units\n{SCALES}", "units": "UNIT = 1\n"}
    before = folder.write(**files).fingerprint
    assert old in files[file]
    assert folder.write(**{**files, file: files[file].replace(old, new)}).fingerprint != before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Readings, from a publisher."""', '"""Readings, from another publisher."""'),
        ('    """Scales readings."""\n', '    """Scales."""\n\n'),
        ("# who owns it", "# we own it: who"),
        ('owner="team:tests"', 'owner="team:others", max_rejected=0.5'),
        ('owner="team:tests"', 'owner="team:tests", queue="big", workers=2'),
        ("/feeds/readings.csv", "/other/readings.csv"),
    ],
)
def test_a_change_that_cannot_change_rows_keeps_the_fingerprint(folder: Folder, old: str, new: str) -> None:
    before = folder.write(readings=FEED, scales=SCALES).fingerprint
    assert old in FEED
    assert folder.write(readings=FEED.replace(old, new), scales=SCALES).fingerprint == before


def test_moving_a_folder_keeps_the_fingerprint(folder: Folder, tmp_path: Path) -> None:
    before = folder.write(readings=FEED, scales=SCALES).fingerprint
    (tmp_path / "elsewhere").mkdir()
    moved = Folder(tmp_path / "elsewhere", folder.package)
    (moved.path / "__init__.py").touch()
    sys.modules.pop(folder.package)
    folder.path.rename(tmp_path / "gone")
    moved.path.rename(folder.path)
    assert folder.write(readings=FEED, scales=SCALES).fingerprint == before


def test_a_module_that_imports_itself_through_a_neighbour_is_read_once(folder: Folder) -> None:
    source = folder.write(readings=FEED, scales=f"import {{package}}.readings\n{SCALES}")
    assert len(code_of("source", source.transformer)) == 2


def source(**changes: Any) -> Source:
    column = Column("id", "integer", required=True)
    declared = Source(
        name="readings",
        description="Readings.",
        owner="team:tests",
        extractor=FileExtractor(location="/feeds/*.csv", format=Csv()),
        schema=Schema(columns=(column,), key=("id",)),
    )
    return replace(declared, **changes)


def test_a_source_without_code_of_its_own_depends_on_no_module() -> None:
    declared = source()
    assert code_of("source", declared.extractor, declared.schema, declared.loader, declared.validator) == []


def test_the_function_that_ranks_files_is_code() -> None:
    assert source(partitions=Files(rank=lambda name: name)).fingerprint != source(partitions=Files()).fingerprint
