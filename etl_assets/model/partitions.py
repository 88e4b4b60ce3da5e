"""How a source is cut into partitions: not at all, daily, weekly, monthly, by name, or one for each file.

This module only declares values; ``graph.partitions`` makes Dagster's partitions of them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from etl_assets.errors import DeclarationError
from etl_assets.model.declaration import Declaration
from etl_assets.model.partition_keys import FileNames, problem_of_key, problem_of_length
from etl_assets.model.text import escape_control_characters

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl


@dataclass(frozen=True)
class Partition:
    """One partition of a source.

    Attributes:
        key: Its name; the empty text for a source without partitions.
        rank: Text that sorts the partitions of a source by age, oldest first. A row from a partition of a lower rank
            never overwrites one of a higher rank, in whatever order they are loaded.
        start: First instant of the partition, for partitions of time.
        end: First instant after the partition.
    """

    key: str = ""
    rank: str = ""
    start: datetime | None = None
    end: datetime | None = None

    def __str__(self) -> str:
        return escape_control_characters(self.key) or "the whole source"


class Partitioning(Declaration):
    """A way of cutting a source into partitions.

    Attributes:
        column: The column by whose values the source is cut, if there is one. Records with a value of another
            partition are then rejected. Since the column is part of the key, partitions have no key in common and can
            be written at the same time.
        per_run: The most partitions that one run of Dagster takes, one after the other, when many are to be loaded. A
            run costs about as much as a small partition; many large partitions are loaded sooner by a run for each.
    """

    column: str | None
    per_run: int

    @abstractmethod
    def holds(self, key: str, value: pl.Expr) -> pl.Expr:
        """Return whether a value of the column belongs to a partition.

        Args:
            key: Key of the partition.
            value: A day for partitions of time, else a text.
        """

    def value_of(self, key: str) -> str | None:  # noqa: ARG002 -- most partitions cannot have a value in common
        """Return the only value of the column in a partition, if another might have the same; else None."""
        return None

    @abstractmethod
    def partition(self, key: str) -> Partition:
        """Return the partition of that key.

        Raises:
            ValueError: If no partition can have that key.
        """

    def keys(self, now: datetime) -> tuple[str, ...]:  # noqa: ARG002 -- partitions of time need it
        """Return the keys of all partitions that are complete at ``now``, oldest first; none if they must be listed."""
        return ()

    def check(self, where: str) -> None:
        """Raise a `DeclarationError` unless the declaration is sound."""
        if self.per_run < 1:
            raise DeclarationError(where, "partitions", f"per_run={self.per_run}", "Write 1 or more")


@dataclass(frozen=True)
class Periods(Partitioning):
    """Partitions of time, named by their first day (``YYYY-MM-DD``).

    Attributes:
        start: First day of the first partition.
        end: First day that is no longer part of the source; None for a source without an end.
        column: A column of dates, or of timestamps. The day of a timestamp is its day in the column's zone, or in UTC
            for instants without a zone.
        per_run: The most partitions that one run takes.
    """

    start: date
    end: date | None = None
    column: str | None = field(default=None, kw_only=True)
    per_run: int = field(default=1, kw_only=True)

    @abstractmethod
    def following(self, day: date) -> date:
        """Return the first day of the partition after the one that begins at ``day``."""

    def partition(self, key: str) -> Partition:
        """Return the partition that begins on that day."""
        day = date.fromisoformat(key)
        return Partition(key, key, _midnight(day), _midnight(self.following(day)))

    def holds(self, key: str, value: pl.Expr) -> pl.Expr:
        """Return whether a day is in the partition that begins on the day ``key``."""
        first = date.fromisoformat(key)
        return (value >= first) & (value < self.following(first))

    def keys(self, now: datetime) -> tuple[str, ...]:
        """Return the partitions that are over at ``now``."""
        keys: list[str] = []
        day = self.start
        while _midnight(self.following(day)) <= now and (self.end is None or day < self.end):
            keys.append(day.isoformat())
            day = self.following(day)
        return tuple(keys)

    def check(self, where: str) -> None:
        """Raise unless start is before end; subclasses check that it begins a period."""
        super().check(where)
        if self.start.year == date.max.year:
            raise DeclarationError(where, "partitions", f"start in {self.start.year}", "Write an earlier year")
        if self.end is not None and self.end <= self.start:
            raise DeclarationError(where, "partitions", "end before they start", "Let start be before end")


@dataclass(frozen=True)
class Daily(Periods):
    """One partition a day."""

    def following(self, day: date) -> date:
        """Return the next day."""
        return day + timedelta(days=1)


@dataclass(frozen=True)
class Weekly(Periods):
    """One partition a week, Sunday to Saturday."""

    def following(self, day: date) -> date:
        """Return the same weekday, a week later."""
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
        """Return the first day of the next month."""
        return date(day.year + day.month // 12, day.month % 12 + 1, 1)

    def check(self, where: str) -> None:
        """Raise unless the first month begins on its first day."""
        super().check(where)
        if self.start.day != 1:
            raise DeclarationError(where, "partitions", f"start on {self.start}", "Let months start on day 1")


@dataclass(frozen=True)
class Static(Partitioning):
    """Partitions with declared names; a later name has a higher rank than an earlier one.

    Attributes:
        names: The names, oldest first.
        column: A column of texts: the name of the partition.
        per_run: The most partitions that one run takes.
    """

    names: tuple[str, ...]
    column: str | None = field(default=None, kw_only=True)
    per_run: int = field(default=1, kw_only=True)

    def holds(self, key: str, value: pl.Expr) -> pl.Expr:
        """Return whether a value is the partition's name."""
        return value == key

    def partition(self, key: str) -> Partition:
        """Return the partition of that name."""
        return Partition(key, f"{self.names.index(key):06d}")

    def keys(self, now: datetime) -> tuple[str, ...]:  # noqa: ARG002 -- the names do not depend on time
        """Return all names."""
        return self.names

    def check(self, where: str) -> None:
        """Raise unless there are names, each once, that Dagster accepts."""
        super().check(where)
        if not self.names or len(set(self.names)) < len(self.names):
            raise DeclarationError(where, "partitions", "are empty or name one twice", "Name each partition once")
        if bad := [name for name in self.names if "..." in name or "," in name or not name.isprintable() or not name]:
            raise DeclarationError(
                where, "partitions", f"cannot be named {bad[0]!r}", "Leave out '...', ',' and control characters"
            )


