"""The declared contract of a feed: columns, key, rules.

Here live the declaration values and the checks that a declaration is sound. How a rule is carried out on records is
``validate``'s business; what a type is called in Postgres is ``postgres``'s.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from etl_assets.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date, datetime, time
    from decimal import Decimal

    Bound = int | float | Decimal | date | datetime | time

TypeName = Literal["text", "integer", "float", "decimal", "boolean", "date", "timestamp", "time", "json", "uuid"]
TYPES: Final[tuple[str, ...]] = get_args(TypeName)
OnMissing = Literal["park", "reject", "report"]

RECORD_NO: Final = "_record_no"
DELIVERY_ID: Final = "_delivery_id"
ROW_HASH: Final = "_row_hash"
BOOKKEEPING: Final = (DELIVERY_ID, RECORD_NO, ROW_HASH)
"""Columns that every table has beside the declared ones; no declared column may take their names."""

MAX_IDENTIFIER_BYTES: Final = 63
MAX_COLUMNS: Final = 500
MAX_DECIMAL_DIGITS: Final = 38
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]*")
_ORDERED = frozenset({"integer", "float", "decimal", "date", "timestamp", "time"})
_DEFAULT_FORMATS: Final[dict[str, tuple[str, ...]]] = {
    "date": ("%Y-%m-%d",),
    "timestamp": ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"),
    "time": ("%H:%M:%S",),
}
DIRECTIVES: Final[dict[str, str]] = {
    "%Y": r"[0-9]{4}",
    "%y": r"[0-9]{2}",
    "%m": r"(?:0[1-9]|1[0-2])",
    "%-m": r"(?:0?[1-9]|1[0-2])",
    "%d": r"(?:0[1-9]|[12][0-9]|3[01])",
    "%-d": r"(?:0?[1-9]|[12][0-9]|3[01])",
    "%H": r"(?:[01][0-9]|2[0-3])",
    "%-H": r"(?:[01]?[0-9]|2[0-3])",
    "%I": r"(?:0[1-9]|1[0-2])",
    "%-I": r"(?:0?[1-9]|1[0-2])",
    "%p": r"(?:AM|PM|am|pm)",
    "%M": r"[0-5][0-9]",
    "%S": r"[0-5][0-9]",
    "%f": r"[0-9]{1,6}",
    "%z": r"(?:Z|[+-][0-9]{2}:?[0-9]{2})",
    "%b": r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)",
    "%B": r"(?:January|February|March|April|May|June|July|August|September|October|November|December)",
    "%%": "%",
}
"""The directives a ``formats`` entry may hold, each with what it matches, exactly: ``%m`` two digits, ``%-m`` one
or two, ``%S`` never 60, ``%H`` never 24, ``%f`` one to six digits after a point that the format writes itself."""


def directives(format_: str) -> Iterator[str]:
    """Split a format into directives and literal characters.

    Args:
        format_: A declared format, e.g. ``%-m/%-d/%y %H:%M``.

    Yields:
        Each directive whole (``%-m``), each other character by itself.
    """
    for match in re.finditer(r"%-?.|.", format_, re.DOTALL):
        yield match.group()


@dataclass(frozen=True)
class References:
    """A column whose values must exist in another table's column.

    Attributes:
        column: ``schema.table.column`` of the parent, e.g. ``core.airports.faa``.
        missing: What becomes of a record whose parent is not there: ``park`` keeps it in the quarantine and releases
            it when the parent arrives; ``reject`` quarantines it; ``report`` loads it and counts it in a check.
    """

    column: str
    missing: OnMissing = "park"

    @property
    def parts(self) -> tuple[str, str, str]:
        """Schema, table and column of the parent."""
        schema, table, column = self.column.split(".")
        return schema, table, column

    @property
    def table(self) -> str:
        """The parent table as ``schema.table``."""
        return self.column.rpartition(".")[0]


@dataclass(frozen=True)
class Column:
    """One column of the table and the rules its values must keep.

    Attributes:
        name: The column's name in the table: lower-case letters, digits and underscores, at most 63 bytes.
        type: One of ``TYPES``. Values are cast by the declared format and nothing else; a cell that is not it is
            rejected, never guessed.
        required: Whether a record without a value is rejected. A required column missing from the whole delivery
            stops the delivery.
        published_as: The name, or the names over time, under which the publisher sends the column; the first that a
            delivery has counts. By default the column's own name.
        minimum: Smallest value allowed, inclusive; for integer, float, decimal, date, timestamp and time.
        maximum: Largest value allowed, inclusive.
        length: Largest number of characters of a text.
        pattern: Regular expression (RE2 syntax, no look-around) that a text must match as a whole.
        allowed: The only values allowed, for text and integer.
        unique: Whether no two rows of the table may share a value, beyond the key.
        references: The parent column, as text (misses are parked) or as `References`.
        derived: Whether the transformer makes the column; it is then not looked for in the delivery.
        default: Value, written as the publisher would write it, for records that have none.
        description: Shown in Dagster and in the database.
        sensitive: Whether values are hidden wherever people look: metadata, exports, the quarantine's listing.
        formats: For date, timestamp and time: the formats accepted, tried in this order; see ``DIRECTIVES``.
        zone: For timestamp: the IANA zone that values without an offset are in. A column with a zone, or with ``%z``
            in every format, is stored as an instant; any other is stored as the wall-clock reading it is.
        precision: For decimal: the number of digits in all, at most 38.
        scale: For decimal: the number of digits after the point; a value with more (other than zeros) is rejected.
        true: For boolean: the words that mean true, exactly as written.
        false: For boolean: the words that mean false.
        null: Words that mean 'no value' in this column, beside the format's own.
        strip: Whether blanks around a value are removed before anything else.
    """

    name: str
    type: TypeName
    required: bool = False
    published_as: str | tuple[str, ...] | None = None
    minimum: Bound | None = None
    maximum: Bound | None = None
    length: int | None = None
    pattern: str | None = None
    allowed: tuple[str | int, ...] | None = None
    unique: bool = False
    references: str | References | None = None
    derived: bool = False
    default: str | None = None
    description: str = ""
    sensitive: bool = False
    formats: tuple[str, ...] | None = None
    zone: str | None = None
    precision: int = MAX_DECIMAL_DIGITS
    scale: int | None = None
    true: tuple[str, ...] = ("true",)
    false: tuple[str, ...] = ("false",)
    null: tuple[str, ...] = ()
    strip: bool = False

    @property
    def published_names(self) -> tuple[str, ...]:
        """The names to look for in a delivery, in order; empty for a derived column."""
        if self.derived:
            return ()
        if self.published_as is None:
            return (self.name,)
        return (self.published_as,) if isinstance(self.published_as, str) else self.published_as

    @property
    def accepted_formats(self) -> tuple[str, ...]:
        """The formats of a date, timestamp or time; empty for other types."""
        return self.formats or _DEFAULT_FORMATS.get(self.type, ())

    @property
    def is_instant(self) -> bool:
        """Whether a timestamp column stores instants (``timestamptz``) and not wall-clock readings."""
        return self.type == "timestamp" and (
            self.zone is not None or all("%z" in format_ for format_ in self.accepted_formats)
        )

    @property
    def polars_type(self) -> pl.DataType:
        """The Polars type that the column's values have in a `Verdict` and in a `Batch`."""
        match self.type:
            case "integer":
                return pl.Int64()
            case "float":
                return pl.Float64()
            case "decimal":
                return pl.Decimal(self.precision, self.scale or 0)
            case "boolean":
                return pl.Boolean()
            case "date":
                return pl.Date()
            case "time":
                return pl.Time()
            case "timestamp":
                return pl.Datetime("us", "UTC" if self.is_instant else None)
            case "text" | "json" | "uuid":
                return pl.String()

    @property
    def parent(self) -> References | None:
        """The declared reference, in its long form."""
        return References(self.references) if isinstance(self.references, str) else self.references

    def rule(self, kind: str) -> str:
        """The name of one of this column's rules, as it stands in checks and in the quarantine."""
        return f"{self.name}__{kind}"

    @cached_property
    def rules(self) -> Mapping[str, str]:
        """Every rule of the column: its name, and what it asks in plain words."""
        asked: dict[str, str] = {}
        if self.required:
            asked["required"] = "has a value"
        if self.type != "text":
            asked["type"] = f"is {_article(self.type)}{self._format_words()}"
        if self.minimum is not None:
            asked["minimum"] = f"is at least {self.minimum}"
        if self.maximum is not None:
            asked["maximum"] = f"is at most {self.maximum}"
        if self.length is not None:
            asked["length"] = f"has at most {self.length} characters"
        if self.pattern is not None:
            asked["pattern"] = f"matches {self.pattern}"
        if self.allowed is not None:
            asked["allowed"] = "is one of " + ", ".join(map(str, self.allowed))
        if self.unique:
            asked["unique"] = "stands in no other row"
        if self.parent is not None:
            asked["references"] = f"exists in {self.parent.column}"
        return {self.rule(kind): f"{self.name} {words}" for kind, words in asked.items()}

    def _format_words(self) -> str:
        if self.accepted_formats:
            return " written " + " or ".join(self.accepted_formats)
        if self.type == "decimal":
            return f" of at most {self.precision} digits, {self.scale} after the point"
        if self.type == "boolean":
            return f" ({'/'.join(self.true)} or {'/'.join(self.false)})"
        return ""

    def check(self, where: str) -> None:
        """Raise unless the declaration is sound.

        Args:
            where: What to call the owner in the error, e.g. ``source 'flights'``.

        Raises:
            DeclarationError: With the field and the remedy.
        """
        here = f"column {self.name!r} of {where}"
        _check_identifier(self.name, here, "name")
        if self.name in BOOKKEEPING:
            raise DeclarationError(here, "name", "is kept for bookkeeping", "Choose another name")
        if self.type not in TYPES:
            raise DeclarationError(here, "type", f"{self.type!r} is unknown", f"Write one of {', '.join(TYPES)}")
        self._check_names(here)
        self._check_formats(here)
        self._check_numbers(here)
        self._check_text(here)
        self._check_reference(here)

    def _check_names(self, here: str) -> None:
        if self.derived and self.published_as is not None:
            raise DeclarationError(here, "published_as", "contradicts derived=True", "Remove one of the two")
        if self.published_as == () or any(not isinstance(name, str) for name in self.published_names):
            raise DeclarationError(here, "published_as", "names nothing", "Give the publisher's name or leave it out")

    def _check_formats(self, here: str) -> None:
        if self.formats is not None and (self.type not in _DEFAULT_FORMATS or not self.formats):
            raise DeclarationError(
                here, "formats", f"does not fit type {self.type!r}", "Give formats to date, timestamp or time only"
            )
        for format_ in self.accepted_formats:
            unknown = [part for part in directives(format_) if part[0] == "%" and part not in DIRECTIVES]
            if unknown:
                raise DeclarationError(
                    here, "formats", f"holds {unknown[0]}, which is not known", f"Use {' '.join(DIRECTIVES)}"
                )
            self._check_completeness(here, format_)
        if self.zone is not None:
            if self.type != "timestamp":
                raise DeclarationError(here, "zone", "is for timestamps", "Remove it")
            try:
                ZoneInfo(self.zone)
            except (ZoneInfoNotFoundError, ValueError) as error:
                raise DeclarationError(
                    here, "zone", f"{self.zone!r} is not an IANA zone", "Write one like 'Europe/Paris' or 'UTC'"
                ) from error
        mixed = [f for f in self.accepted_formats if "%z" in f]
        if self.type == "timestamp" and mixed and self.zone is None and len(mixed) < len(self.accepted_formats):
            raise DeclarationError(
                here, "formats", "are partly with an offset (%z) and partly without", "Declare the zone of the others"
            )

    def _check_completeness(self, here: str, format_: str) -> None:
        parts = set(directives(format_))
        day = bool(parts & {"%Y", "%y"}) and bool(parts & {"%m", "%-m", "%b", "%B"}) and bool(parts & {"%d", "%-d"})
        hour = bool(parts & {"%H", "%-H"}) or (bool(parts & {"%I", "%-I"}) and "%p" in parts)
        clock = bool(parts & {"%H", "%-H", "%I", "%-I", "%M", "%S", "%f", "%p", "%z"})
        sound = {"date": day and not clock, "time": hour and not day, "timestamp": day and (hour or not clock)}
        if not sound[self.type]:
            raise DeclarationError(
                here, "formats", f"{format_!r} does not describe a {self.type}", "Name every part of it exactly once"
            )

    def _check_numbers(self, here: str) -> None:
        if self.type == "decimal" and self.scale is None:
            raise DeclarationError(here, "scale", "is not declared", "Write the number of digits after the point")
        if self.type != "decimal" and (self.scale is not None or self.precision != MAX_DECIMAL_DIGITS):
            raise DeclarationError(here, "precision and scale", "are for decimals", "Remove them")
        if self.type == "decimal" and not 0 <= (self.scale or 0) <= self.precision <= MAX_DECIMAL_DIGITS:
            raise DeclarationError(
                here, "precision", "does not fit", f"Keep 0 <= scale <= precision <= {MAX_DECIMAL_DIGITS}"
            )
        if (self.minimum is not None or self.maximum is not None) and self.type not in _ORDERED:
            raise DeclarationError(
                here, "minimum and maximum", f"mean nothing for type {self.type!r}", "Use length, pattern or allowed"
            )
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:  # type: ignore[operator]
            raise DeclarationError(here, "minimum", "is above maximum", "Exchange them")

    def _check_text(self, here: str) -> None:
        if self.type != "text" and (self.length is not None or self.pattern is not None):
            raise DeclarationError(here, "length and pattern", "are for texts", "Use minimum, maximum or allowed")
        if self.length is not None and self.length < 1:
            raise DeclarationError(here, "length", "is below 1", "Give the largest number of characters")
        if self.allowed is not None:
            member = {"text": str, "integer": int}.get(self.type)
            if member is None or not self.allowed or any(type(value) is not member for value in self.allowed):
                raise DeclarationError(
                    here, "allowed", f"does not fit type {self.type!r}", "List texts for text, integers for integer"
                )
        if set(self.true) & set(self.false):
            raise DeclarationError(here, "true and false", "share a word", "Let each word mean one thing")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise DeclarationError(here, "pattern", f"is not a regular expression ({error})", "Mend it") from error

    def _check_reference(self, here: str) -> None:
        if self.parent is None:
            return
        if self.parent.column.count(".") != 2:  # noqa: PLR2004 -- schema.table.column
            raise DeclarationError(
                here, "references", f"{self.parent.column!r} is not a column", "Write schema.table.column"
            )
        if self.parent.missing not in get_args(OnMissing):
            raise DeclarationError(
                here, "references", f"missing={self.parent.missing!r} is unknown", "Write park, reject or report"
            )
        for part in self.parent.parts:
            _check_identifier(part, here, "references")


