"""Prints tables, progress and lines of JSON, and escapes text from outside that could control a terminal."""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from etl_assets.model.text import escape_control_characters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.console import Console
    from rich.progress import Progress

_STYLES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("good", "loaded", "replayed", "resumed"), "green"),
    **dict.fromkeys(("late", "degraded", "open", "parked"), "yellow"),
    **dict.fromkeys(("broken", "failed", "refused"), "red"),
}
"""The colours of cells that are the name of a state."""
_WIDTH: Final = 160
"""Characters of a line if the output is not a terminal."""


def error(text: str) -> None:
    """Print an error to standard error: its class, up to the first colon, in red if that is a terminal."""
    name, colon, rest = text.partition(":")
    click.echo(click.style(name, fg="red", bold=True) + colon + rest, err=True, color=_has_colours(sys.stderr))


def _has_colours(stream: TextIO) -> bool:
    """Return whether a stream is a terminal whose user has not asked for no colours."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def harmless_bytes(raw: bytes) -> str:
    """Return bytes as UTF-8 text, with an escape for every other byte and every character that is not printable."""
    return escape_control_characters(raw.decode("utf-8", "surrogateescape"))


def emit(value: object) -> None:
    """Print a value as one line of JSON, with an escape for every character that is not printable."""
    line = json.dumps(value, ensure_ascii=False, default=str)
    click.echo("".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in line))


def count_text(number: int, noun: str, several: str = "") -> str:
    """Return a number with its noun: ``1 record``, ``2,000 records``; ``several`` is the plural if it is irregular."""
    return f"{number:,} {noun if number == 1 else several or f'{noun}s'}"


def console(*, err: bool = False) -> Console:
    """Return a console for people, as wide as the terminal, or 160 characters if there is none."""
    from rich.console import Console

    stream = sys.stderr if err else sys.stdout
    return Console(stderr=err, width=None if stream.isatty() else _WIDTH, highlight=False)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None, total: bool = False
) -> None:
    """Print a table. Numbers are aligned right, and no cell is interpreted as markup.

    Args:
        columns: The names of the columns.
        rows: The cells; None is shown as an empty cell.
        title: The title above the table.
        total: Whether the last row has the sums, so that a line precedes it.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    cells = [list(row) for row in rows]
    grid = Table(*columns, title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
    for position, column in enumerate(grid.columns):
        column.overflow = "fold"
        if cells and all(isinstance(row[position], int | float | None) for row in cells):
            column.justify = "right"
    for number, row in enumerate(cells, start=1):
        grid.add_row(
            *(Text(_cell(value), style=_STYLES.get(value, "") if isinstance(value, str) else "") for value in row),
            end_section=total and number == len(cells) - 1,
        )
    console().print(grid)


@contextmanager
def progress(*, shown: bool = True) -> Iterator[Progress]:
    """Show a progress bar on standard error for a block; it shows nothing if that is not a terminal.

    Dagster redirects standard error while a run is executed in this process, so the bar has a descriptor of its own.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    is_shown = shown and sys.stderr.isatty()
    with ExitStack() as stack:
        own = stack.enter_context(os.fdopen(os.dup(sys.stderr.fileno()), "w")) if is_shown else None
        yield stack.enter_context(
            Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=console(err=True) if own is None else Console(file=own, highlight=False),
                transient=True,
                disable=not is_shown,
            )
        )


@contextmanager
def fetches_shown(bar: Progress) -> Iterator[None]:
    """Show the progress of fetches in a block: above a bar, or as lines on standard error if that is no terminal."""
    from etl_assets.extract import progress as fetch_progress

    with fetch_progress.shown(lambda text: bar.console.print(escape_control_characters(text), markup=False)):
        yield


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.2f}"
        case _:
            return escape_control_characters(str(value))