@dataclass(frozen=True)
class Files(Partitioning):
    """Each file that matches the extractor's location is a delivery and a partition, named like the file.

    Attributes:
        rank: Returns, for a file's name, the text that sorts the files, oldest first; by default the name itself.
        column: A column of texts, with one value throughout a file and another value in every other file.
        value: Returns, for a file's name, the value of the column in that file; by default the name itself.
        per_run: The most files that one run takes.
    """

    rank: Callable[[str], str] | None = None
    column: str | None = field(default=None, kw_only=True)
    per_run: int = field(default=100, kw_only=True)
    value: Callable[[str], str] | None = field(default=None, kw_only=True)

    def holds(self, key: str, value: pl.Expr) -> pl.Expr:
        """Return whether a value is the column's value in the file."""
        return value == (self.value(key) if self.value else key)

    def value_of(self, key: str) -> str | None:
        """Return what ``value`` makes of the file's name; names themselves always differ."""
        return self.value(key) if self.value else None

    def partition(self, key: str) -> Partition:
        """Return the partition of the file of that name."""
        return Partition(key, self.rank(key) if self.rank else key)

    def keys_of(self, names: Iterable[str]) -> FileNames:
        """Return which names of files are keys, oldest first, and which are set aside; each is examined by itself."""
        problems = {name: self._problem(name) for name in names}
        keys = [name for name, problem in problems.items() if not problem]
        return FileNames(
            tuple(sorted(keys, key=lambda key: (self.partition(key).rank, key))),
            {name: problem for name, problem in sorted(problems.items()) if problem},
        )

    def _problem(self, name: str) -> str:
        """Return why a name cannot be a key, as a clause; the empty text if it can."""
        if problem := problem_of_key(name):
            return problem
        for argument, function in (("rank", self.rank), ("value", self.value)):
            try:
                text: object = name if function is None else function(name)
            except Exception as error:  # noqa: BLE001 -- a source's own Python may raise anything; the reason is kept
                return f"makes {argument} raise {type(error).__name__}"
            if not isinstance(text, str):
                return f"makes {argument} return no text"
            if problem := problem_of_length(text):
                return f"makes {argument} return a text that {problem}"
        return ""


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
