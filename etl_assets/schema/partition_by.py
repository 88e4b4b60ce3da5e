"""`PartitionBy`: the rows of a table are in child tables, one for each day, week, month or year of a column."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, Literal

import polars as pl

from etl_assets.errors import DeclarationError
from etl_assets.model.declaration import Declaration

if TYPE_CHECKING:
    from etl_assets.schema.schema import Schema

Every = Literal["day", "week", "month", "year"]
_DURATIONS: Final = {"day": "1d", "week": "1w", "month": "1mo", "year": "1y"}
_KEEP: Final = re.compile(r"([1-9][0-9]{0,4}) (day|week|month|year)s?")
_MONTHS: Final = {"month": 1, "year": 12}
_LAST_YEAR: Final = 9999


@dataclass(frozen=True, order=True)
class Period:
    """The days of one child table.

    Attributes:
        first: The first day.
        every: How long it is.
    """

    first: date
    every: Every

    @property
    def begin(self) -> str:
        """The first day, as Postgres reads it."""
        return self.first.isoformat()

    @property
    def end(self) -> str:
        """The day after the last one, as Postgres reads it; it may be in the year 10000, which Python does not have."""
        if self.every in _MONTHS:
            months = self.first.year * 12 + self.first.month - 1 + _MONTHS[self.every]
            return f"{months // 12:04d}-{months % 12 + 1:02d}-01"
        ordinal = self.first.toordinal() + (7 if self.every == "week" else 1)
        beyond = ordinal - date.max.toordinal()
        return f"10000-01-{beyond:02d}" if beyond > 0 else date.fromordinal(ordinal).isoformat()

    @property
    def name(self) -> str:
        """A name that sorts by time: ``2024-01-31``, ``2024-W05``, ``2024-01`` or ``2024``."""
        if self.every == "week":
            year, week, _ = self.first.isocalendar()
            return f"{year:04d}-W{week:02d}"
        return self.begin[: {"day": 10, "month": 7, "year": 4}[self.every]]


@dataclass(frozen=True)
class PartitionBy(Declaration):
    """Cuts a table into child tables by a column, and optionally drops those that are too old.

    The child tables are partitions of Postgres. Queries name the table, and read only the child tables that they need.

    Attributes:
        column: Name of a column of type date or timestamp. A timestamp with a zone is cut at midnight UTC.
        every: What each child table is for: a day, a week from Monday, a month or a year.
        keep: How old rows may become, such as ``"3 years"``. A child table is dropped when its last row is older. None
            to keep every row.
    """

    column: str
    every: Every = "month"
    keep: str | None = None

    def __str__(self) -> str:
        return f"{self.every} of {self.column}"

    def check(self, schema: Schema, where: str) -> None:
        """Raise a `DeclarationError` unless the column is in the schema, its key and its unique values, and fits."""
        if self.column not in schema.names:
            raise DeclarationError(where, "partition_by", f"names {self.column!r}, no column", "Name a declared column")
        column = schema[self.column]
        if column.type.name not in {"date", "timestamp"}:
            problem = f"names {self.column!r}, which is {column.type.name}"
            raise DeclarationError(where, "partition_by", problem, "Name a column of type date or timestamp")
        if schema.key and self.column not in schema.key:
            problem = f"names {self.column!r}, which is not in the key, so that a key could be in two child tables"
            raise DeclarationError(
                where, "partition_by", problem, "Put the column into the key, or name one of the key"
            )
        if not column.required:
            problem = f"names {self.column!r}, and a row without a value would belong to no child table"
            raise DeclarationError(where, "partition_by", problem, "Write required=True for the column")
        for claim in schema.claims:
            if self.column not in claim.columns:
                problem = (
                    f"names {self.column!r}, and {claim.rule} holds across child tables, which Postgres cannot check"
                )
                raise DeclarationError(where, "partition_by", problem, "Put the column into that rule, or leave it out")
        if self.keep is not None and _KEEP.fullmatch(self.keep) is None:
            problem = f"keeps {self.keep!r}"
            remedy = "Write a number of days, weeks, months or years: keep='3 years'"
            raise DeclarationError(where, "partition_by", problem, remedy)

    def period_of(self, day: date) -> Period:
        """Return the period that a day is in."""
        match self.every:
            case "day":
                return Period(day, self.every)
            case "week":
                return Period(date.fromordinal(day.toordinal() - day.weekday()), self.every)
            case "month":
                return Period(day.replace(day=1), self.every)
        return Period(day.replace(month=1, day=1), self.every)

    def periods_of(self, values: pl.Series) -> list[Period]:
        """Return the periods of some values of the column, the oldest first.

        Those before year 1 and after year 9999 are left out: they have no child table.
        """
        starts = values.drop_nulls().dt.truncate(_DURATIONS[self.every]).unique().cast(pl.Date).sort()
        known = starts.filter(starts.dt.year().is_between(1, _LAST_YEAR))
        return [Period(first, self.every) for first in known.to_list()]

    def kept_from(self, today: date) -> date | None:
        """Return the first day whose rows are kept; None if all are.

        Args:
            today: The date in UTC.
        """
        if self.keep is None:
            return None
        number, unit = self._duration()
        if unit in _MONTHS:
            months = today.year * 12 + today.month - 1 - number * _MONTHS[unit]
            year, month = divmod(months, 12)
            if year < 1:
                return None
            oldest = date(year, month + 1, min(today.day, monthrange(year, month + 1)[1]))
        else:
            ordinal = today.toordinal() - timedelta(**{f"{unit}s": number}).days
            if ordinal < 1:
                return None
            oldest = date.fromordinal(ordinal)
        return self.period_of(oldest).first

    def is_kept(self, kept_from: date) -> pl.Expr:
        """Return whether a row is not older than the first day whose rows are kept."""
        return pl.col(self.column).cast(pl.Date) >= kept_from

    def _duration(self) -> tuple[int, str]:
        number, unit = (self.keep or "").rstrip("s").split(" ")
        return int(number), unit
