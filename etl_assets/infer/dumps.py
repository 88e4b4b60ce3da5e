"""Recognises SQL dumps: the dialect, and the table with the most bytes of records."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from etl_assets.errors import DeclarationError, DeliveryError
from etl_assets.extract.formats.sql_dump import SqlDump
from etl_assets.extract.formats.sql_dump.grammar import NAME
from etl_assets.extract.formats.sql_dump.literals import values_of
from etl_assets.extract.formats.sql_dump.names import parts, shown
from etl_assets.infer.recognised import Recognised, chosen_part, first_batch, other_parts
from etl_assets.infer.text import encoding_of, whole_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.extract.formats.sql_dump.grammar import Dialect
    from etl_assets.infer.file import File

_HEAD: Final = 64 * 1024 * 1024
"""Number of bytes at the start of a dump in which tables are looked for."""
_RECORDS: Final = re.compile(
    rb"^[ \t]*(?:INSERT\s+(?:IGNORE\s+|OR\s+\w+\s+)?(?:INTO\s+)?|REPLACE\s+INTO\s+|COPY\s+)(" + NAME + rb")\s*"
    rb"(?:\([^)]*\)\s*)?(?:VALUES?\b|FROM\s+STDIN|\(|OVERRIDING)",
    re.IGNORECASE | re.MULTILINE,
)
_SIGNS: Final[dict[Dialect, re.Pattern[bytes]]] = {
    "postgres": re.compile(
        rb"PostgreSQL|pg_catalog|^COPY .* FROM stdin;|^SET search_path|::\w|\bSERIAL\b|\bTIMESTAMPTZ?\b|^\\c",
        re.MULTILINE | re.IGNORECASE,
    ),
    "mysql": re.compile(
        rb"-- (?:MySQL|MariaDB) dump|`|\bENGINE\s*=|\bAUTO_INCREMENT\b|^/\*!|^LOCK TABLES|^SET @|SQL_MODE", re.MULTILINE
    ),
    "sqlite": re.compile(rb"^PRAGMA |^BEGIN TRANSACTION;|\bAUTOINCREMENT\b|sqlite_|\bchar\(10\)", re.MULTILINE),
}
_STRING: Final = re.compile(rb"'(?:[^'\n]|'')*'")
"""A string within a line, whose words are values."""


def recognise_dump(file: File, lines: bytes, part: str | None) -> Recognised | None:
    """Return the format with dialect and table; None if it is no dump of records.

    Args:
        file: The file.
        lines: Its first bytes, up to the end of a line.
        part: Name of the table.

    Raises:
        DeliveryError: If it has no such table.
    """
    encoding, doubts = encoding_of(lines)
    if SqlDump("x", "postgres", encoding=encoding).mismatch(lines) is not None:
        return None
    head = file.head(_HEAD)
    cut = len(head) == _HEAD
    text = (whole_lines(head) if cut else head).decode(encoding, "replace").encode()
    if not _RECORDS.search(text):
        return None
    refusals = []
    for dialect in _dialects(text):
        tables = _tables(text, dialect)
        table = chosen_part(file, tables, part)
        try:
            format_ = _readable(file, SqlDump(table, dialect, encoding=encoding))
        except (DeliveryError, DeclarationError) as error:
            refusals.append(error)
            continue
        if format_.header:
            doubts.append("neither INSERT nor CREATE TABLE names the columns: name them in their order")
        if cut:
            doubts.append(f"tables were looked for in the first {_HEAD:,} bytes alone")
        others = other_parts(tables, table, "the table {}, {} bytes in the part that was read")
        return Recognised(format_, tuple(doubts), others)
    raise refusals[0]


def _dialects(text: bytes) -> Sequence[Dialect]:
    """Return the dialects, the one with the most signs outside strings first."""
    start = _STRING.sub(b"''", text[: 1024 * 1024])
    signs = {dialect: len(pattern.findall(start)) for dialect, pattern in _SIGNS.items()}
    return sorted(signs, key=lambda dialect: -signs[dialect])


def _tables(text: bytes, dialect: Dialect) -> dict[str, int]:
    """Return the tables that records are inserted into, each with the number of bytes up to the next statement."""
    sizes: Counter[str] = Counter()
    found = list(_RECORDS.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)]
    for match, end in zip(found, ends, strict=True):
        sizes[shown(parts(match[1], dialect, "utf-8"))] += end - match.start()
    return dict(sizes)


def _readable(file: File, format_: SqlDump) -> SqlDump:
    """Return the format, with names for the columns if the dump has none.

    Raises:
        DeliveryError: If the dump cannot be read so.
    """
    try:
        batch = first_batch(file, format_)
    except DeliveryError as error:
        if "does not name the columns" not in str(error):
            raise
        format_ = _with_names(file, format_)
        batch = first_batch(file, format_)
    if batch is None or batch.frame.is_empty():
        raise DeliveryError(f"{file.shown} has no record of {format_.table} that can be read. Nothing was inferred.")
    return format_


def _with_names(file: File, format_: SqlDump) -> SqlDump:
    """Return the format with as many names as the first record has values."""
    batch = first_batch(file, replace(format_, header=("column_1",)))
    values = [] if batch is None else values_of(batch.raw(batch.span.first_record), format_.dialect)
    return replace(format_, header=tuple(f"column_{number}" for number in range(1, max(1, len(values)) + 1)))
