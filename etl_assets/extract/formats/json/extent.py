"""Finds where a JSON value ends, by its quotes and brackets alone, whether or not what is between them is valid JSON.

So a record that is not valid JSON ends where a valid one would, and the next record is read as published.
"""

from __future__ import annotations

import re
from typing import Final

INCOMPLETE: Final = -1
"""The value does not end within the bytes."""
_TO_BRACKET: Final = re.compile(
    rb"""[^\[\]{}"]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^\[\]{}"]*+)*+(?:([\[{])|([\]}])|"|\Z)""", re.DOTALL
)
"""Bytes and whole texts up to a bracket; or up to a text or the end of the bytes, if there is no bracket before."""
_OPENING: Final = 1
_CLOSING: Final = 2
_TEXT: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_WORD: Final = re.compile(rb'[^ \t\r\n\[\]{}",:]*+')
COLON: Final = re.compile(rb"[ \t\r\n]*+:[ \t\r\n]*+")
"""What is between a key and its value."""
_PAIRS: Final = (b"{}", b"[]")


def value_end(data: bytes, start: int, *, final: bool) -> int:
    """Return where a value ends.

    Args:
        data: Bytes of a document.
        start: Position of the value's first byte.
        final: Whether the document ends with the bytes.

    Returns:
        The position after its last byte; the start, if no value begins there; `INCOMPLETE`.
    """
    first = data[start : start + 1]
    if first in (b"{", b"["):
        return _container_end(data, start)
    if first == b'"':
        return text_end(data, start)
    match = _WORD.match(data, start)
    end = match.end() if match else start
    return end if final or end < len(data) else INCOMPLETE


def member_end(data: bytes, start: int, *, final: bool) -> int:
    """Return where a member of an object ends, from its key to its value; see `value_end`."""
    if data[start : start + 1] != b'"':
        return start
    key = text_end(data, start)
    if key == INCOMPLETE:
        return INCOMPLETE
    colon = COLON.match(data, key)
    if colon is None:
        return start if final or data[key:].strip(b" \t\r\n") else INCOMPLETE
    if colon.end() == len(data):
        return INCOMPLETE
    end = value_end(data, colon.end(), final=final)
    return start if end == colon.end() else end


def text_end(data: bytes, start: int) -> int:
    """Return where a text in quotes ends, or `INCOMPLETE`."""
    match = _TEXT.match(data, start)
    return match.end() if match else INCOMPLETE


def _container_end(data: bytes, start: int) -> int:
    """Return where an object or array ends; the start, if it ends with the bracket of the other kind."""
    depth = 0
    for match in _TO_BRACKET.finditer(data, start):
        if match.lastindex == _OPENING:
            depth += 1
        elif match.lastindex == _CLOSING:
            depth -= 1
            if not depth:
                end = match.end()
                return end if data[start : start + 1] + data[end - 1 : end] in _PAIRS else start
        else:
            break
    return INCOMPLETE
