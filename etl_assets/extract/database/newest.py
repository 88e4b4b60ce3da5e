"""Follows the incremental column through the rows of a fetch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from etl_assets.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from etl_assets.extract.database.reading import Reading
    from etl_assets.extract.incremental import Cursor, Incremental


class Newest:
    """Finds the largest value of the column, and counts the rows without one.

    Attributes:
        value: The largest value; None for none yet.
        without: Number of rows whose value is null, or cannot be compared with those of the declared type.
    """

    def __init__(self, incremental: Incremental, reading: Reading) -> None:
        """Take the declaration, and how the column is read.

        Raises:
            DeliveryError: If the column has another type than declared.
        """
        self.value: Cursor | None = None
        self.without = 0
        self._incremental = incremental
        if not _fits(incremental, reading.type):
            known = reading.column.type or "of no type"
            raise DeliveryError(
                f"The column {incremental.by!r} is {known}, and declared as {incremental.type!r} in incremental=…. "
                "Nothing was written. Declare the type that it has, or another column."
            )

    def see(self, values: Any) -> None:
        """Take the values of some rows, as an Arrow array."""
        self.without += values.null_count
        if pa.types.is_string(values.type):
            self._see_texts(values)
            return
        largest = pc.max(values).as_py()
        if largest is not None:
            self._take([self._cursor_of(largest)])

    def _see_texts(self, texts: Any) -> None:
        known = [self._incremental.read(text) for text in texts.to_pylist() if text is not None]
        self.without += known.count(None)
        self._take(value for value in known if value is not None)

    def _take(self, values: Iterable[Cursor]) -> None:
        before: list[Any] = [] if self.value is None else [self.value]
        self.value = max([*before, *values], default=None)

    def _cursor_of(self, value: Any) -> Cursor:
        """Return a value in the declared type."""
        if self._incremental.type == "integer":
            return int(value)
        if self._incremental.type == "date":
            return value.date() if isinstance(value, datetime) else value
        if not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 -- the next lines give it its zone
        if self._incremental.type == "timestamp":
            return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value  # type: ignore[no-any-return]
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)  # type: ignore[no-any-return]


def _fits(incremental: Incremental, type_: pa.DataType) -> bool:
    """Whether values of a type in the frozen file can be compared with those of the declared type."""
    if pa.types.is_string(type_):
        return True
    if incremental.type == "integer":
        return pa.types.is_integer(type_) or (pa.types.is_decimal(type_) and type_.scale == 0)
    return pa.types.is_timestamp(type_) or pa.types.is_date(type_)
