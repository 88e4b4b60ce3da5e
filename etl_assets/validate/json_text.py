"""Whether a text is a JSON document that the database can store.

The document itself is passed on as written; nothing is made of it here.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, Final, NoReturn

MAX_DEPTH: Final = 512
"""Levels of nesting that are read; more is refused before the interpreter's own stack would be."""

_DIGITS_BEFORE_POINT: Final = 131_072
_DIGITS_AFTER_POINT: Final = 16_383
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def is_document(text: str) -> bool:
    """Whether a text is one JSON document (RFC 8259) within what PostgreSQL's ``jsonb`` holds.

    Refused beside malformed texts: ``NaN`` and ``Infinity``, an escaped NUL, a lone surrogate, a number that
    ``numeric`` cannot hold, more than ``MAX_DEPTH`` levels.
    """
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        return False
    try:
        value = json.loads(text, parse_constant=_refuse, parse_int=_number, parse_float=_number)
    except ValueError:
        return False
    if _NUL.search(text):
        return False
    return not _SURROGATE.search(text) or _encodes(value)


def _refuse(word: str) -> NoReturn:
    raise ValueError(word)


def _number(text: str) -> None:
    """Take a number of any length, without the limit that Python's own integers have."""
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
        mark = match.group()
        if mark in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in "]}":
            depth -= 1
    return deepest
