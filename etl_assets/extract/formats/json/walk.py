"""Walks through a document to the records at a path, in order; from its start, or from any record on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from etl_assets.extract.formats.json.cursor import END
from etl_assets.model.text import names_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.errors import DeliveryError
    from etl_assets.extract.formats.json.cursor import Cursor
    from etl_assets.extract.formats.json.path import Path

WHOLE: Final = -1
"""The index of a record that is all there is at the path."""
_MOST_NAMED: Final = 50
_OBJECT: Final = b"{}"
_ARRAY: Final = b"[]"
_NULL: Final = b"n"
"""How null begins."""
_KINDS: Final = {b"{": "an object", b"[": "an array", b'"': "a text", b"n": "null", b"t": "true", b"f": "false"}


class Found(NamedTuple):
    """A record in a document.

    Attributes:
        offset: Of its first byte.
        data: Its bytes; with its key, if the records are members of an object.
        outer: The index in each array on the way to the array or object that it is in.
        place: The index in that array or object; `WHOLE` if it is not in one.
    """

    offset: int
    data: bytes
    outer: tuple[int, ...]
    place: int


class Walk:
    """The way through one document.

    Args:
        cursor: At the document's start, or at a record.
        path: To the records.
        missing_ok: Whether a document may lack the path; what is null there has no records.

    Attributes:
        skipped: Number of values so far that lack what is next on the path, so that they have no records.
    """

    def __init__(self, cursor: Cursor, path: Path, *, missing_ok: bool) -> None:
        self.skipped = 0
        self._cursor = cursor
        self._path = path
        self._missing_ok = missing_ok
        self._outer: list[int] = []
        self._reached = False
        self._lacking: DeliveryError | None = None

    def records(self) -> Iterator[Found]:
        """Yield the records of a document, and refuse it unless it is valid JSON up to its end."""
        if self._cursor.next() == END:
            raise self._cursor.refused("has no JSON value", "Check the feed")
        yield from self._value(0)
        self._cursor.finish()
        if self._lacking and not self._reached and not self._missing_ok:
            raise self._lacking

    def records_from(self, outer: tuple[int, ...], index: int) -> Iterator[Found]:
        """Yield the records from one on, at which the cursor is; see `Found` for the arguments."""
        self._outer = list(outer)
        yield from self._resumed(0, index)

    def _value(self, level: int) -> Iterator[Found]:
        """Yield the records of the value that is next, after so many steps of the path."""
        if self._missing_ok and self._cursor.next() == _NULL:
            self._cursor.skip()
            self.skipped += 1
        elif level == len(self._path.steps):
            yield from self._records()
        elif self._path.steps[level] is not None:
            yield from self._member(level, inside=self._enter(_OBJECT, level))
        else:
            inside = self._enter(_ARRAY, level)
            self._outer.append(0)
            yield from self._elements(level, inside=inside)

    def _resumed(self, level: int, index: int) -> Iterator[Found]:
        """Yield the same records from one on, at which the cursor is."""
        if level == len(self._path.steps):
            yield from self._one_by_one(index)
            return
        yield from self._resumed(level + 1, index)
        if self._path.steps[level] is not None:
            yield from self._member(level, inside=self._cursor.follows(_OBJECT[1:]), passed=True)
        else:
            self._outer[-1] += 1
            yield from self._elements(level, inside=self._cursor.follows(_ARRAY[1:]))

    def _elements(self, level: int, *, inside: bool) -> Iterator[Found]:
        """Yield the records of the elements of an array, from the current one on."""
        while inside:
            yield from self._value(level + 1)
            inside = self._cursor.follows(_ARRAY[1:])
            self._outer[-1] += 1
        self._outer.pop()

    def _member(self, level: int, *, inside: bool, passed: bool = False) -> Iterator[Found]:
        """Yield the records of the member of an object that the path names; pass the other members."""
        wanted = self._path.steps[level]
        others: list[str] = []
        while inside:
            key = self._cursor.key()
            if key != wanted:
                others += [key] if len(others) < _MOST_NAMED else []
                self._cursor.skip()
            elif passed:
                place = self._path.place(tuple(self._outer), level + 1)
                raise self._cursor.refused(f"has {place} twice", "Have the publisher write each key once")
            else:
                passed = True
                yield from self._value(level + 1)
            inside = self._cursor.follows(_OBJECT[1:])
        if not passed:
            self._lack(level, others)

    def _records(self) -> Iterator[Found]:
        """Yield the records of the value at the end of the path."""
        self._reached = True
        if self._path.members:
            if self._enter(_OBJECT, len(self._path.steps)):
                yield from self._one_by_one(0)
        elif self._path.elements or self._cursor.next() == _ARRAY[:1]:
            if self._enter(_ARRAY, len(self._path.steps)):
                yield from self._one_by_one(0)
        else:
            yield from self._one_by_one(WHOLE)

    def _one_by_one(self, index: int) -> Iterator[Found]:
        """Yield the records of an array, or of an object's members, from the current one on; or the one record."""
        outer = tuple(self._outer)
        if index == WHOLE:
            yield Found(*self._cursor.value(), outer, WHOLE)
            return
        records = self._cursor.members() if self._path.members else self._cursor.elements()
        for place, (offset, data) in enumerate(records, start=index):
            yield Found(offset, data, outer, place)

    def _enter(self, brackets: bytes, level: int) -> bool:
        """Enter an object or array; refuse a document that has something else there."""
        first = self._cursor.next()
        if first != brackets[:1] and first != END:
            place = self._path.place(tuple(self._outer), level)
            problem = (
                f"has {_KINDS.get(first, 'a number')} at {place}, where the declared path needs {_KINDS[brackets[:1]]}"
            )
            raise self._cursor.refused(problem, "Declare with records= where the records are")
        return self._cursor.enter(brackets)

    def _lack(self, level: int, names: list[str]) -> None:
        """Count an object that lacks the next name of the path; if all do, the document is refused."""
        self.skipped += 1
        if self._lacking is None:
            place = self._path.place(tuple(self._outer), level)
            there = f"whose keys are {names_text(names)}" if names else "which has no keys"
            problem = f"lacks {self._path.steps[level]!r} at {place}, {there}"
            remedy = "Declare with records= where the records are, or missing_ok=True if it may have none"
            self._lacking = self._cursor.refused(problem, remedy)
