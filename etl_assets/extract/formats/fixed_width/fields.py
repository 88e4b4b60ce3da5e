"""What is declared of a record with columns by position: fields, filler, and the kinds of records in a file.

Positions count characters from 1, as publishers' documents do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from etl_assets.errors import DeclarationError
from etl_assets.model.declaration import Declaration


@dataclass(frozen=True)
class Field(Declaration):
    """A column by its position.

    Attributes:
        name: The published name.
        start: Its first position, from 1.
        end: Its last position. Write either this or ``length``.
        length: Its number of characters.
        strip: On which side the blanks that fill the field up are removed; None to keep them.
    """

    name: str
    start: int
    end: int | None = None
    length: int | None = None
    strip: Literal["both", "left", "right"] | None = "both"

    def __post_init__(self) -> None:
        _check_place(f"field {self.name!r}", self.start, self.end, self.length)
        if not self.name:
            raise DeclarationError("field ''", "name", "is empty", "Write a name, or Filler for positions without one")

    @property
    def last(self) -> int:
        """Its last position."""
        return _last(self.start, self.end, self.length)


@dataclass(frozen=True)
class Filler(Declaration):
    """Positions that are not published. Only those that are checked, or that end the record, must be declared.

    Attributes:
        start: The first position, from 1.
        end: The last position. Write either this or ``length``.
        length: The number of characters.
        blank: Whether a record with anything but blanks there is malformed.
    """

    start: int
    end: int | None = None
    length: int | None = None
    blank: bool = False

    def __post_init__(self) -> None:
        _check_place("filler", self.start, self.end, self.length)

    @property
    def name(self) -> str:
        """How errors name it."""
        return f"filler at {self.start}"

    @property
    def last(self) -> int:
        """The last position."""
        return _last(self.start, self.end, self.length)


@dataclass(frozen=True)
class RecordCode(Declaration):
    """The code that distinguishes the kinds of lines in a file.

    Attributes:
        start: Its first position, from 1.
        end: Its last position. Write either this or ``length``.
        length: Its number of characters.
        records: The codes of the records to read; None for every code that nothing else declares.
        skipped: The codes of other lines, which are no records of this source; they are counted.
    """

    start: int
    end: int | None = None
    length: int | None = None
    records: tuple[str, ...] | None = None
    skipped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_place("record code", self.start, self.end, self.length)
        if self.records == ():
            remedy = "Write the codes of the records, or None for every code that nothing else declares"
            raise DeclarationError("record code", "records", "is empty", remedy)

    @property
    def last(self) -> int:
        """Its last position."""
        return _last(self.start, self.end, self.length)

    @property
    def width(self) -> int:
        """Its number of characters."""
        return self.last - self.start + 1


@dataclass(frozen=True)
class HeaderRecord(Declaration):
    """The first line of a file. Its fields become columns of every record of the file.

    Attributes:
        code: Its record code.
        fields: The fields to publish.
    """

    code: str
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True)
class TrailerRecord(Declaration):
    """The last line of a file. A file without it is refused, because it was cut.

    Attributes:
        code: Its record code.
        count: Where it has the number of lines, which must agree; None if it has none.
        includes: The lines that this number counts besides all lines between header and trailer.
    """

    code: str
    count: Field | None = None
    includes: tuple[Literal["header", "trailer"], ...] = ()


def _check_place(where: str, start: int, end: int | None, length: int | None) -> None:
    if start < 1:
        raise DeclarationError(where, "start", f"is {start}", "Count positions from 1")
    if (end is None) == (length is None):
        raise DeclarationError(where, "length", "and end are both given or both missing", "Write one of them")
    if length is not None and length < 1:
        raise DeclarationError(where, "length", f"is {length}", "Write the number of characters, 1 or more")
    if end is not None and end < start:
        raise DeclarationError(where, "end", f"is {end}, before its start {start}", "Write the last position")


def _last(start: int, end: int | None, length: int | None) -> int:
    return end if end is not None else start + (length or 0) - 1
