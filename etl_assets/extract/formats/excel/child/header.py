"""The names of the columns of a sheet, from one row or from several with merged cells."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from etl_assets.extract.formats.excel.child import literals
from etl_assets.extract.formats.excel.child.book import letters
from etl_assets.extract.formats.excel.child.refusal import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from etl_assets.extract.formats.excel.child.book import Merged, Row

SEPARATOR: Final = " / "
"""Between the parts of a name that comes from several rows."""


def names_of(
    rows: Sequence[Row], numbers: range, merged: Iterable[Merged], columns: tuple[int, int], sheet: str
) -> dict[int, str]:
    """Return the names by their columns, from 0, in ascending order.

    Args:
        rows: The rows of the header that have cells.
        numbers: The numbers of all rows of the header.
        merged: The merged ranges of the sheet.
        columns: The first and the last column to read.
        sheet: Name of the sheet, for errors.

    Raises:
        RefusalError: If there is no name, a cell that is no text, or a name twice.
    """
    cells = {(row.number, column): cell for row in rows for column, cell in zip(row.columns, row.cells, strict=True)}
    owners = _owners(merged, numbers)
    parts: dict[int, list[str]] = {}
    width = range(columns[0], min(columns[1], max((column for _, column in (*cells, *owners)), default=-1)) + 1)
    for column in width:
        places = dict.fromkeys(owners.get((number, column), (number, column)) for number in numbers)
        texts = [_text(cells.get(place, literals.NULL), place, sheet) for place in places]
        if any(texts):
            parts[column] = [text for text in texts if text]
    names = {column: SEPARATOR.join(texts) for column, texts in parts.items()}
    _check(names, numbers, sheet)
    return names


def _owners(merged: Iterable[Merged], numbers: range) -> Mapping[tuple[int, int], tuple[int, int]]:
    """Return, for each cell of the header that is merged into another, the place of that one."""
    return {
        (number, column): (one.first_row, one.first_column)
        for one in merged
        for number in numbers
        if one.first_row <= number <= one.last_row
        for column in range(one.first_column, one.last_column + 1)
    }


def _text(cell: str, place: tuple[int, int], sheet: str) -> str:
    if cell == literals.NULL:
        return ""
    text = literals.shown(cell)
    if text is None:
        raise RefusalError(
            f"the name in cell {letters(place[1])}{place[0]} of sheet {sheet!r} is an error or cannot be read",
            "Correct header_row= if the names are in another row, or ask the publisher",
        )
    return text


def _check(names: Mapping[int, str], numbers: range, sheet: str) -> None:
    remedy = "Correct header_row= or columns= if the names are elsewhere, or declare them: header=('a', 'b')"
    row = f"row {numbers[0]}" if len(numbers) == 1 else f"rows {numbers[0]} to {numbers[-1]}"
    if not names:
        raise RefusalError(f"{row} of sheet {sheet!r} has no names", remedy)
    if twice := [name for name, count in Counter(names.values()).items() if count > 1]:
        columns = ", ".join(letters(column) for column, name in names.items() if name == twice[0])
        raise RefusalError(f"{row} of sheet {sheet!r} has the name {twice[0][:100]!r} in columns {columns}", remedy)
