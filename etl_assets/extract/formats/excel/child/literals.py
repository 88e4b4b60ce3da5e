"""Cells as JSON: a text, null, or an object for a cell that has no value that can be read.

A record is an array of such cells. So a text ``#N/A`` and the error of that name differ when the record is read again
from its bytes.
"""

from __future__ import annotations

import json
import re
from typing import Final

NULL: Final = "null"
TRUE: Final = '"true"'
FALSE: Final = '"false"'
FORMULA: Final = '{"formula": null}'
"""A formula without a stored result."""
_ESCAPE: Final = re.compile("_x([0-9A-Fa-f]{4})_")
_encode: Final = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode


def text(value: str) -> str:
    """Return a text; null if it is empty, and a damaged cell if it has NUL or half a surrogate pair."""
    if not value:
        return NULL
    literal = _encode(value)
    return literal if value.isprintable() or _can_be_kept(value) else damaged(value)


def escaped_text(value: str) -> str:
    """Return a text in which OOXML writes some characters as ``_x000D_``."""
    if "_x" in value:
        value = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), value)
        value = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return text(value)


def plain(value: str) -> str:
    """Return a text that needs no escapes: digits, signs and ASCII letters."""
    return f'"{value}"'


def error(name: str) -> str:
    """Return a cell with an error value, such as ``#N/A``."""
    return _object("error", name)


def date(serial: str) -> str:
    """Return a cell whose number is shown as a date, but is none."""
    return _object("date", serial)


def damaged(content: str) -> str:
    """Return a cell whose content breaks the rules of its type."""
    return _object("damaged", content)


def of_unnamed_columns(cells: dict[str, str]) -> str:
    """Return the cells of a record in columns without a name, by the letters of the column."""
    listed = ", ".join(f'"{letters}": {literal}' for letters, literal in cells.items())
    return f'{{"unnamed": {{{listed}}}}}'


def shown(literal: str) -> str | None:
    """Return the text of a cell; None if it has no text."""
    return json.loads(literal) if literal.startswith('"') else None


def _object(key: str, value: str) -> str:
    return f'{{"{key}": {json.dumps(value.encode("utf-8", "backslashreplace").decode())}}}'


def _can_be_kept(value: str) -> bool:
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
