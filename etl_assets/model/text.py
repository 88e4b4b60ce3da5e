"""Text from outside: escaped where it could control a terminal or no database stores it, and cut where it is long."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_ESCAPED_BYTE: Final = 0xDC00
"""The offset that Python's ``surrogateescape`` adds to bytes that are not UTF-8."""
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
_MOST_SHOWN: Final = 20
_SHOWN_CHARACTERS: Final = 100


def escape_control_characters(text: str) -> str:
    """Return a text with an escape for every character that a terminal might execute or not show."""
    return text if text.isprintable() else "".join(char if char.isprintable() else _escape(char) for char in text)


def escape_lines(text: str) -> str:
    """Return lines of text with an escape for every other character that a terminal might execute or not show."""
    return "\n".join(map(escape_control_characters, text.split("\n")))


def storable(text: str) -> str:
    r"""Return a text with an escape for each character that no database stores; all other texts unchanged.

    These are NUL (``\x00``), the bytes of a file name that are not UTF-8 (``\xff``), and other lone surrogates
    (``\ud800``).
    """
    return _UNSTORABLE.sub(lambda match: _escape(match[0]), text)


def names_text(names: Sequence[str]) -> str:
    """Return names in quotes: the first ones, each cut if it is long, and the number of the others.

    Args:
        names: The names, as published.
    """
    more = f" and {len(names) - _MOST_SHOWN:,} more" if len(names) > _MOST_SHOWN else ""
    return f"{', '.join(map(quoted, names[:_MOST_SHOWN]))}{more}"


def quoted(name: str) -> str:
    """Return a name in quotes, escaped, and cut if it is long."""
    return f"'{escape_control_characters(cut(name, _SHOWN_CHARACTERS))}'"


def cut(text: str, most: int) -> str:
    """Return a text of at most so many characters, and a sign after it if it was longer."""
    return text if len(text) <= most else f"{text[:most]}…"


def _escape(char: str) -> str:
    byte = ord(char) - _ESCAPED_BYTE
    if 0x80 <= byte <= 0xFF:  # noqa: PLR2004 -- a byte that is not UTF-8
        return f"\\x{byte:02x}"
    return char.encode("unicode_escape").decode()


def nearest_text(name: str, known: Iterable[str]) -> str:
    """Return which of some names is the nearest to one that is not among them, to end a sentence with; else nothing."""
    from difflib import get_close_matches  # noqa: PLC0415 -- only for an error

    close = get_close_matches(name, list(known), 1)
    return f"; the nearest is {close[0]!r}" if close else ""