@dataclass(frozen=True)
class Schema:
    """The contract of one table.

    Attributes:
        columns: The table's columns, in order.
        key: Names of the columns that identify a row; they are required.
        ignored: Published names that are known and not wanted; any other unmapped name is drift.
        order_by: A required column that says which version of a key is newer, if the publisher has one.
        inputs: Columns that are published, keep their rules and are given to the transformer, and that the table does
            not have: those of a wide feed that is unpivoted, say.
    """

    columns: tuple[Column, ...]
    key: tuple[str, ...]
    ignored: tuple[str, ...] = ()
    order_by: str | None = None
    inputs: tuple[Column, ...] = ()
    _by_name: dict[str, Column] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._by_name.update({column.name: column for column in self.columns})

    def __getitem__(self, name: str) -> Column:
        """The column of that name."""
        return self._by_name[name]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def published(self) -> tuple[Column, ...]:
        """The columns that a delivery brings."""
        return (*(column for column in self.columns if not column.derived), *self.inputs)

    @property
    def derived(self) -> tuple[Column, ...]:
        """The columns that the transformer makes."""
        return tuple(column for column in self.columns if column.derived)

    @cached_property
    def rules(self) -> Mapping[str, str]:
        """Every rule of every column: its name, and what it asks in plain words."""
        return {name: words for column in (*self.columns, *self.inputs) for name, words in column.rules.items()}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the declaration; changes whenever a rule, a name or a type does."""
        return sha256(repr((self.columns, self.key, self.ignored, self.order_by, self.inputs)).encode()).hexdigest()

    def check(self, where: str) -> None:
        """Raise unless the declaration is sound.

        Args:
            where: What to call the owner in the error, e.g. ``source 'flights'``.

        Raises:
            DeclarationError: With the field and the remedy.
        """
        if not self.columns:
            raise DeclarationError(where, "columns", "is empty", "Declare at least one column")
        if len(self.columns) > MAX_COLUMNS:
            raise DeclarationError(where, "columns", f"are more than {MAX_COLUMNS}", "Put the rest in one json column")
        for column in (*self.columns, *self.inputs):
            column.check(where)
        self._check_inputs(where)
        taken = [name for column in self.published for name in column.published_names]
        _check_no_twins(taken, where, "published_as", "takes {!r} for two columns")
        _check_no_twins([*taken, *self.ignored], where, "ignored", "names {!r}, which a column takes or twice")
        if not self.key:
            raise DeclarationError(where, "key", "is empty", "Name the columns that identify a row")
        for name in (*self.key, *((self.order_by,) if self.order_by else ())):
            if name not in self._by_name:
                raise DeclarationError(where, "key or order_by", f"names {name!r}, no column", "Name declared columns")
            if not self[name].required:
                raise DeclarationError(
                    f"column {name!r} of {where}", "required", "is False", "A key or order column is required=True"
                )
            if self[name].type == "json":
                raise DeclarationError(f"column {name!r} of {where}", "type", "json cannot be a key", "Use text")
        _check_no_twins(self.key, where, "key", "names {!r} twice")

    def _check_inputs(self, where: str) -> None:
        for column in self.inputs:
            if column.derived or column.unique or column.parent is not None:
                raise DeclarationError(
                    f"column {column.name!r} of {where}", "inputs", "asks what only a table can tell", "Use other rules"
                )
        every = (*self.names, *(column.name for column in self.inputs))
        _check_no_twins(every, where, "columns", "declare the name {} twice")


def _check_identifier(name: str, where: str, field_: str) -> None:
    if not _IDENTIFIER.fullmatch(name) or len(name.encode()) > MAX_IDENTIFIER_BYTES:
        raise DeclarationError(
            where,
            field_,
            f"{name!r} cannot be a name in the database",
            f"Use lower-case letters, digits and underscores, at most {MAX_IDENTIFIER_BYTES}, and begin with no digit",
        )


def _check_no_twins(names: tuple[str, ...] | list[str], where: str, field_: str, problem: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DeclarationError(where, field_, problem.format(name), "Let each name mean one thing")
        seen.add(name)


def _article(type_: str) -> str:
    return ("an " if type_[0] in "aeiou" else "a ") + type_
