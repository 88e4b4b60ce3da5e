"""Chooses the sheets of a workbook that have the records."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from etl_assets.extract.formats.excel.child import literals
from etl_assets.extract.formats.excel.child.refusal import RefusalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.extract.formats.excel.child.book import Book, Sheet
    from etl_assets.extract.formats.excel.child.request import Request

_MOST_SHOWN: Final = 20


def chosen(book: Book, request: Request) -> Sequence[Sheet]:
    """Return the sheets to read, in the order of their tabs.

    Raises:
        RefusalError: If none matches, or if several have cells and none is declared.
    """
    visible = [sheet for sheet in book.sheets if sheet.has_cells and (request.hidden_sheets or not sheet.hidden)]
    if request.sheet is not None:
        named = [sheet for sheet in visible if sheet.name == request.sheet]
        matching = named or [sheet for sheet in visible if fnmatchcase(sheet.name, request.sheet)]
        if not matching:
            raise RefusalError(f"no sheet matches sheet={request.sheet!r}; it has {_listed(book)}", _REMEDY)
        return matching
    if len(visible) > 1:
        visible = [sheet for sheet in visible if _has_a_value(book, sheet)] or visible[:1]
    if len(visible) == 1:
        return visible
    problem = "several sheets have cells" if visible else "no visible sheet has cells"
    raise RefusalError(f"{problem}; it has {_listed(book)}", _REMEDY)


_REMEDY: Final = (
    "Declare sheet= with the name of the sheet that has the records, and hidden_sheets=True if it is hidden"
)


def _has_a_value(book: Book, sheet: Sheet) -> bool:
    return any(cell != literals.NULL for row in book.rows(sheet) for cell in row.cells)


def _listed(book: Book) -> str:
    """Return the sheets there are, for errors."""
    shown = [_shown(sheet) for sheet in book.sheets[:_MOST_SHOWN]]
    more = len(book.sheets) - len(shown)
    return (", ".join(shown) or "no sheets") + (f" and {more} more" if more else "")


def _shown(sheet: Sheet) -> str:
    kinds = ["hidden"] * sheet.hidden + ["without cells"] * (not sheet.has_cells)
    name = sheet.name if sheet.name.isprintable() else ascii(sheet.name)[1:-1]
    return f"'{name[:100]}'" + (f" ({', '.join(kinds)})" if kinds else "")
