"""How a source is cut into partitions: None, daily, weekly, monthly, by name, or one for each file.

Values only; what Dagster makes of them is ``graph.partitions``'s business.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from etl_assets.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl


@dataclass(frozen=True)
class Partition:
    """One partition of a source.

    Attributes:
        key: Its name; the empty text for a source without partitions.
        rank: Sorts the partitions of a source by age as text, oldest first: a row from a partition of a higher rank
            is never overwritten by one of a lower rank, whenever either is loaded.
        start: First instant covered, for partitions of time.
        end: First instant no longer covered.
    """

    key: str = ""
    rank: str = ""
    start: datetime | None = None
    end: datetime | None = None

    def __str__(self) -> str:
        return self.key or "the whole source"


class Partitioning(ABC):
    """A way of cutting a source into partitions.

    Attributes:
        column: The column by whose values the source is cut, if there is one. Records with a value of another
            partition are then rejected; and since the column is part of the key, partitions have no key in common and
            are written side by side.
    """

    column: str | None

    @abstractmethod
    def holds(self, key: str, value: pl.Expr) -> pl.Expr:
        """Whether a partition is the one that a value of the column belongs to.

        Args:
            key: Of the partition.
            value: A day for partitions of time, else a text.
        """

    @abstractmethod
    def partition(self, key: str) -> Partition:
        """The partition of that name.

        Raises:
            ValueError: If there can be none of that name.
        """

    def keys(self, now: datetime) -> tuple[str, ...]:  # noqa: ARG002 -- partitions of time need it
        """The names of all partitions that are complete at ``now``, oldest first; none where only a look tells."""
        return ()

    def check(self, where: str) -> None:  # noqa: B027 -- most have nothing to check
        """Raise a `DeclarationError` unless the declaration is sound."""


@dataclass(frozen=True)
class Periods(Partitioning):
    """Partitions of time, named by their first day (``YYYY-MM-DD``).

    Attributes:
        start: First day of the first partition.
        end: First day that is no longer part of the source; None for a source that goes on.
        column: Of dates, or of timestamps, whose day is that of the column's zone (of UTC for instants without one).
    """

    start: date
    end: date | None = None
    column: str | None = field(default=None, kw_only=True)

    @abstractmethod
    def following(self, day: date) -> date:
        """The first day of the partition after the one that begins at ``day``."""

    def partition(self, key: str) -> Partition:
        """The partition that begins at that day."""
        day = date.fromisoformat(key)
        return Partition(key, key, _midnight(day), _midnight(self.following(day)))

    def holds(self, key: str, value: pl.Expr) -> pl.Expr:
        """Whether a day lies in the partition that begins at another."""
        first = date.fromisoformat(key)
        return (value >= first) & (value < self.following(first))

    def keys(self, now: datetime) -> tuple[str, ...]:
        """The partitions whose last instant is past."""
        found: list[str] = []
        day = self.start
        while _midnight(self.following(day)) <= now and (self.end is None or day < self.end):
            found.append(day.isoformat())
            day = self.following(day)
        return tuple(found)

    def check(self, where: str) -> None:
        """Raise unless start lies before end and begins a period."""
        if self.end is not None and self.end <= self.start:
            raise DeclarationError(where, "partitions", "end before they start", "Let start be before end")


@dataclass(frozen=True)
class Daily(Periods):
    """One partition a day."""

    def following(self, day: date) -> date:
        """The next day."""
        return day + timedelta(days=1)


@dataclass(frozen=True)
class Weekly(Periods):
    """One partition a week, Sunday to Saturday."""

    def following(self, day: date) -> date:
        """The same weekday, a week later."""
        return day + timedelta(days=7)

    def check(self, where: str) -> None:
        """Raise unless the first week begins on a Sunday."""
        super().check(where)
        if self.start.isoweekday() != 7:  # noqa: PLR2004 -- Sunday
            raise DeclarationError(where, "partitions", f"start on {self.start:%A}", "Let weeks start on a Sunday")


@dataclass(frozen=True)
class Monthly(Periods):
    """One partition a month."""

    def following(self, day: date) -> date:
        """The first day of the next month."""
        return date(day.year + day.month // 12, day.month % 12 + 1, 1)

    def check(self, where: str) -> None:
        """Raise unless the first month begins on its first day."""
        super().check(where)
        if self.start.day != 1:
            raise DeclarationError(where, "partitions", f"start on {self.start}", "Let months start on day 1")


@dataclass(frozen=True)
class Static(Partitioning):
    """Partitions with names of their own; a later name outranks an earlier one.

    Attributes:
        names: The names, oldest first.
        column: Of texts, each the name of its partition.
    """

    names: tuple[str, ...]
    column: str | None = field(default=None, kw_only=True)

    def holds(self, key: str, value: pl.Expr) -> pl.Expr:
        """Whether a value is the partition's name."""
        return value == key

    def partition(self, key: str) -> Partition:
        """The partition of that name."""
        return Partition(key, f"{self.names.index(key):06d}")

    def keys(self, now: datetime) -> tuple[str, ...]:  # noqa: ARG002 -- the names do not depend on time
        """All names."""
        return self.names

    def check(self, where: str) -> None:
        """Raise unless there are names, each once, that Dagster can take."""
        if not self.names or len(set(self.names)) < len(self.names):
            raise DeclarationError(where, "partitions", "are empty or name one twice", "Name each partition once")
        if bad := [name for name in self.names if not name or "..." in name or "\n" in name or "," in name]:
            raise DeclarationError(
                where, "partitions", f"cannot be named {bad[0]!r}", "Leave out '...', ',' and newlines"
            )


@dataclass(frozen=True)
class Files(Partitioning):
    """Each file that matches the extractor's location is a delivery and a partition, named like the file.

    Attributes:
        rank: Makes the text by which files are ordered, oldest first, of a file's name; by default the name itself.
        column: Of texts, which are the same throughout a file and different in another.
        value: Makes the text that the column has in a file of the file's name; by default the name itself.
    """

    rank: Callable[[str], str] | None = None
    column: str | None = field(default=None, kw_only=True)
    value: Callable[[str], str] | None = field(default=None, kw_only=True)

    def holds(self, key: str, value: pl.Expr) -> pl.Expr:
        """Whether a value is the one that the file has."""
        return value == (self.value(key) if self.value else key)

    def partition(self, key: str) -> Partition:
        """The partition of the file of that name."""
        return Partition(key, self.rank(key) if self.rank else key)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
