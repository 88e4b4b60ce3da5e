"""Writes the files of sources that tests load."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_SOURCE = """
from etl_assets import Column, Csv, FileExtractor, Schema, Source

SOURCE = Source(
    name={name!r},
    description="A feed.",
    owner="team:tests",
    extractor=FileExtractor(location={location!r}, format=Csv(), settle_seconds=0.0),
    schema=Schema((Column("id", "integer", required=True, references={references!r}),), ("id",)),
    {more}
)
"""


def source_text(name: str, location: str = "feed.csv", more: str = "", references: str | None = None) -> str:
    """The text of a file that declares a source with one column, ``id``, which may refer to another table."""
    return _SOURCE.format(name=name, location=location, more=more, references=references)


def write_files(folder: Path, **files: str) -> Path:
    """Write modules into a folder, by name, and return the folder."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(dedent(text), "utf-8")
    return folder
