"""How things are printed: tables, progress, JSON lines, and text from outside made harmless for a terminal."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

import click
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_ESCAPED_BYTE: Final = 0xDC00
"""Where Python's ``surrogateescape`` begins to count bytes that are no text."""
_WIDTH: Final = 160
"""Characters of a line where nobody looks at a terminal."""


def harmless(text: str) -> str:
    """Text with every character that a terminal might act upon, or not show, written as an escape."""
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def harmless_bytes(raw: bytes) -> str:
    """Bytes as text: UTF-8 where they are, escapes where they are not or where a terminal might act upon them."""
    return harmless(raw.decode("utf-8", "surrogateescape"))


def _escape(char: str) -> str:
    byte = ord(char) - _ESCAPED_BYTE
    if 0x80 <= byte <= 0xFF:  # noqa: PLR2004 -- not UTF-8
        return f"\\x{byte:02x}"
    return char.encode("unicode_escape").decode()


def emit(value: object) -> None:
    """Print a value as one line of JSON."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str))


def counted(number: int, noun: str, several: str = "") -> str:
    """A number of things in words: ``1 record``, ``2,000 records``; several as they are called, if not by an s."""
    return f"{number:,} {noun if number == 1 else several or f'{noun}s'}"


def console(*, err: bool = False) -> Console:
    """Where people read: as wide as their terminal, or wide enough."""
    stream = sys.stderr if err else sys.stdout
    return Console(stderr=err, width=None if stream.isatty() else _WIDTH, highlight=False)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None, total: bool = False
) -> None:
    """Print a table; numbers stand right, and nothing in it is taken for markup.

    Args:
        columns: Its head.
        rows: Its cells; None is shown as nothing.
        title: Above it.
        total: Whether a line goes before the last row.
    """
    cells = [list(row) for row in rows]
    made = Table(*columns, title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
    for place, column in enumerate(made.columns):
        column.overflow = "fold"
        if cells and all(isinstance(row[place], int | float | None) for row in cells):
            column.justify = "right"
    for number, row in enumerate(cells, start=1):
        made.add_row(*(Text(_cell(value)) for value in row), end_section=total and number == len(cells) - 1)
    console().print(made)


def progress(*, shown: bool = True) -> Progress:
    """A progress bar on standard error; nothing where that is no terminal."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console(err=True),
        transient=True,
        disable=not (shown and sys.stderr.isatty()),
    )


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
            return harmless(str(value))
