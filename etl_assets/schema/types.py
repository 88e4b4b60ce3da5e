"""The type of a column: its name and parameters, and the corresponding types of Polars and Postgres.

``validate`` casts cells to values of a type.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Final, Literal, TypeAlias, get_args

import polars as pl
from polars.exceptions import PolarsError

from etl_assets.errors import DeclarationError
from etl_assets.model.zones import check_zone
from etl_assets.schema.date_formats import DEFAULT_FORMATS, check_format

TypeName = Literal["text", "integer", "float", "decimal", "boolean", "date", "timestamp", "time", "json", "uuid"]
TYPES: Final[tuple[str, ...]] = get_args(TypeName)
Bound: TypeAlias = int | float | Decimal | date | datetime | time
"""A bound with which the values of an ordered type are compared."""

MAX_DECIMAL_DIGITS: Final = 38
TRUE: Final = ("true",)
FALSE: Final = ("false",)
_ORDERED: Final = frozenset({"integer", "float", "decimal", "date", "timestamp", "time"})
_POLARS: Final[dict[str, pl.DataType]] = {
    "text": pl.String(),
    "integer": pl.Int64(),
    "float": pl.Float64(),
    "boolean": pl.Boolean(),
    "date": pl.Date(),
    "time": pl.Time(),
    "json": pl.String(),
    "uuid": pl.String(),
}
_POSTGRES: Final = {
    "text": "text",
    "integer": "bigint",
    "float": "double precision",
    "boolean": "boolean",
    "date": "date",
    "time": "time without time zone",
    "json": "jsonb",
    "uuid": "uuid",
}


_CANONICAL_FORMATS: Final[dict[str, tuple[str, ...]]] = {
    "date": ("%Y-%m-%d", "%Y-%m-%d 00:00:00"),
    "timestamp": ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d"),
    "time": ("%H:%M:%S", "%H:%M:%S.%f"),
}


def canonical_type(type_: DataType, *, first: bool = False) -> DataType:
    """Return a type that also reads the canonical notation of its values, in which formats write values as text.

    Dates and times are written as ISO 8601 says, with a blank between date and time, a fraction of up to six digits if
    there is one, and an offset if it is an instant: ``2024-01-31 08:05:00.5+00:00``. Truth values are ``true`` and
    ``false``. Numbers have a point and no other separator. A date may be written as its midnight, and a midnight as its
    date.

    Args:
        type_: The declared type.
        first: Whether the canonical notation is tried before the declared one. It is for a column whose values have a
            type in the file: with ``%Y-%d-%m``, a date of the file would become another one.
    """
    if type_.name == "boolean":
        true, false = (*type_.true, *TRUE), (*type_.false, *FALSE)
        if first:
            true = (*TRUE, *(word for word in type_.true if word not in FALSE))
            false = (*FALSE, *(word for word in type_.false if word not in TRUE))
        return replace(type_, true=tuple(dict.fromkeys(true)), false=tuple(dict.fromkeys(false)))
    formats = _CANONICAL_FORMATS.get(type_.name, ())
    if type_.is_instant:
        offset = tuple(f"{format_}%z" for format_ in formats)
        formats = offset if type_.zone is None else (*formats, *offset)
    ordered = (*formats, *type_.formats) if first else (*type_.formats, *formats)
    return replace(type_, declared_formats=tuple(dict.fromkeys(ordered))) if formats else type_


@dataclass(frozen=True)
class DataType:
    """The type of a column's values, and how they are written.

    Attributes:
        name: One of ``TYPES``.
        declared_formats: The formats that were declared; None for the defaults of the type.
        zone: Of a timestamp: the IANA zone of values without an offset.
        precision: Of a decimal: total number of digits.
        scale: Of a decimal: number of digits after the point.
        true: Of a boolean: the words that mean true.
        false: Of a boolean: the words that mean false.
    """

    name: TypeName
    declared_formats: tuple[str, ...] | None = None
    zone: str | None = None
    precision: int = MAX_DECIMAL_DIGITS
    scale: int | None = None
    true: tuple[str, ...] = TRUE
    false: tuple[str, ...] = FALSE

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats of a date, timestamp or time; empty for other types."""
        return self.declared_formats or DEFAULT_FORMATS.get(self.name, ())

    @property
    def is_instant(self) -> bool:
        """Whether a timestamp is stored as an instant (``timestamptz``) and not as a wall-clock reading."""
        return self.name == "timestamp" and (self.zone is not None or all("%z" in format_ for format_ in self.formats))

    @property
    def is_ordered(self) -> bool:
        """Whether values can be compared with a bound."""
        return self.name in _ORDERED

    @property
    def polars(self) -> pl.DataType:
        """The Polars type of the values in a `Verdict` and in a `Batch`."""
        if self.name == "decimal":
            return pl.Decimal(self.precision, self.scale or 0)
        if self.name == "timestamp":
            return pl.Datetime("us", "UTC" if self.is_instant else None)
        return _POLARS[self.name]

    @property
    def postgres(self) -> str:
        """The name of the type in Postgres."""
        if self.name == "decimal":
            return f"numeric({self.precision},{self.scale})"
        if self.name == "timestamp":
            return f"timestamp {'with' if self.is_instant else 'without'} time zone"
        return _POSTGRES[self.name]

    @property
    def words(self) -> str:
        """The type and its notation, as shown to people: ``a date written %Y-%m-%d``."""
        article = "an" if self.name[0] in "aeiou" else "a"
        return f"{article} {self.name}{self._notation()}"

    def _notation(self) -> str:
        if self.formats:
            return " written " + " or ".join(self.formats)
        if self.name == "decimal":
            return f" of at most {self.precision} digits, {self.scale} after the point"
        if self.name == "boolean":
            return f" ({'/'.join(self.true)} or {'/'.join(self.false)})"
        return ""

    def check(self, where: str) -> None:
        """Raise a `DeclarationError` unless the type and its parameters are sound and belong together.

        Args:
            where: How the error names the column.
        """
        if self.name not in TYPES:
            raise DeclarationError(where, "type", f"{self.name!r} is unknown", f"Write one of {', '.join(TYPES)}")
        self._check_formats(where)
        self._check_zone(where)
        self._check_decimal(where)
        self._check_boolean(where)

    def _check_formats(self, where: str) -> None:
        if self.declared_formats is not None and (self.name not in DEFAULT_FORMATS or not self.declared_formats):
            raise DeclarationError(
                where, "formats", f"does not fit type {self.name!r}", "Use formats for date, timestamp or time only"
            )
        for format_ in self.formats:
            check_format(format_, self.name, where)
        with_offset = [format_ for format_ in self.formats if "%z" in format_]
        if self.name == "timestamp" and self.zone is None and 0 < len(with_offset) < len(self.formats):
            raise DeclarationError(
                where, "formats", "are partly with an offset (%z) and partly without", "Declare the zone of the others"
            )

    def _check_zone(self, where: str) -> None:
        if self.zone is None:
            return
        if self.name != "timestamp":
            raise DeclarationError(where, "zone", "is for timestamps", "Remove it")
        check_zone(self.zone, where, "zone")
        try:
            pl.Series(["2000-01-01"]).str.to_datetime("%Y-%m-%d").dt.replace_time_zone(self.zone)
        except PolarsError as error:
            raise DeclarationError(
                where, "zone", f"{self.zone!r} is not known to Polars", "Write one like 'Europe/Paris' or 'UTC'"
            ) from error

    def _check_decimal(self, where: str) -> None:
        if self.name != "decimal":
            if self.scale is not None or self.precision != MAX_DECIMAL_DIGITS:
                raise DeclarationError(where, "precision and scale", "are for decimals", "Remove them")
            return
        if self.scale is None:
            raise DeclarationError(where, "scale", "is not declared", "Write the number of digits after the point")
        if not 0 <= self.scale <= self.precision <= MAX_DECIMAL_DIGITS:
            raise DeclarationError(
                where, "precision", "does not fit", f"Keep 0 <= scale <= precision <= {MAX_DECIMAL_DIGITS}"
            )

    def _check_boolean(self, where: str) -> None:
        if self.name != "boolean":
            if (self.true, self.false) != (TRUE, FALSE):
                raise DeclarationError(where, "true and false", "are for booleans", "Remove them")
            return
        if not self.true or not self.false or set(self.true) & set(self.false):
            problem = "share a word, or one has none"
            raise DeclarationError(where, "true and false", problem, "Write a word for each, and each word only once")
