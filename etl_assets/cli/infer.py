"""``etl-assets infer``: prints the declaration of a source, inferred from one of its files."""

from __future__ import annotations

import click

from etl_assets import project
from etl_assets.cli.environment import declared
from etl_assets.cli.inference import Reading, inferred, reading_options, summary


@click.command(name="infer")
@click.argument("location", metavar="FILE|URL|EXTRACTOR.py")
@click.option("--name", help="Name of the source; that of the file by default.")
@reading_options
def command(location: str, name: str | None, member: str, part: str | None, password: str | None) -> None:
    """Print the declaration of a source from FILE or URL, with the evidence for each line in comments.

    A Python file with EXTRACTOR = RestExtractor(…), or another extractor, is asked for its first records. Nothing is
    written; `etl-assets new` adds such a source to a project.
    """
    from etl_assets.infer import declaration, source_name
    from etl_assets.scaffold import absolute, declared_in

    name = name or source_name(location)
    here = project.current()
    place = location if here is None or location.endswith(".py") else absolute(location)
    with inferred(place, name, Reading(member, part, password), declared().sources) as inference:
        click.echo(declaration(inference if here is None else declared_in(here.folder, inference)), nl=False)
        click.echo(summary(inference), err=True)
