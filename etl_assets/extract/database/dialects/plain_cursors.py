"""Sessions and columns of cursors of DB-API whose values are Python's: numbers and truth values, texts and bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from etl_assets.extract.database.dialects.base import Session
from etl_assets.extract.database.dialects.cursors import batches_of
from etl_assets.extract.database.texts import column_of

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from datetime import datetime

    from etl_assets.extract.database.reading import Reading


class CursorSession(Session):
    """A connection that reads by one cursor. A subclass connects, and asks for the time of the database's clock."""

    _connection: Any
    _cursor: Any
    _now: datetime

    def row(self, statement: str) -> tuple[Any, ...]:
        """See `Session.row`."""
        self._cursor.execute(statement)
        (row,) = self._cursor.fetchall()
        return tuple(row)

    def now(self) -> datetime:
        """See `Session.now`."""
        return self._now

    def close(self) -> None:
        """See `Session.close`."""
        self._connection.close()


def rows_of(cursor: Any, readings: Sequence[Reading]) -> Generator[pa.RecordBatch]:
    """Yield the rows of a cursor that ran a statement with the expressions of readings."""

    def convert(columns: Sequence[Sequence[Any]]) -> Sequence[Any]:
        return [_column(cells, reading) for cells, reading in zip(columns, readings, strict=True)]

    yield from batches_of(cursor.fetchmany, convert, [reading.column.name for reading in readings])


def _column(cells: Sequence[Any], reading: Reading) -> Any:
    if any(isinstance(cell, str | bytes) for cell in cells):
        return column_of(cells, reading)
    return pa.array(cells, reading.type)
