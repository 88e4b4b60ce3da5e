"""How each dialect writes strings, comments and records, as patterns over bytes.

Every pattern of something that could go on behind the bytes at hand needs the byte after it. So a block of a stream
that ends inside a token never matches as if the token ended there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

Dialect = Literal["postgres", "mysql", "sqlite"]

_IN_WORD: Final = rb"[\w$\x80-\xff]"
_DOUBLED: Final = rb"'(?:[^']++|'')*+'(?=[^'])"
_BACKSLASHED: Final = rb"'(?:[^'\\]++|\\.|'')*+'(?=[^'])"
_E_STRING: Final = rb"(?<!" + _IN_WORD + rb")[eE]" + _BACKSLASHED
_DOLLARS: Final = rb"(?<!" + _IN_WORD + rb")\$(?P<tag>(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*+)?+)\$(?>.*?\$(?P=tag)\$)"
_QUOTED: Final = rb'"(?:[^"]++|"")*+"(?=[^"])'
_MYSQL_TEXT: Final = rb'"(?:[^"\\]++|\\.|"")*+"(?=[^"])'
_BACKQUOTED: Final = rb"`(?:[^`]++|``)*+`(?=[^`])"
_BRACKETED: Final = rb"\[[^\]]*+\]"
_LINE_COMMENT: Final = rb"--[^\n]*+\n"
_MYSQL_COMMENTS: Final = rb"--(?=\s)[^\n]*+\n|\#[^\n]*+\n"
_COMMENT: Final = rb"/\*(?:[^*]++|\*(?=[^/]))*+\*/"

IDENTIFIER: Final = rb'(?:"(?:[^"]++|"")*+"|`(?:[^`]++|``)*+`|\[[^\]]*+\]|\'(?:[^\']++|\'\')*+\'|[\w$\x80-\xff]++)'
NAME: Final = IDENTIFIER + rb"(?:\s*+\.\s*+" + IDENTIFIER + rb")*+"


def _nested(levels: int) -> bytes:
    """Return the pattern of a comment that has comments inside, as PostgreSQL allows."""
    inner = rb"/\*(?:[^*/]++|\*(?=[^/])|/(?=[^*]))*+\*/"
    for _ in range(levels):
        inner = rb"/\*(?:[^*/]++|\*(?=[^/])|" + inner + rb"|/(?=[^*]))*+\*/"
    return inner


@dataclass(frozen=True)
class Grammar:
    """The patterns of a dialect.

    Attributes:
        dialect: Its name.
        backslash: Whether a backslash is an escape in plain strings.
        blank: White space and comments; may match nothing.
        record: A record in round brackets that has nothing but numbers, words and plain strings.
        filler: Everything up to the semicolon that ends a statement, or up to a token that the bytes cut off.
        token: One token; the groups are ``word`` and ``mark``, a single character.
    """

    dialect: Dialect
    backslash: bool
    blank: bytes
    record: bytes
    filler: re.Pattern[bytes]
    token: re.Pattern[bytes]


@cache
def grammar(dialect: Dialect) -> Grammar:
    """Return the patterns of a dialect."""
    extra = b""
    others: tuple[bytes, ...]
    if dialect == "postgres":
        plain, others = _DOUBLED, (_E_STRING, _QUOTED, _DOLLARS)
        comments, opening, letters = _LINE_COMMENT + rb"|" + _nested(4), rb"'\"$/\-", rb"eE"
        extra = rb"|[eE](?=[^'])"
        loose = rb"|-(?=[^-])|\$(?=[^A-Za-z_$\x80-\xff])|(?<=" + _IN_WORD + rb")[eE$]"
    elif dialect == "mysql":
        plain, others = _BACKSLASHED, (_MYSQL_TEXT, _BACKQUOTED)
        comments, opening, letters = _MYSQL_COMMENTS + rb"|" + _COMMENT, rb"'\"`/\#\-", b""
        loose = rb"|-(?=[^-])|--(?=\S)"
    else:
        plain, others = _DOUBLED, (_QUOTED, _BACKQUOTED, _BRACKETED)
        comments, opening, letters = _LINE_COMMENT + rb"|" + _COMMENT, rb"'\"`\[/\-", b""
        loose = rb"|-(?=[^-])"
    quoted = rb"|".join((plain, *others, comments))
    loose += extra + rb"|/(?=[^*])"
    word = (rb"(?![eE]')" if letters else b"") + rb"[A-Za-z_\x80-\xff][\w$\x80-\xff]*+(?=[^\w$\x80-\xff])"
    return Grammar(
        dialect=dialect,
        backslash=plain == _BACKSLASHED,
        blank=rb"(?:\s++|" + comments + rb")*+",
        record=rb"\((?:[^();\\" + opening + letters + rb"]++|" + plain + rb"|-(?=[^-])" + extra + rb")*+\)",
        filler=_compiled(rb"(?:[^;" + opening + letters + rb"]++|" + quoted + loose + rb")*+"),
        token=_compiled(
            quoted + rb"|\s++|(?P<word>" + word + rb")|(?P<mark>[^" + opening + rb"A-Za-z_\x80-\xff]" + loose + rb")"
        ),
    )


def _compiled(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL)
