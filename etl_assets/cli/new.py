"""``etl-assets new``: adds a source to the project, inferred from one of its files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from etl_assets import project
from etl_assets.cli.environment import declared
from etl_assets.cli.inference import Reading, inferred, reading_options, summary
from etl_assets.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable


@click.command(name="new")
@click.argument("name")
@click.option("--from", "location", metavar="FILE|URL|EXTRACTOR.py", required=True, help="What the source fetches.")
@reading_options
def command(name: str, location: str, member: str, part: str | None, password: str | None) -> None:
    """Add the source NAME to the project: its declaration, as `etl-assets infer` prints it, and a test.

    It is written to the first folder of sources; from an EXTRACTOR.py, beside that file. Then it is previewed.
    """
    from etl_assets.scaffold import absolute, folder_of_sources, source_files, write

    settings, here = Settings.from_environment(), project.current()
    by_extractor = location.endswith(".py")
    folder = folder_of_sources(settings, Path(location) if by_extractor else None)
    place = location if here is None or by_extractor else absolute(location)
    with inferred(place, name, Reading(member, part, password), declared(settings).sources) as inference:
        files = source_files(inference, folder, here)
        write(files)
        click.echo(summary(inference))
    show(files, name)
    click.echo(f"\nThen load it:\n    etl-assets run {name}")


def show(files: Iterable[Path], name: str) -> None:
    """Print the paths of files that were written, and what a run of the source among them would load."""
    from etl_assets import catalog
    from etl_assets.cli.preview import preview_source

    for path in files:
        click.echo(f"Written: {_shown(path)}")
    click.echo("\nA run would load:\n")
    preview_source(catalog.load_file(next(path for path in files if path.name == f"{name}.py")))


def _shown(path: Path) -> str:
    """Return a path in the current folder without that folder."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
