"""``etl-assets infer``: writes the declaration of a source from one of its files, and previews it."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from etl_assets.cli.environment import declared
from etl_assets.cli.preview import preview_source
from etl_assets.cli.terminal import count_text, fetches_shown, progress
from etl_assets.model.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.infer import Inference


@click.command(name="infer")
@click.argument("location", metavar="FILE|URL|EXTRACTOR.py")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write the declaration to this file, which must not exist."
)
@click.option("--name", help="Name of the source; that of the file by default.")
@click.option("--member", default="*", show_default=True, help="Glob for the members of an archive.")
@click.option("--part", help="The table, sheet or path of records, if the file has several.")
@click.option("--password", metavar="NAME", help="Name of the secret that opens the archive or workbook.")
def command(
    location: str, out: Path | None, name: str | None, member: str, part: str | None, password: str | None
) -> None:
    """Write the declaration of a source from FILE or URL, with the evidence for each line in comments.

    A Python file with EXTRACTOR = RestExtractor(…), or another extractor, is asked for its first records.

    Without --out it is printed. With it, the file is written and then previewed like `etl-assets preview FILE`.
    """
    from etl_assets import catalog
    from etl_assets.infer import declaration, source_name

    if out is not None and out.exists():
        raise click.UsageError(f"{out} exists. Nothing was written. Name a new file, or delete that one.")
    name = name or (out.stem if out is not None else source_name(location))
    if out is not None and out.name != f"{name}.py":
        raise click.UsageError(f"{out} cannot be the file of source {name!r}. Nothing was written. Name it {name}.py.")
    secret = None if password is None else Secret(password)
    with _inferred(location, name, out, member, part, secret) as inference:
        text = declaration(inference)
        summary = _summary(inference)
    if out is None:
        click.echo(text, nl=False)
        click.echo(summary, err=True)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    click.echo(summary)
    click.echo(f"{out} is written. A run of it would load:\n")
    preview_source(catalog.load_file(out))


@contextmanager
def _inferred(
    location: str, name: str, out: Path | None, member: str, part: str | None, password: Secret | None
) -> Iterator[Inference]:
    """Infer from a file, or from what an extractor fetches, for a block."""
    from etl_assets import catalog
    from etl_assets.infer import DeclaredExtractor, infer, infer_of_extractor

    if not location.endswith(".py"):
        with infer(location, name, declared().sources, member=member, part=part, password=password) as inference:
            yield inference
        return
    path = Path(location)
    if not path.is_file():
        raise click.UsageError(f"There is no file {location}.")
    if (member, part, password) != ("*", None, None):
        raise click.UsageError("--member, --part and --password are for files; declare them in the extractor.")
    if out is not None and out.parent.resolve() != path.parent.resolve():
        raise click.UsageError(f"{out} must be in the folder of {path}, from which it imports the extractor.")
    extractor = DeclaredExtractor.of(catalog.load_module(path), path)
    with progress() as bar, fetches_shown(bar), infer_of_extractor(extractor, name, declared().sources) as inference:
        yield inference


def _summary(inference: Inference) -> str:
    doubts = len(inference.recognised.doubts) + sum(len(column.doubts) for column in inference.columns)
    doubts += inference.key_is_open
    columns = count_text(len(inference.columns), "column")
    questions = f"{count_text(doubts, 'question')} for you in the comments" if doubts else "no question left open"
    return f"{columns}, key {', '.join(inference.key)}; {questions}."
