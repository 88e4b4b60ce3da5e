"""Reads the values of one record, exactly and one after another; `columns` does it for many records at once."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

from etl_assets.extract.formats.sql_dump.grammar import grammar

if TYPE_CHECKING:
    from etl_assets.extract.formats.sql_dump.grammar import Dialect

NUMBER: Final = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
NULL_WORD: Final = r"(?i:null)"
BOOLEAN: Final = r"(?i:true|false)"
_CAST: Final = re.compile(rb"::[^,()'\[\]]++(?:\([0-9, ]*+\))?+[\w ]*+(?:\[\])*+")
_MYSQL: Final = {b"0": b"\0", b"b": b"\b", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"Z": b"\x1a"}
_E: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
MYSQL_ESCAPES: Final = {
    **{"\\" + name.decode(): value.decode() for name, value in _MYSQL.items()},
    "\\\\": "\\",
    "\\'": "'",
    '\\"': '"',
    "''": "'",
}
"""What the usual escapes of MySQL mean."""
COPY_ESCAPES: Final = {**{"\\" + name.decode(): value.decode() for name, value in _E.items()}, "\\\\": "\\"}
"""What the usual escapes of a COPY mean."""
_COPY_ESCAPE: Final = re.compile(rb"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.|\Z)", re.DOTALL)
_MYSQL_ESCAPE: Final = re.compile(rb"\\(.)|''", re.DOTALL)
_MYSQL_DOUBLE_ESCAPE: Final = re.compile(rb'\\(.)|""', re.DOTALL)
_E_ESCAPE: Final = re.compile(rb"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)|''", re.DOTALL)
_ESCAPE_OR_TAB: Final = re.compile(rb"\\.|\t", re.DOTALL)
_MOST_NESTED: Final = 8


class ExpressionError(Exception):
    """A value that is no literal."""


def values_of(record: bytes, dialect: Dialect) -> list[bytes | None]:
    """Return the values of a record in round brackets; None for NULL.

    Raises:
        ExpressionError: If the record is not a list of literals.
    """
    literal, between = _patterns(dialect)
    values: list[bytes | None] = []
    at = 1
    while True:
        value, at = _value(record, between.match(record, at).end(), dialect, literal)  # type: ignore[union-attr]  # matches nothing at least
        at = between.match(record, at).end()  # type: ignore[union-attr]  # the same
        while dialect == "postgres" and (cast := _CAST.match(record, at)):
            at = between.match(record, cast.end()).end()  # type: ignore[union-attr]  # the same
        values.append(value)
        if record[at:] == b")":
            return values
        if record[at : at + 1] != b",":
            raise ExpressionError
        at += 1


def fields_of(line: bytes) -> list[bytes | None]:
    """Return the fields of a line of COPY without their escapes; None for NULL.

    Raises:
        ExpressionError: If an escape is cut off, or a carriage return has none.
    """
    if b"\r" in line:
        raise ExpressionError
    tabs = [match.start() for match in _ESCAPE_OR_TAB.finditer(line) if match[0] == b"\t"]
    begins = [0, *(tab + 1 for tab in tabs)]
    fields = [line[begin:end] for begin, end in zip(begins, [*tabs, len(line)], strict=True)]
    return [None if field == rb"\N" else unescape_copy(field) for field in fields]


def unescape_mysql(text: bytes) -> bytes:
    """Return what is between the quotes of a string of MySQL, without its escapes."""
    return _MYSQL_ESCAPE.sub(_mysql, text)


def unescape_copy(text: bytes) -> bytes:
    """Return a field of COPY without its escapes.

    Raises:
        ExpressionError: If it ends within an escape, or has the mark that ends the data.
    """
    return _COPY_ESCAPE.sub(_copy, text)


@cache
def _patterns(dialect: Dialect) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    plain = rb"'(?P<plain>(?:[^']++|'')*+)'"
    backslashed = rb"'(?P<escaped>(?:[^'\\]++|\\.|'')*+)'"
    number = NUMBER.encode()
    words = rb"(?P<null>(?i:null)\b)|(?P<boolean>(?i:true|false)\b)"
    kinds = {
        "postgres": rb"[eE]" + backslashed + rb"|[nN]?" + plain + rb"|[xX]'(?P<xbits>[0-9a-fA-F]*)'"
        rb"|[bB]'(?P<bits>[01]*)'",
        "mysql": rb"(?:_(?:binary|utf8(?:mb[34])?)\s*+|[nN])?"
        + backslashed
        + rb'|(?:_(?:binary|utf8(?:mb[34])?)\s*+)?"(?P<double>(?:[^"\\]++|\\.|"")*+)"'
        + rb"|(?:_(?:binary|utf8(?:mb[34])?)\s*+)?(?:0x(?P<zerox>[0-9a-fA-F]++)|[xX]'(?P<hex>(?:[0-9a-fA-F]{2})*)')"
        rb"|(?:_binary\s*+)?[bB]'(?P<bits>[01]*)'|0b(?P<zerob>[01]++)",
        "sqlite": plain + rb"|[xX]'(?P<hex>(?:[0-9a-fA-F]{2})*)'",
    }
    followed = rb"(?=[\s,):/*\-#])"
    literal = rb"(?:" + kinds[dialect] + rb"|" + words + rb"|(?P<number>" + number + rb"))" + followed
    return re.compile(literal, re.DOTALL), re.compile(grammar(dialect).blank, re.DOTALL)


def _value(record: bytes, at: int, dialect: Dialect, literal: re.Pattern[bytes]) -> tuple[bytes | None, int]:
    """Return the value of the literal at a position, and the position after it."""
    match = literal.match(record, at)
    if match is None:
        if dialect == "sqlite" and (replaced := _replaced(record, at)):
            return replaced
        raise ExpressionError
    kind, text = str(match.lastgroup), match[match.lastgroup or 0]
    return _meaning(kind, text, dialect), match.end()


def _meaning(kind: str, text: bytes, dialect: Dialect) -> bytes | None:
    """Return the value of a literal, by the name of its group in the pattern."""
    match kind:
        case "null":
            value = None
        case "plain":
            value = text.replace(b"''", b"'")
        case "double":
            value = _MYSQL_DOUBLE_ESCAPE.sub(_mysql, text)
        case "escaped":
            value = unescape_mysql(text) if dialect == "mysql" else _E_ESCAPE.sub(_e, text)
        case "hex" | "zerox":
            value = rb"\x" + (b"0" * (len(text) % 2) + text).lower()
        case "xbits":
            value = "".join(f"{int(digit, 16):04b}" for digit in text.decode()).encode()
        case _:
            value = text.lower() if kind == "boolean" else text
    return value


def _replaced(record: bytes, at: int) -> tuple[bytes, int] | None:
    r"""Return the value of ``replace('…','\n',char(10))``, as sqlite3 writes a text with line ends."""
    match = re.compile(rb"((?:replace\(){1,%d})'((?:[^']++|'')*+)'" % _MOST_NESTED).match(record, at)
    if match is None:
        return None
    text, at = match[2].replace(b"''", b"'"), match.end()
    for _ in range(match[1].count(b"(")):
        step = re.compile(rb",'([^']++)',char\((10|13)\)\)").match(record, at)
        if step is None:
            return None
        text, at = text.replace(step[1], bytes([int(step[2])])), step.end()
    return text, at


def _mysql(match: re.Match[bytes]) -> bytes:
    character = match[1]
    if character is None:
        return match[0][:1]
    return match[0] if character in b"%_" else _MYSQL.get(character, character)


def _e(match: re.Match[bytes]) -> bytes:
    escape = match[1]
    if escape is None:
        return b"'"
    if escape[:1] in b"uU":
        if len(escape) == 1 or not 0 < (code := int(escape[1:], 16)) < 0x110000 or 0xD800 <= code < 0xE000:  # noqa: PLR2004 -- the range of Unicode, without surrogates
            raise ExpressionError
        return chr(code).encode()
    return _number(escape) or _E.get(escape, escape)


def _copy(match: re.Match[bytes]) -> bytes:
    escape = match[1]
    if not escape or escape in b".":
        raise ExpressionError
    return _number(escape) or _E.get(escape, escape)


def _number(escape: bytes) -> bytes:
    """Return the byte of an octal or hexadecimal escape; nothing for others."""
    if escape[:1] == b"x" and len(escape) > 1:
        return bytes([int(escape[1:], 16)])
    return bytes([int(escape, 8) & 255]) if escape[:1] in b"01234567" else b""
