"""SQLite by the standard library. Each cell has a type of its own there, so that all columns are frozen as text.

Values are written as by the format `Sqlite`: numbers by their digits, blobs by two hexadecimal digits a byte.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

import polars as pl
import pyarrow as pa

from etl_assets.errors import DeliveryError
from etl_assets.extract.database import errors
from etl_assets.extract.database.catalogue import CatalogueColumn
from etl_assets.extract.database.dialects.base import Dialect, Session
from etl_assets.extract.database.dialects.cursors import batches_of
from etl_assets.extract.database.reading import Reading, UnfitError
from etl_assets.extract.database.texts import strings_of
from etl_assets.extract.formats.sqlite.cells import texts_of

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Sequence

    from etl_assets.extract.access.database import Database
    from etl_assets.extract.database.address import Address
    from etl_assets.extract.database.reading import Kind
    from etl_assets.extract.incremental import Cursor

_INSTRUCTIONS: Final = 20_000
_PRAGMAS: Final = ("query_only=ON", "trusted_schema=OFF", "cell_size_check=ON")
_NOT_UTF8: Final = "Could not decode to UTF-8"


class SqliteDialect(Dialect):
    """The SQL of SQLite."""

    has_types: ClassVar[bool] = False

    def reading(self, column: CatalogueColumn, as_text: Collection[Kind]) -> Reading:
        """See `Dialect.reading`."""
        kind: Kind | None = None if "text" in as_text else "text"
        return Reading(column, self.quote(column.name), pa.string(), kind)

    def at_least(self, column: str, value: Cursor) -> str:
        """See `Dialect.at_least`."""
        return self._compared(column, ">=", value)

    def less_than(self, column: str, value: Cursor) -> str:
        """See `Dialect.less_than`."""
        return self._compared(column, "<", value)

    def has_no_value(self, column: str, of: Cursor | None) -> str:
        """See `Dialect.has_no_value`; a text may be no moment."""
        if isinstance(of, date):
            return f"julianday({column}) IS NULL"
        if isinstance(of, int):
            return f"typeof({column}) <> 'integer'"
        return f"{column} IS NULL"

    def as_text(self, expression: str) -> str:
        """See `Dialect.as_text`."""
        return f"CAST({expression} AS TEXT)"

    def _compared(self, column: str, operator: str, value: Cursor) -> str:
        """Return a comparison; moments and days are compared as such, to a millisecond, however they are written."""
        if isinstance(value, int):
            return f"{column} {operator} {value}"
        moment = value.replace(tzinfo=None) if isinstance(value, datetime) else value
        return f"julianday({column}) {operator} julianday({self.text(moment.isoformat())})"


class SqliteSession(Session):
    """A file of SQLite, read only, in one transaction; what is in its write-ahead log is seen."""

    def __init__(self, address: Address, access: Database) -> None:
        """Open the file, and take the snapshot."""
        self.dialect: SqliteDialect = SqliteDialect()
        self.notes: list[str] = []
        self._address = address
        self._end = time.monotonic() + access.deadline
        if not address.path.is_file():
            raise errors.missing(address, "file")
        try:
            self._connection = sqlite3.connect(
                f"{address.path.absolute().as_uri()}?mode=ro",
                uri=True,
                timeout=access.timeout,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise self._error_of(error) from None
        try:
            for pragma in _PRAGMAS:
                self._connection.execute(f"PRAGMA {pragma}")
            self._connection.set_progress_handler(lambda: time.monotonic() > self._end, _INSTRUCTIONS)
            self._connection.execute("BEGIN")
            self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the snapshot begins here
        except sqlite3.Error as error:
            self._connection.close()
            raise self._error_of(error) from None

    def columns(self, table: Sequence[str], query: str) -> list[CatalogueColumn]:
        """See `Session.columns`."""
        if not table:
            cursor = self._connection.execute(f"SELECT * FROM ({query}\n) q LIMIT 0")
            return [CatalogueColumn(name, "") for name, *_ in cursor.description]
        schema = f"{self.dialect.quote(table[-2])}." if len(table) > 1 else ""
        rows = self._connection.execute(f"PRAGMA {schema}table_xinfo({self.dialect.quote(table[-1])})")
        return [
            CatalogueColumn(name, type_, not is_required)
            for _, name, type_, is_required, _, _, hidden in rows
            if hidden != 1
        ]

    def row(self, statement: str) -> tuple[Any, ...]:
        """See `Session.row`."""
        (row,) = self._connection.execute(statement).fetchall()
        return tuple(row)

    def batches(self, statement: str, readings: Sequence[Reading]) -> Generator[pa.RecordBatch]:
        """See `Session.batches`; a text that is not UTF-8 keeps its bytes, and takes longer."""
        if any(reading.kind is None for reading in readings):
            self._connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
        try:
            cursor = self._connection.execute(statement)
            yield from batches_of(cursor.fetchmany, _arrays_of, [reading.column.name for reading in readings])
        except sqlite3.OperationalError as error:
            if _NOT_UTF8 in str(error):
                raise UnfitError("text") from None
            raise

    def error(self, error: Exception) -> DeliveryError | None:
        """See `Session.error`."""
        return self._error_of(error) if isinstance(error, sqlite3.Error) else None

    def _error_of(self, error: sqlite3.Error) -> DeliveryError:
        name = getattr(error, "sqlite_errorname", "")
        if name == "SQLITE_INTERRUPT":
            return errors.too_slow(self._address)
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL")):
            return errors.unreachable(self._address, name)
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_PERM")):
            return DeliveryError(
                f"{self._address.url} cannot be opened, or is no sound SQLite database ({name}). Nothing was written. "
                "Check the file, and the rights to it and to its folder, in which SQLite keeps its log."
            )
        words = errors.first_line(str(error))
        if "no such table" in words:
            return errors.missing(self._address, f"such table ({words})")
        return errors.failed(self._address, words, statement=True)

    def close(self) -> None:
        """See `Session.close`."""
        with suppress(sqlite3.Error):  # a connection whose file is gone ends all the same
            self._connection.close()


def _arrays_of(columns: Sequence[Sequence[Any]]) -> Sequence[Any]:
    return [_array_of(texts) for texts in texts_of(columns)]


def _array_of(texts: pl.Series) -> Any:
    return strings_of(texts.cast(pl.Binary).to_arrow().cast(pa.binary()))
