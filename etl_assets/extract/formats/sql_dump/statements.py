"""The beginnings of statements that matter, as patterns over bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from etl_assets.extract.formats.sql_dump.grammar import IDENTIFIER, NAME, grammar

if TYPE_CHECKING:
    from etl_assets.extract.formats.sql_dump.grammar import Dialect

_MODIFIERS: Final = rb"(?:IGNORE|LOW_PRIORITY|DELAYED|HIGH_PRIORITY|OR\s++(?:REPLACE|IGNORE|ABORT|FAIL|ROLLBACK))\b"
_KEPT: Final = rb"CONSTRAINT|PRIMARY|UNIQUE|FOREIGN|KEY|INDEX|CHECK|FULLTEXT|SPATIAL|EXCLUDE|PARTITION"

COMPLETED: Final = {
    b"-- PostgreSQL database dump": b"-- PostgreSQL database dump complete",
    b"-- PostgreSQL database cluster dump": b"-- PostgreSQL database cluster dump complete",
    b"-- MySQL dump ": b"-- Dump completed",
    b"-- MariaDB dump ": b"-- Dump completed",
}
"""The comment with which a program begins its dumps, and the one with which it ends them."""
RESHAPES: Final = re.compile(
    rb"\b(?:RENAME|CHANGE)\b|\bADD\s++(?!(?:"
    + _KEPT
    + rb"|GENERATED)\b)|\bDROP\s++(?!(?:"
    + _KEPT
    + rb"|DEFAULT|NOT|IDENTITY|EXPRESSION)\b)",
    re.IGNORECASE,
)
"""What an ALTER TABLE says if the columns are others after it."""
COPY_END: Final = re.compile(rb"\n\\\.\r?\n")


@dataclass(frozen=True)
class Statements:
    """The beginnings of statements, at the position where one begins.

    Attributes:
        insert: With the name of the table.
        rows: What follows that name, up to the first record; with the list of columns.
        copy: COPY … FROM stdin, to the end of its line; with name, list of columns, options and line end.
        create: CREATE TABLE, with the name.
        schema: What says in which schema names without one are; with its name.
        changes: Statements that may change or delete rows that were inserted before them.
        routine: Statements whose body may contain semicolons.
        transaction: What begins or ends a transaction.
    """

    insert: re.Pattern[bytes]
    rows: re.Pattern[bytes]
    copy: re.Pattern[bytes]
    create: re.Pattern[bytes]
    schema: re.Pattern[bytes]
    changes: re.Pattern[bytes]
    routine: re.Pattern[bytes]
    transaction: re.Pattern[bytes]


@cache
def statements(dialect: Dialect) -> Statements:
    """Return the beginnings of statements in a dialect."""
    blank = grammar(dialect).blank
    list_ = rb"\(" + blank + IDENTIFIER + blank + rb"(?:," + blank + IDENTIFIER + blank + rb")*+\)"
    name = rb"(?P<name>" + NAME + rb")"
    return Statements(
        insert=_compiled(
            rb"(?:INSERT|REPLACE)\b(?:" + blank + _MODIFIERS + rb")*+" + blank + rb"(?:INTO\b)?+" + blank + name
        ),
        rows=_compiled(
            blank
            + rb"(?P<columns>"
            + list_
            + rb")?+"
            + blank
            + rb"(?:OVERRIDING\s++(?:SYSTEM|USER)\s++VALUE\b)?+"
            + blank
            + rb"VALUES?\b"
            + blank
            + rb"(?=\()"
        ),
        copy=_compiled(
            rb"COPY\s++" + name + rb"\s*+(?P<columns>" + list_ + rb")?+\s*+FROM\s++STDIN\b"
            rb"(?P<options>[^;]*+);[ \t]*+(?P<end>\r?\n)"
        ),
        create=_compiled(
            rb"CREATE\s++(?:(?:GLOBAL|LOCAL|TEMP|TEMPORARY|UNLOGGED|FOREIGN|VIRTUAL)\s++)*+TABLE\s++"
            rb"(?:IF\s++NOT\s++EXISTS\s++)?+" + name
        ),
        schema=_compiled(
            rb"(?:USE\s++|SET\s++search_path\s*+(?:=|TO\b)\s*+|SELECT\s++pg_catalog\.set_config\('search_path',\s*+)"
            rb"(?P<name>" + IDENTIFIER + rb")"
        ),
        changes=_compiled(rb"(?P<verb>UPDATE|DELETE|TRUNCATE|MERGE|LOAD|RENAME|WITH|DROP\s++TABLE|ALTER\s++TABLE)\b"),
        routine=_compiled(
            rb"CREATE\b(?:\s++OR\s++REPLACE|\s++DEFINER\s*+=\s*+\S++|\s++AGGREGATE|\s++TEMP|\s++TEMPORARY|\s++CONSTRAINT)*+"
            rb"\s++(?:FUNCTION|PROCEDURE|TRIGGER|RULE|EVENT)\b"
        ),
        transaction=_compiled(rb"(?P<verb>BEGIN|START|COMMIT|END|ROLLBACK)\b"),
    )


def _compiled(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL | re.IGNORECASE)
