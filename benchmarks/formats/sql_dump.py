"""A dump with one INSERT of many records, as mysqldump writes it, and the lines of a COPY, as pg_dump writes them.

No library reads dumps into a frame. The reference of a COPY is Polars on its lines. The reference of an INSERT is a
regular expression that finds values and knows nothing of what is around the statement.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Final

import polars as pl

from benchmarks.formats._records import read
from etl_assets.extract.formats.sql_dump import SqlDump

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CASES: Final = ("insert", "copy")
_NAMES: Final = ("id", "code", "name", "amount", "taken", "note")
_TABLE: Final = b"CREATE TABLE `t` (`id` int, `code` text, `name` text, `amount` text, `taken` text, `note` text);\n"
_VALUE: Final = rb"(NULL|[-0-9.]+|'(?:[^'\\]|\\.)*')"
_RECORD: Final = re.compile(rb"\(" + rb",".join([_VALUE] * len(_NAMES)) + rb"\)")


def write(path: Path, megabytes: int, case: str) -> None:
    """Write a dump of about that size."""
    (_write_insert if case == "insert" else _write_copy)(path, megabytes)


def ours(path: Path, case: str) -> int:
    """Read it through the format into frames."""
    return read(SqlDump("t", "mysql" if case == "insert" else "postgres"), path)


def fastest(path: Path, case: str) -> int:
    """Read it by the reference into a frame."""
    return (_by_expression if case == "insert" else _by_polars)(path)


def _write_insert(path: Path, megabytes: int) -> None:
    with path.open("wb") as file:
        file.write(_TABLE + b"INSERT INTO `t` VALUES ")
        for number, values in enumerate(_records(megabytes)):
            quoted = [values[0], *(b"'" + value + b"'" for value in values[1:3]), values[3], b"'" + values[4] + b"'"]
            note = b"NULL" if number % 3 else b"'it\\'s \\n " + values[2] + b"'"
            file.write((b"," if number else b"") + b"(" + b",".join((*quoted, note)) + b")")
        file.write(b";\n")


def _by_expression(path: Path) -> int:
    """Find the records with a regular expression, and make a frame of them."""
    rows = _RECORD.findall(path.read_bytes())
    texts = [[value.decode() for value in row] for row in rows]
    return pl.DataFrame(texts, schema=list(_NAMES), orient="row").height


def _write_copy(path: Path, megabytes: int) -> None:
    with path.open("wb") as file:
        file.write(b"COPY t (" + ", ".join(_NAMES).encode() + b") FROM stdin;\n")
        for number, values in enumerate(_records(megabytes)):
            note = rb"\N" if number % 3 else values[5] + (rb"\n" if number % 50 == 0 else b"")
            file.write(b"\t".join((*values[:5], note)) + b"\n")
        file.write(b"\\.\n")


def _by_polars(path: Path) -> int:
    """Read the lines with Polars, which leaves the escapes in the values."""
    lines = path.read_bytes().partition(b"\n")[2].removesuffix(b"\\.\n")
    schema = dict.fromkeys(_NAMES, pl.String())
    source = io.BytesIO(lines)
    frame = pl.read_csv(source, has_header=False, schema=schema, separator="\t", quote_char=None, null_values=r"\N")
    return frame.height


def _records(megabytes: int) -> Iterator[tuple[bytes, ...]]:
    for number in range(megabytes * 10_000):
        name = b"a name of %d, and more" % number
        yield b"%d" % number, b"C%07d" % (number % 9973), name, b"%d.%02d" % (number, number % 100), b"2024-01-01", name
