"""Texts that Postgres and Dagster accept, whatever they are made of."""

from __future__ import annotations

import re
from typing import Final

_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
_ESCAPED_BYTE: Final = 0xDC00
"""The offset that Python's ``surrogateescape`` adds to bytes that are not UTF-8."""


def storable(text: str) -> str:
    r"""Return a text with an escape for each character that no database stores; all other texts unchanged.

    These are NUL (``\x00``), the bytes of a file name that are not UTF-8 (``\xff``), and other lone surrogates
    (``\ud800``).
    """
    return _UNSTORABLE.sub(lambda match: _escape(ord(match[0])), text)


def _escape(code: int) -> str:
    byte = code - _ESCAPED_BYTE if code else code
    return f"\\x{byte:02x}" if 0 <= byte <= 0xFF else f"\\u{code:04x}"  # noqa: PLR2004 -- a byte
