"""Checks whether a text is a JSON document that the database can store.

The document itself is passed on as written.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, Final, NoReturn

MAX_DEPTH: Final = 512
"""Largest number of nested levels; deeper texts are refused before they exceed the interpreter's stack."""

_DIGITS_BEFORE_POINT: Final = 131_072
_DIGITS_AFTER_POINT: Final = 16_383
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def is_document(text: str) -> bool:
    """Return whether a text is one JSON document (RFC 8259) that PostgreSQL's ``jsonb`` can store.

    Besides malformed texts it refuses: ``NaN`` and ``Infinity``, an escaped NUL, a lone surrogate, a number that
    ``numeric`` cannot store, and more than ``MAX_DEPTH`` levels.
    """
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        return False
    try:
        value = json.loads(text, parse_constant=_refuse, parse_int=_check_number, parse_float=_check_number)
    except ValueError:
        return False
    if _NUL.search(text):
        return False
    return not _SURROGATE.search(text) or _encodes(value)


def _refuse(word: str) -> NoReturn:
    raise ValueError(word)


def _check_number(text: str) -> None:
    """Raise a `ValueError` if ``numeric`` cannot store a number; accept more digits than Python's own integers."""
    if len(text) < _DIGITS_AFTER_POINT and "e" not in text and "E" not in text:
        return
    mantissa, _, exponent = text.lower().partition("e")
    if len(exponent) > len(str(_DIGITS_BEFORE_POINT)) + 1:
        raise ValueError
    _, digits, scale = Decimal(mantissa).as_tuple()
    shift = int(scale) + int(exponent or 0)
    if len(digits) + shift > _DIGITS_BEFORE_POINT or -shift > _DIGITS_AFTER_POINT:
        raise ValueError


def _encodes(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _depth(text: str) -> int:
    deepest = depth = 0
    for match in _BRACKET.finditer(text):
        part = match.group()
        if part in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif part in "]}":
            depth -= 1
    return deepest
