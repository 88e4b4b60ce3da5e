"""`Dialect`, the SQL of a kind of database, and `Session`, one connection to one, in one snapshot."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pyarrow.compute as pc

from etl_assets.extract.database.reading import UnfitError

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Sequence

    import pyarrow as pa

    from etl_assets.errors import DeliveryError
    from etl_assets.extract.access.database import Database
    from etl_assets.extract.database.catalogue import CatalogueColumn
    from etl_assets.extract.database.reading import Kind, Reading
    from etl_assets.extract.incremental import Cursor

MOST_DIGITS: Final = 38
"""The largest number of digits of a decimal in the frozen file; one with more is a text."""
_IN_BRACKETS: Final = re.compile(r"\([^)]*\)")
_PARAMETERS: Final = re.compile(r"\(([0-9]+)(?:,\s*(-?[0-9]+))?\)")


class Dialect(ABC):
    """The SQL of a kind of database."""

    quotes: ClassVar[tuple[str, str]] = ('"', '"')
    """What is before and after a name; the second one is doubled within it."""
    has_types: ClassVar[bool] = True
    """Whether all values of a column are of its type."""

    @abstractmethod
    def reading(self, column: CatalogueColumn, as_text: Collection[Kind]) -> Reading:
        """Return how a column is read.

        Args:
            column: The column.
            as_text: Kinds of types whose columns are read as text.
        """

    def quote(self, name: str) -> str:
        """Return a name as SQL."""
        before, after = self.quotes
        return f"{before}{name.replace(after, after * 2)}{after}"

    def text(self, text: str) -> str:
        """Return a text as SQL."""
        return "'" + text.replace("'", "''") + "'"

    def moment(self, moment: datetime) -> str:
        """Return an instant in UTC, or a timestamp without a zone, as SQL."""
        return self.text(moment.isoformat(" ", "microseconds"))

    def literal(self, value: Cursor | str) -> str:
        """Return a value as SQL."""
        if isinstance(value, datetime):
            return self.moment(value)
        if isinstance(value, int):
            return str(value)
        return self.text(value if isinstance(value, str) else value.isoformat())

    def at_least(self, column: str, value: Cursor) -> str:
        """Return the condition that a column is not less than a value."""
        return f"{column} >= {self.literal(value)}"

    def less_than(self, column: str, value: Cursor) -> str:
        """Return the condition that a column is less than a value."""
        return f"{column} < {self.literal(value)}"

    def has_no_value(self, column: str, of: Cursor | None) -> str:  # noqa: ARG002 -- where a column may have values of any type
        """Return the condition that a column is null, or has none of the values that can be compared with a value."""
        return f"{column} IS NULL"

    def misfit(self, readings: Sequence[Reading]) -> str:  # noqa: ARG002 -- where the types of the driver have all values
        """Return the condition that a value of a row is not among those of its type in the file; empty for never.

        It is the last column of a statement; see `check_fit`.
        """
        return ""

    @abstractmethod
    def as_text(self, expression: str) -> str:
        """Return an expression as a text, which is compared and not read."""


class Session(ABC):
    """One connection, in one snapshot, that only reads.

    Attributes:
        dialect: Its SQL.
        notes: What people should know of the connection, each as a sentence.
        is_stuck: Whether a thread waits for a silent database. It closes the connection, and nobody else does.
    """

    dialect: Dialect
    notes: list[str]
    is_stuck: bool = False

    def begin(self, access: Database) -> None:  # noqa: B027 -- some take the snapshot as they connect
        """Take the snapshot, right after the session connected; nothing if it was taken then.

        Args:
            access: How the database is reached.
        """

    @abstractmethod
    def columns(self, table: Sequence[str], query: str) -> list[CatalogueColumn]:
        """Return the columns of a table, or of a query; none if there is no such table.

        Args:
            table: Its name, after those of its schema and so on; empty for a query.
            query: A SELECT.
        """

    @abstractmethod
    def row(self, statement: str) -> tuple[Any, ...]:
        """Return the one row of a statement."""

    @abstractmethod
    def batches(self, statement: str, readings: Sequence[Reading]) -> Generator[pa.RecordBatch]:
        """Yield the rows of a statement with the expressions of readings, in the types of these.

        Raises:
            UnfitError: If a value is not of the type.
        """

    def now(self) -> datetime:
        """Return the time of the database's clock."""
        return datetime.now(UTC)

    @abstractmethod
    def error(self, error: Exception) -> DeliveryError | None:
        """Return an error of the driver as one of this package; None if it is none of the driver's."""

    @abstractmethod
    def close(self) -> None:
        """End the snapshot and the connection."""


def check_fit(batch: pa.RecordBatch, readings: Sequence[Reading]) -> None:
    """Raise an `UnfitError` if the column of `Dialect.misfit` is true; null, of a comparison with null, is not."""
    if batch.num_columns > len(readings) and pc.any(batch.column(len(readings))).as_py():
        kinds = {reading.kind for reading in readings}
        raise UnfitError("moment" if "moment" in kinds else "time")


def name_of(type_: str) -> str:
    """Return the name of a type, without its parameters."""
    return " ".join(_IN_BRACKETS.sub("", type_, count=1).lower().split())


def digits_of(type_: str) -> tuple[int, int] | None:
    """Return precision and scale of a type; None if it has none, or the frozen file has no decimals of them."""
    found = _PARAMETERS.search(type_)
    if found is None:
        return None
    precision, scale = int(found[1]), int(found[2] or 0)
    return (precision, scale) if 0 <= scale <= precision <= MOST_DIGITS and precision else None
