"""Declares shirts, of which files are published, with the columns that a test names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etl_assets_tests.cli.desk import Desk

_SHIRTS = """
from etl_assets import Column, Csv, FileExtractor, Files, Schema, Source, Static

SOURCE = Source(
    name="shirts",
    description="What is in stock.",
    owner="team:tests",
    extractor=FileExtractor(location={folder!r} + {location!r}, format=Csv(), settle_seconds=0.0, move_to={move_to!r}),
    schema=Schema(columns=(Column("id", "integer", required=True), {columns}), key=("id",), ignored={ignored!r}),
    partitions={partitions},
)
"""


def declare_shirts(
    desk: Desk,
    columns: str,
    *,
    ignored: tuple[str, ...] = (),
    location: str = "/shirts/*.csv",
    move_to: str = "",
    partitions: str = "Files()",
) -> None:
    """Write the declaration of the shirts.

    Args:
        desk: Where it is written.
        columns: Python of the columns beside the key, ``id``.
        ignored: Names that are published and not loaded.
        location: Of the files, below the folder of the feeds.
        move_to: Where a file is moved when it is loaded.
        partitions: Python.
    """
    folder = str(desk.folder / "feeds")
    text = _SHIRTS.format(
        folder=folder, location=location, move_to=move_to, columns=columns, ignored=ignored, partitions=partitions
    )
    desk.declare("shirts", text)
