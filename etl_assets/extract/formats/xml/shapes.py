r"""Shapes: records that are written alike, byte for byte except for their values, are matched by one expression.

A shape is learnt from a record that expat has parsed, and used only if it finds the same cells in that record. What it
matches begins where expat is between two records, and expat still checks every byte of it. Within it, each ``<`` begins
the tag that the shape has there, since no value may contain one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_TAG: Final = re.compile(r"<(/?)([^\s/>=\"'<]+)((?:\s+[^\s=\"'<>/]+=(?:\"[^\"<\t\r\n]*\"|'[^'<\t\r\n]*'))*)\s*(/?)>")
_ATTRIBUTE: Final = re.compile(r"(\s+[^\s=\"'<>/]+=)([\"'])([^\"']*)\2")
_TEXT: Final = re.compile(r"[^<]*")
_EMPTY: Final = "/>"
_BLANKS: Final = " \t\r\n"
_REFERENCE: Final = re.compile(r"&(#x?)?([^;]+);")
_NAMED: Final = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
PIECE: Final = 64 * 1024
"""The largest number of bytes that expat parses at once."""
_MOST_LESSONS: Final = 16
"""The largest number of records from which a shape is learnt."""
_LONGEST: Final = 16 * 1024
"""The largest size of a record from which a shape is learnt, in bytes."""


class Shape:
    """How some records are written.

    Args:
        pattern: Matches a record, with a group for each value.
        keys: Published name of each value.
        tail: The end tag of the record, or the end of its only tag.

    Attributes:
        is_empty: Whether the record has no end tag.
    """

    __slots__ = ("_keys", "is_empty", "match", "tail")

    def __init__(self, pattern: re.Pattern[str], keys: tuple[str, ...], tail: str) -> None:
        self.match = pattern.match
        self.tail = tail
        self.is_empty = tail == _EMPTY
        self._keys = keys

    def cells(self, match: re.Match[str]) -> dict[str, str | None]:
        """Return the cells of a record.

        Args:
            match: Of bytes of UTF-8 as characters of Latin-1.
        """
        values: tuple[Any, ...] = match.groups()
        record = match[0]
        if not record.isascii():
            values = tuple([value if value.isascii() else value.encode("latin-1").decode() for value in values])
        if "&" in record:
            values = tuple([_REFERENCE.sub(_character, value) if "&" in value else value for value in values])
        if "" in values:
            values = tuple([value or None for value in values])
        return dict(zip(self._keys, values, strict=True))


class Shapes:
    """The shapes of the records of a document.

    Attributes:
        lessons: The number of records from which it may still learn.
    """

    def __init__(self) -> None:
        self.lessons = _MOST_LESSONS
        self._known: list[Shape] = []

    def __bool__(self) -> bool:
        return bool(self._known)

    def clear(self) -> None:
        """Forget all shapes, since their names may have got another meaning."""
        self._known.clear()

    def learn(self, record: str, cells: Mapping[str, Any]) -> None:
        """Learn the shape of a record that is malformed in no way.

        Args:
            record: Bytes of UTF-8, as characters of Latin-1.
            cells: What expat found in it, without the attributes of its ancestors.
        """
        if self.lessons:
            self.lessons -= 1
            if shape := _learn(record, cells):
                self._known.insert(0, shape)

    def match(self, text: str, position: int) -> list[tuple[Shape, re.Match[str]]]:
        """Return the shape of each record from a position on, until a record has none of the known ones."""
        matches: list[tuple[Shape, re.Match[str]]] = []
        while found := self._match(text, position):
            matches.append(found)
            position = found[1].end()
        return matches

    def stop(self, data: bytes, position: int) -> int:
        """Return the end of what expat should parse next: after the end tag of a record, or after `PIECE`."""
        limit = position + PIECE
        tail = self._known[0].tail.encode("latin-1") if self._known else b""
        found = data.find(tail, position, limit) if tail else -1
        return limit if found < 0 else found + len(tail)

    def _match(self, text: str, position: int) -> tuple[Shape, re.Match[str]] | None:
        """Return the shape of the record at a position; it is tried first for the next record."""
        for index, shape in enumerate(self._known):
            if match := shape.match(text, position):
                if index:
                    self._known.insert(0, self._known.pop(index))
                return shape, match
        return None


def _learn(record: str, cells: Mapping[str, Any]) -> Shape | None:
    """Return the shape of a record; None if others can hardly be written like it."""
    pattern = _pattern(record) if len(record) <= _LONGEST else None
    if pattern is None:
        return None
    compiled = re.compile(rf"[ \t\r\n]*{pattern}")
    match = compiled.match(record)
    if match is None or match.end() != len(record) or compiled.groups != len(cells):
        return None
    tail = _EMPTY if record.endswith(_EMPTY) else record[record.rfind("</") :]
    shape = Shape(compiled, tuple(cells), tail)
    return shape if list(shape.cells(match).items()) == list(cells.items()) else None


def _pattern(record: str) -> str | None:
    """Return the expression for records that are written like one; None if it has more than tags and values."""
    parts: list[str] = []
    position, opened = 0, False
    while position < len(record):
        tag = _TAG.match(record, position)
        if tag is None or "xmlns" in tag[3]:
            return None
        closes, name, attributes, empty = tag.groups()
        text = _TEXT.match(record, tag.end())
        position = text.end() if text else tag.end()
        content = record[tag.end() : position]
        opened = not closes and not empty
        parts.append(f"<{closes}{re.escape(name)}{_ATTRIBUTE.sub(_attribute, attributes)}{re.escape(_rest(tag))}")
        if empty and len(parts) > 1:  # an element in the record; the record itself has no text then
            parts.append("()")
        if opened and record.startswith(f"</{name}", position):
            parts.append(r"([^<\r]*)")
        elif content.strip(_BLANKS):
            return None
        else:
            parts.append(r"[ \t\r\n]*" if position < len(record) else "")
    return "".join(parts)


def _rest(tag: re.Match[str]) -> str:
    """Return what a tag has after its attributes."""
    return tag[0][tag.end(3) - tag.start() :]


def _attribute(match: re.Match[str]) -> str:
    quote = match[2]
    return rf"{re.escape(match[1])}{quote}([^{quote}<\t\r\n]*){quote}"


def _character(match: re.Match[str]) -> str:
    """Return the character of a reference."""
    kind, name = match.groups()
    if kind is None:
        return _NAMED[name]
    return chr(int(name, 16 if kind == "#x" else 10))
