"""``etl-assets init``: makes a project with its first source, inferred from a file."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from etl_assets import project
from etl_assets.cli.inference import Reading, inferred, reading_options, summary
from etl_assets.errors import SettingsError


@click.command(name="init")
@click.argument("location", metavar="FILE|URL")
@click.argument("folder", default=".", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", help="Name of the first source; that of the file by default.")
@reading_options
def command(
    location: str,
    folder: Path,
    name: str | None,
    member: str,
    part: str | None,
    password: str | None,
) -> None:
    """Make a project in FOLDER, the current one by default, with a source for FILE or URL.

    It has the declaration of the source with the evidence for each line, a test, settings, and what CI and Dagster's dg
    need. Nothing is overwritten. Then the source is previewed, and the next commands are printed.
    """
    from etl_assets.cli.new import show
    from etl_assets.infer import source_name
    from etl_assets.scaffold import absolute, package_name, project_files, source_files, write

    home = folder.absolute()
    _require_none(home)
    name = name or source_name(location)
    package = package_name(home)
    with inferred(absolute(location), name, Reading(member, part, password), {}) as inference:
        files = project_files(home, package, inference)
        made = project.Project(home, {}, ())
        files |= source_files(inference, home / package / "defs" / "sources", made)
        write(files)
        click.echo(summary(inference))
    show(files, name)
    _print_next(folder, name)


def _require_none(home: Path) -> None:
    """Raise if the folder has a project, or anything that Python calls one.

    Raises:
        SettingsError: If it has.
    """
    if (home / project.FILE).exists():
        raise SettingsError(
            f"{home / project.FILE} exists. Nothing was written. To add a source to that project, run: etl-assets new "
            f"NAME --from FILE. If it is no project of etl-assets yet, add {project.TABLE} with sources = [a folder]."
        )


def _print_next(folder: Path, name: str) -> None:
    """Print the commands that come next, each in a line of its own."""
    steps = [
        ("create the database", "etl-assets migrate"),
        ("load the table", f"etl-assets run {name}"),
        ("look at it", f"etl-assets sql 'SELECT * FROM core.{name} LIMIT 10'"),
        ("see everything in Dagster", "etl-assets dev"),
    ]
    if folder.absolute() != Path.cwd():
        steps.insert(0, ("go to the project", f"cd {shlex.quote(str(folder))}"))
    click.echo("\nNext:")
    for what, line in steps:
        click.echo(f"\n  {what}\n    {line}")
