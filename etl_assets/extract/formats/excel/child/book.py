"""What every reader of a type of workbook provides: its sheets, and the rows of a sheet."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Sheet(NamedTuple):
    """A sheet of a workbook.

    Attributes:
        name: As its tab shows it.
        hidden: Whether no tab is shown.
        has_cells: Whether it is a sheet of cells, and not of a chart, a dialog or macros.
        place: Where its reader finds it.
    """

    name: str
    hidden: bool
    has_cells: bool
    place: str


class Row(NamedTuple):
    """A row of a sheet.

    Attributes:
        number: From 1.
        hidden: Whether the sheet does not show it.
        columns: The columns of its cells, from 0, in ascending order.
        cells: These cells, as `literals` writes them.
    """

    number: int
    hidden: bool
    columns: tuple[int, ...]
    cells: Sequence[str]


class Merged(NamedTuple):
    """A range of cells that are merged into its first one: the first and the last row, from 1, and columns, from 0."""

    first_row: int
    last_row: int
    first_column: int
    last_column: int


class Book(Protocol):
    """A workbook.

    Attributes:
        sheets: In the order of their tabs.
        lacks: The options that its type does not have what they need for.
        type: Its type, as shown to people.
    """

    sheets: list[Sheet]
    lacks: frozenset[str]
    type: str

    def rows(self, sheet: Sheet) -> Iterator[Row]:
        """Yield the rows that have cells, in ascending order."""

    def merged(self, sheet: Sheet) -> Sequence[Merged]:
        """Return the merged ranges."""


@cache
def letters(column: int) -> str:
    """Return the letters of a column: A for 0."""
    name = ""
    column += 1
    while column:
        column, place = divmod(column - 1, 26)
        name = chr(65 + place) + name
    return name


def column_of(name: str) -> int:
    """Return the number of a column, from 0, by its letters in capitals."""
    number = 0
    for letter in name:
        number = number * 26 + ord(letter) - 64
    return number - 1
