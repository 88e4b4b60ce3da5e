"""Sqlite: the format of one table, or of one query, of an SQLite database.

SQLite has a type for each cell, not for each column. How the cells become text:

* A whole number becomes its digits. Another number becomes the fewest digits that are read as the same number, without
  a point if it is whole: ``3``.
* A text is as stored, and an empty text is no null. A blob becomes two hexadecimal digits for each byte.

The same bytes give the same records: a table is read by its rowid, or by its primary key if it has no rowid; the rows
of a query are sorted by all of its columns, the first one first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from etl_assets.errors import DeclarationError
from etl_assets.extract.base import BATCH_BYTES, LARGEST_BATCH, Format
from etl_assets.extract.formats.row_batch import RULES, reread_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.extract.base import Naming
    from etl_assets.model.batch import RawBatch
    from etl_assets.model.delivery import MemberIndex, Span
    from etl_assets.model.rule import RuleInfo


_MAGIC: Final = b"SQLite format 3\0"


@dataclass(frozen=True)
class Sqlite(Format):
    """Rows of an SQLite database.

    Attributes:
        table: The table to read. Either this or ``query`` is declared.
        query: A SELECT statement.
        seconds: The longest time that SQLite may compute to check and to read the database, as CPU time.
        null: Texts that mean 'no value' in every column, in addition to NULL.
        batch_bytes: Largest size of a batch, about; a row may be as large, or 1 MiB if that is more.
    """

    table: str | None = None
    query: str | None = None
    seconds: float = 600.0
    null: tuple[str, ...] = ()
    batch_bytes: int = BATCH_BYTES

    def __post_init__(self) -> None:
        where = "format Sqlite"
        if (self.table is None) == (self.query is None):
            problem = "and query are both missing" if self.table is None else "and query are both declared"
            raise DeclarationError(where, "table", problem, "Write one of them: table='orders'")
        for field, value in (("table", self.table), ("query", self.query)):
            if value is not None and (not value.strip() or "\0" in value):
                raise DeclarationError(where, field, "is empty or has a NUL", "Write the name, or a SELECT statement")
        if not 0 < self.seconds < math.inf:
            raise DeclarationError(where, "seconds", f"is {self.seconds}", "Write seconds, more than 0")
        if not 1 <= self.batch_bytes <= LARGEST_BATCH:
            remedy = f"Write 1 to {LARGEST_BATCH} (1 GiB)"
            raise DeclarationError(where, "batch_bytes", f"is {self.batch_bytes}", remedy)

    @property
    def naming(self) -> Naming:
        """See `Format.naming`."""
        return "header"

    @property
    def rules(self) -> tuple[RuleInfo, ...]:
        """See `Format.rules`."""
        return RULES

    def mismatch(self, head: bytes) -> str | None:
        """Return why a file is not of this format; see `Format.mismatch`."""
        return None if head.startswith(_MAGIC) else "is no SQLite database"

    def read(
        self, stream: BinaryIO, member: str, *, after: Span | None = None, index: MemberIndex | None = None
    ) -> Iterator[RawBatch]:
        """Copy the database to a temporary file and read its rows; see `Format.read`.

        Without an index, the structure of the table is checked first.
        """
        from etl_assets.extract.formats.sqlite.reader import SqliteReader  # noqa: PLC0415 -- slow to import

        reader = SqliteReader(stream, member, self)
        return reader.through(after) if index is None else reader.indexed(index)

    def reread(self, names: Sequence[str], records: Mapping[int, bytes], context: str = "") -> RawBatch:  # noqa: ARG002 -- has none
        """Read single records again; see `Format.reread`."""
        return reread_rows(names, records, self.null)
