"""Moves a window over what is no record of the declared table, without taking text in it for statements."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from etl_assets.extract.formats.sql_dump.grammar import grammar
from etl_assets.extract.formats.sql_dump.statements import COPY_END

if TYPE_CHECKING:
    from etl_assets.extract.formats.sql_dump.grammar import Dialect
    from etl_assets.extract.formats.sql_dump.window import Window

HEAD: Final = 64 * 1024
"""The number of bytes within which the beginning of a statement must end."""
_COMMENTS: Final = {
    "postgres": (b"/*", b"--"),
    "mysql": (b"/*", b"#", b"-- ", b"--\t", b"--\r", b"--\n"),
    "sqlite": (b"/*", b"--"),
}
_STATEMENT: Final = "a statement"
_OPENINGS: Final = {b"begin": 1, b"case": 1, b"end": -1}


def skip_blank(window: Window, dialect: Dialect) -> bytes:
    """Move to the next statement; return the white space and the comments before it, as far as they are in memory."""
    blank = re.compile(grammar(dialect).blank, re.DOTALL)
    skipped = b""
    while True:
        match = window.match(blank)
        end = match.end() if match else window.at
        skipped = (skipped + window.data[window.at : end])[-HEAD:]
        window.at = end
        if len(window.data) - window.at < HEAD and window.fill():
            continue
        if not window.data.startswith(_COMMENTS[dialect], window.at):
            return skipped
        window.more("a comment")


def skip_statement(window: Window, dialect: Dialect) -> None:
    """Move behind the semicolon that ends a statement."""
    filler = grammar(dialect).filler
    while True:
        match = window.match(filler)
        window.at = match.end() if match else window.at
        if window.data.startswith(b";", window.at):
            window.at += 1
            return
        window.more(_STATEMENT)


def skip_routine(window: Window, dialect: Dialect, delimiter: bytes) -> None:
    """Move behind a statement that may have semicolons in BEGIN … END and round brackets, or up to a delimiter."""
    token = grammar(dialect).token
    depth = 0
    while True:
        if not depth and window.data.startswith(delimiter, window.at):
            window.at += len(delimiter)
            return
        match = window.match(token)
        if match is None or match.end() >= len(window.data):
            window.more(_STATEMENT)
            continue
        window.at = match.end()
        if delimiter == b";":
            depth += {b"(": 1, b")": -1}.get(match["mark"] or b"", 0)
            word = (match["word"] or b"").lower()
            if word == b"begin" or depth:
                depth += _OPENINGS.get(word, 0)


def skip_copy(window: Window) -> None:
    r"""Move behind the ``\.`` that ends the data of a COPY."""
    while True:
        match = COPY_END.search(window.data, window.at - 1)
        if match:
            window.at = match.end()
            return
        window.at = max(window.at, len(window.data) - len(b"\n\\.\r\n") + 1)
        window.more("the data of a COPY")


def text_of(window: Window, dialect: Dialect) -> bytes:
    """Return a statement without its semicolon, which must be in memory as a whole; do not move."""
    filler = grammar(dialect).filler
    while True:
        match = window.match(filler)
        end = match.end() if match else window.at
        if window.data.startswith(b";", end):
            return window.data[window.at : end]
        window.more(_STATEMENT)
