"""Delimited text read slowly, character by character, as the docstring of the options says; and written by hand.

It shares no code with the package.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True)
class Dialect:
    """The options that decide what a byte means."""

    delimiter: bytes = b","
    quote: bytes = b'"'
    escape: bytes = b""
    line_end: bytes = b"\n"
    comment: bytes = b""

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of ``Csv``."""
        return {
            "delimiter": self.delimiter.decode(),
            "quote": self.quote.decode() or None,
            "escape": self.escape.decode() or None,
            "line_end": self.line_end.decode(),
            "comment": self.comment.decode() or None,
        }


@dataclass(frozen=True)
class SlowRecord:
    """A record.

    Attributes:
        raw: Its bytes, without the line end.
        line: The line on which it begins, from 1.
        fields: Each field as published and as it is meant; None if the record is misquoted.
    """

    raw: bytes
    line: int
    fields: tuple[tuple[bytes, bytes], ...] | None


def slow_records(data: bytes, dialect: Dialect) -> Iterator[SlowRecord]:
    """Yield the records of a file without a header."""
    position = 0
    while position < len(data):
        if dialect.comment and data.startswith(dialect.comment, position):
            _, position = _line(data, position, dialect)
            continue
        line = data.count(dialect.line_end, 0, position) + 1
        fields, end, after = _record(data, position, dialect)
        if fields is None:
            end, after = _line(data, position, dialect)
        if end > position:
            yield SlowRecord(data[position:end], line, fields)
        position = after


def write_slowly(table: Sequence[Sequence[str]], dialect: Dialect, line_end: str, *, quoted: bool) -> str:
    """Return a table as text: every field in quotes, or with an escape before each special character."""
    rows = (dialect.delimiter.decode().join(_written(cell, dialect, quoted=quoted) for cell in row) for row in table)
    return "".join(row + line_end for row in rows)


def _written(cell: str, dialect: Dialect, *, quoted: bool) -> str:
    quote, escape = dialect.quote.decode(), dialect.escape.decode()
    if quoted:
        cell = cell.replace(escape, escape * 2) if escape else cell
        return quote + cell.replace(quote, quote * 2 if not escape else escape + quote) + quote
    special = {escape, quote, "\r", "\n", *dialect.delimiter.decode()}
    return "".join(f"{escape}{character}" if character in special else character for character in cell)


def _record(data: bytes, position: int, dialect: Dialect) -> tuple[tuple[tuple[bytes, bytes], ...] | None, int, int]:
    """Return the fields of a record, its end, and what comes after its line end; no fields if it is misquoted."""
    fields: list[tuple[bytes, bytes]] = []
    published, meant, state = b"", b"", "begin"
    while True:
        kind, meaning, length = _token(data, position, dialect)
        piece = data[position : position + length]
        if state == "inside" and kind == "end" and length == 0:
            return None, 0, 0
        if kind == "quote" and state == "begin":
            state = "inside"
        elif kind == "quote" and state == "inside":
            if data.startswith(dialect.quote, position + 1):
                published, meant, length = published + dialect.quote, meant + dialect.quote, 2
            else:
                state = "closed"
        elif state == "inside":
            published, meant = published + piece, meant + (meaning if kind == "character" else piece)
        elif kind == "quote" or (kind == "character" and state == "closed"):
            return None, 0, 0
        elif kind == "character":
            published, meant, state = published + piece, meant + meaning, "open"
        else:
            fields.append((published, meant))
            published, meant, state = b"", b"", "begin"
            if kind == "end":
                return tuple(fields), position, position + length
        position += length


def _line(data: bytes, position: int, dialect: Dialect) -> tuple[int, int]:
    """Return where the line ends that begins at a position, and what comes after its line end."""
    while True:
        kind, _, length = _token(data, position, dialect)
        if kind == "end":
            return position, max(position + length, position)
        position += length


def _token(data: bytes, position: int, dialect: Dialect) -> tuple[str, bytes, int]:
    """Return the kind of the token at a position, what it means, and its length."""
    rest = data[position : position + 10]
    escaped = _escaped(rest, dialect)
    line_end = _line_end(rest, dialect)
    if line_end is not None:
        return "end", b"", len(line_end)
    if escaped:
        return "character", escaped, 1 + len(escaped)
    if rest.startswith(dialect.delimiter):
        return "delimiter", b"", len(dialect.delimiter)
    if dialect.quote and rest.startswith(dialect.quote):
        return "quote", b"", 1
    return "character", rest[:1], 1


def _escaped(rest: bytes, dialect: Dialect) -> bytes:
    """Return what an escape character takes the meaning from, if some bytes begin with it."""
    if not dialect.escape or not rest.startswith(dialect.escape):
        return b""
    characters = (dialect.escape, dialect.quote, *(bytes((code,)) for code in dialect.delimiter))
    return next((text for text in (b"\r\n", b"\n", b"\r", *characters) if text and rest.startswith(text, 1)), b"")


def _line_end(rest: bytes, dialect: Dialect) -> bytes | None:
    """Return the line end with which some bytes begin; nothing ends the last line; None if there is none."""
    if dialect.line_end == b"\r":
        return b"\r" if rest.startswith(b"\r") else None if rest else b""
    ends = [end for end in (b"\r\n", b"\n") if rest.startswith(end)]
    return ends[0] if ends else rest if rest in (b"", b"\r") else None
