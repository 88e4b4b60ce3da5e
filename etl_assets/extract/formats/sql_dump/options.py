r"""Options of SQL dumps.

The dump is scanned, and never executed. `reader` finds the statements of the declared table, `tables` knows which table
a name means, `cutting` cuts records, `columns` and `literals` read their values, `grammar` knows the dialects.

What is read as what:

* A number is its characters as written; NULL, and ``\N`` in a COPY, is no value; TRUE and FALSE are ``true`` and
  ``false``. An empty string is an empty text, because a dump has NULL for no value; ``null=("",)`` makes it no value.
* A string is its characters, by the rules of the dialect: a backslash is an escape in MySQL, in ``E'…'`` and in COPY. A
  cast behind a literal (``'…'::jsonb``) is dropped.
* Bytes (``X'4a'``, ``0x4A``) are written as PostgreSQL writes them, ``\x4a``; bits (``b'01'``) are their digits.
* ``replace('…','\n',char(10))``, as sqlite3 writes a text with line ends, is that text. Any other expression, among
  them DEFAULT and ``now()``, is not evaluated: its record is malformed.
* INSERT IGNORE, REPLACE and ON CONFLICT DO NOTHING, which dump programs write on request, count as INSERT.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from etl_assets.errors import DeclarationError
from etl_assets.extract.base import BATCH_BYTES, LARGEST_BATCH
from etl_assets.extract.formats.encoding import UTF8, canonical, reads_like_ascii
from etl_assets.extract.formats.sql_dump.grammar import Dialect  # noqa: TC001 -- arguments are compared with it when declared
from etl_assets.extract.formats.sql_dump.names import is_name
from etl_assets.schema import RECORD_NO

_SMALLEST_BATCH: Final = 64


@dataclass(frozen=True)
class SqlDumpOptions:
    """The plain SQL dump of a database, of which one table is read.

    Attributes:
        table: Name of the table as SQL writes it, with or without its schema, or its database in MySQL:
            ``public.album``.
        dialect: Which program the dump is for: ``"postgres"``, ``"mysql"`` (and MariaDB) or ``"sqlite"``.
        encoding: Encoding of the bytes. A byte order mark is accepted in UTF-8, UTF-16 and UTF-32.
        header: The columns in the order of the values, for a dump whose INSERT names none and that has no CREATE TABLE.
        null: Texts that mean 'no value' in every column, in addition to NULL.
        batch_bytes: Largest size of a batch.
    """

    table: str
    dialect: Dialect
    encoding: str = UTF8
    header: tuple[str, ...] = ()
    null: tuple[str, ...] = ()
    batch_bytes: int = BATCH_BYTES

    def __post_init__(self) -> None:
        if not is_name(self.table):
            raise _error("table", f"{self.table!r} is no name", "Write one like 'album' or 'public.\"Album\"'")
        if not all(self.header):
            raise _error("header", "names a column ''", "Write the columns of the table: ('a', 'b')")
        if len(set(self.header)) < len(self.header) or RECORD_NO in self.header:
            raise _error("header", "names a column twice", f"Give each a name of its own, other than {RECORD_NO}")
        try:
            canonical(self.encoding)
        except (LookupError, ValueError) as error:
            problem = f"{self.encoding!r} is not known, or not of text files"
            raise _error("encoding", problem, "Write one like 'utf-8' or 'cp1252'") from error
        if not _SMALLEST_BATCH <= self.batch_bytes <= LARGEST_BATCH:
            remedy = f"Write {_SMALLEST_BATCH} to {LARGEST_BATCH} (1 GiB)"
            raise _error("batch_bytes", f"is {self.batch_bytes}", remedy)

    @property
    def codec(self) -> str:
        """Python's name of the encoding."""
        return canonical(self.encoding)

    @property
    def transcoded(self) -> bool:
        """Whether the stream must be transcoded to UTF-8 first; offsets then count bytes of the UTF-8 stream."""
        return not reads_like_ascii(self.codec)


def _error(field: str, problem: str, remedy: str) -> DeclarationError:
    return DeclarationError("format SqlDump", field, problem, remedy)
