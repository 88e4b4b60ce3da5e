"""`Incremental`: a fetch begins where the one before ended, by a column whose values grow.

The value up to which everything was fetched, the cursor, is kept with the delivery that brought it, in the same
transaction. A record that the publisher enters late, with a value behind the cursor, is found within the overlap.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from etl_assets.errors import DeclarationError
from etl_assets.model.declaration import Declaration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Cursor: TypeAlias = "datetime | date | int"
"""A value of the column: an instant in UTC, a timestamp without a zone, a day, or an integer."""
CursorType = Literal["instant", "timestamp", "date", "integer"]
_CURSOR: Final = "cursor"
_EXAMPLES: Final = {
    "instant": "2026-01-31T12:00:00Z",
    "timestamp": "2026-01-31T12:00:00",
    "date": "2026-01-31",
    "integer": "4711",
}


@dataclass(frozen=True)
class Incremental(Declaration):
    """Fetches what has changed since the last fetch.

    Attributes:
        by: The column, under its published name. Its values must grow when a record is made or changed.
        overlap: How far behind the cursor a fetch begins: a `timedelta`, or a number for integers. It must be longer
            than a record may take to appear at the publisher, and than the publisher's clock may go back. There is no
            default, because each would lose records of some publisher.
        type: What the values are: ``instant`` (a moment in a zone, in UTC if the text has none), ``timestamp`` (without
            a zone), ``date`` or ``integer``.
        start: Where the first fetch begins, written as a value: ``2026-01-31T12:00:00Z``. None for everything.
    """

    by: str
    overlap: timedelta | int
    type: CursorType = field(default="instant", kw_only=True)
    start: str | None = field(default=None, kw_only=True)

    def check(self, where: str) -> None:
        """Raise a `DeclarationError` unless overlap and start are of the type."""
        if not self.by:
            raise DeclarationError(where, "by", "is empty", "Name the column that grows: 'updated_at'")
        is_number = isinstance(self.overlap, int)
        if is_number != (self.type == "integer"):
            remedy = "Write timedelta(hours=1) for moments and days, a number for integers"
            raise DeclarationError(where, "overlap", f"does not fit the type {self.type!r}", remedy)
        if (self.overlap if isinstance(self.overlap, int) else self.overlap.total_seconds()) < 0:
            raise DeclarationError(where, "overlap", "is negative", "Write 0 or more")
        if self.start is not None and self.read(self.start) is None:
            problem, remedy = f"{self.start!r} is no {self.type}", f"Write it as {_EXAMPLES[self.type]!r}"
            raise DeclarationError(where, "start", problem, remedy)

    def read(self, text: str) -> Cursor | None:
        """Return the value that a text means; None if it means none of the type."""
        try:
            if self.type == "integer":
                return int(text) if text.isascii() else None
            if self.type == "date":
                return date.fromisoformat(text)
            moment = datetime.fromisoformat(text)
            if self.type == "timestamp":
                return moment.replace(tzinfo=None)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            return None

    def since(self, state: Mapping[str, Any]) -> Cursor | None:
        """Return the value from which a fetch must have everything; None if it must have everything.

        Args:
            state: Of the fetch before; that of another declaration, or an empty one, stands for no fetch before.
        """
        cursor: Any = self.cursor(state)
        if cursor is None:
            return None if self.start is None else self.read(self.start)
        try:
            since: Cursor = cursor - self.overlap
            return since  # noqa: TRY300 -- the subtraction may overflow
        except OverflowError:
            return None

    def cursor(self, state: Mapping[str, Any]) -> Cursor | None:
        """Return the value up to which the fetch before had everything; None if there was none."""
        known = state.get(_CURSOR, {})
        if (known.get("by"), known.get("type")) != (self.by, self.type):
            return None
        return self.read(str(known.get("value", "")))

    def state(self, cursor: Cursor | None) -> dict[str, Any]:
        """Return the state with a cursor; an empty one if there is none."""
        if cursor is None:
            return {}
        text = cursor.isoformat() if isinstance(cursor, date) else str(cursor)
        return {_CURSOR: {"by": self.by, "type": self.type, "value": text}}

    def advanced(self, cursor: Cursor | None, values: Iterable[Cursor], asked_at: datetime) -> Cursor | None:
        """Return the cursor after a fetch.

        It never goes back, and never beyond the moment at which the publisher was asked: a value from the future, of a
        wrong clock or of a typing error, would hide every change until then.

        Args:
            cursor: Before the fetch; None for none.
            values: Of the records that were fetched.
            asked_at: When the fetch began, in UTC; by the earlier of several clocks.
        """
        limit = self._limit(asked_at)
        known: list[Any] = [] if cursor is None else [cursor]
        latest: Cursor | None = max(
            [*known, *(value if limit is None else min(value, limit) for value in values)], default=None
        )
        return latest

    def _limit(self, asked_at: datetime) -> Any:
        match self.type:
            case "instant":
                return asked_at.astimezone(UTC)
            case "timestamp":
                return asked_at.astimezone(UTC).replace(tzinfo=None)
            case "date":
                return asked_at.astimezone(UTC).date()
            case "integer":
                return None
