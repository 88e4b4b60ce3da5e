"""What the commands that infer a declaration have in common: how a location is read, and what is shown of it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from etl_assets.cli.terminal import count_text, fetches_shown, progress
from etl_assets.model.secret import Secret
from etl_assets.model.text import escape_control_characters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from etl_assets.infer import Inference
    from etl_assets.source import Source


@dataclass(frozen=True)
class Reading:
    """How a location is read.

    Attributes:
        member: Glob for the members of an archive.
        part: The table, sheet or path of records.
        password: Name of the secret that opens it.
    """

    member: str = "*"
    part: str | None = None
    password: str | None = None


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a `Reading`, under the names of its attributes."""
    for option in (
        click.option("--password", metavar="NAME", help="Name of the secret that opens the archive or workbook."),
        click.option("--part", help="The table, sheet or path of records, if the file has several."),
        click.option("--member", default="*", show_default=True, help="Glob for the members of an archive."),
    ):
        command = option(command)
    return command


@contextmanager
def inferred(location: str, name: str, reading: Reading, sources: Mapping[str, Source]) -> Iterator[Inference]:
    """Infer from a file, or from what an extractor fetches, for a block.

    Args:
        location: Path or URL of a file, or path of a Python file with an extractor.
        name: Of the source.
        reading: How it is read.
        sources: The sources that are declared already, for references.
    """
    from etl_assets import catalog
    from etl_assets.infer import DeclaredExtractor, infer, infer_of_extractor

    if not location.endswith(".py"):
        secret = None if reading.password is None else Secret(reading.password)
        with infer(location, name, sources, member=reading.member, part=reading.part, password=secret) as inference:
            yield inference
        return
    path = Path(location)
    if not path.is_file():
        raise click.UsageError(f"There is no file {location}.")
    if reading != Reading():
        raise click.UsageError("--member, --part and --password are for files; declare them in the extractor.")
    extractor = DeclaredExtractor.of(catalog.load_module(path), path)
    with progress() as bar, fetches_shown(bar), infer_of_extractor(extractor, name, sources) as inference:
        yield inference


def summary(inference: Inference) -> str:
    """Return how many columns were inferred, the key, how many questions are left, and those about the whole file."""
    from etl_assets.infer.recognised import as_sentence

    doubts = len(inference.recognised.doubts) + sum(len(column.doubts) for column in inference.columns)
    doubts += inference.key_is_open
    columns = count_text(len(inference.columns), "column")
    questions = f"{count_text(doubts, 'question')} for you in the comments" if doubts else "no question left open"
    key = f"key {', '.join(inference.key)}" if inference.key else "no key"
    counted = f"{columns}, {key}; {questions}."
    about_the_file = (escape_control_characters(as_sentence(doubt)) for doubt in inference.recognised.doubts)
    return "\n".join([counted, *about_the_file])
