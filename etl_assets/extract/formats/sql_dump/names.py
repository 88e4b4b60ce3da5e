"""Names of tables and columns: how each dialect folds them, and which table of a dump is the declared one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from etl_assets.extract.formats.sql_dump.grammar import IDENTIFIER, NAME, grammar

if TYPE_CHECKING:
    from etl_assets.extract.formats.sql_dump.grammar import Dialect

_IDENTIFIER: Final = re.compile(IDENTIFIER)
_NAME: Final = re.compile(NAME)
_PAIRS: Final = {ord('"'): b'"', ord("`"): b"`", ord("'"): b"'"}
_NOT_COLUMNS: Final = frozenset(
    b"check constraint exclude foreign fulltext index key like period primary spatial unique".split()
)
_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_$]*")


def parts(name: bytes, dialect: Dialect, codec: str) -> tuple[str, ...]:
    """Return the parts of a name with dots, as the database stores them.

    Raises:
        UnicodeDecodeError: If it is not in the encoding.
    """
    return tuple(_folded(match[0], dialect, codec) for match in _IDENTIFIER.finditer(name))


def columns_of_list(text: bytes, dialect: Dialect, codec: str) -> tuple[str, ...]:
    """Return the names in a list of columns in round brackets."""
    bare = re.sub(rb"\A\((?s:(.*))\)\Z", rb"\1", text)
    blank = re.compile(rb"(?:" + grammar(dialect).blank + rb")(" + IDENTIFIER + rb")", re.DOTALL)
    return tuple(_folded(match[1], dialect, codec) for match in blank.finditer(bare + b" "))


def columns_of_table(body: bytes, dialect: Dialect, codec: str) -> tuple[str, ...] | None:
    """Return the columns that a CREATE TABLE declares.

    Args:
        body: What follows the name of the table, to the end of the statement.
        dialect: Its dialect.
        codec: Its encoding.

    Returns:
        The names in order; None if the statement does not list them all.
    """
    names: list[str] = []
    depth, begins = 0, False
    for match in grammar(dialect).token.finditer(body + b"\n"):
        mark = match["mark"]
        if mark == b"(":
            depth += 1
            begins = depth == 1
        elif mark == b")":
            depth -= 1
            if not depth:
                return tuple(names)
        elif mark == b"," and depth == 1:
            begins = True
        elif begins and (identifier := _IDENTIFIER.fullmatch(match[0])):
            begins = False
            if identifier[0].lower() == b"like":
                return None
            if identifier[0].lower() not in _NOT_COLUMNS:
                names.append(_folded(identifier[0], dialect, codec))
        elif not depth and match["word"]:
            return None
    return None


def shown(name: tuple[str, ...]) -> str:
    """Return a name as ``table=`` takes it."""
    return ".".join(part if _PLAIN.fullmatch(part) else '"' + part.replace('"', '""') + '"' for part in name)


def _folded(identifier: bytes, dialect: Dialect, codec: str) -> str:
    if quote := _PAIRS.get(identifier[0]):
        return identifier[1:-1].replace(quote * 2, quote).decode(codec)
    if identifier.startswith(b"["):
        return identifier[1:-1].decode(codec)
    text = identifier.decode(codec)
    return text.lower() if dialect == "postgres" else text


def is_name(text: str) -> bool:
    """Return whether a text is a name as SQL writes it, with or without dots."""
    return _NAME.fullmatch(text.encode()) is not None
