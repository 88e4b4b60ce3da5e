"""Rewrites delimited text of any layout in the plain layout, which the scan and the parser read.

Text is in the plain layout if its delimiter is one byte, it has no escape character, and no field contains delimiters
without quotes. All other text is rewritten, piece by piece:

* A delimiter of several characters becomes a *separator*: one ASCII byte.
* What would be misread becomes a *code*: a *mark*, which is another ASCII byte, and a letter. These are the escape
  sequences.
* Mark and separator are bytes that the piece does not contain. If it contains every candidate, those that are taken
  become codes too, so that no text is ambiguous.

The position of each byte in the original is known; so the bytes and the places of records are those of the original.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from etl_assets.extract.formats.bits import CountedBits, find_all, positions_of, words
from etl_assets.extract.formats.csv.records import Layout

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from etl_assets.extract.formats.bits import Positions, Words

_CANDIDATES: Final = bytes((*range(1, 9), *range(14, 32), 127))
"""Control characters that text does not have, as a rule."""
_LINE_ENDS: Final = (b"\r\n", b"\n", b"\r")
_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Step:
    """One replacement of the rewriting.

    Attributes:
        original: The bytes that are replaced.
        written: The bytes that replace them.
        meaning: What they mean in a value.
    """

    original: bytes
    written: bytes
    meaning: bytes


class Coded(NamedTuple):
    """Text with codes for its escape sequences.

    Attributes:
        data: The text.
        marks: Where the codes begin.
        hides_line_ends: Whether a code stands for a line end.
    """

    data: bytes
    marks: Positions
    hides_line_ends: bool


@dataclass(frozen=True)
class Rewriting:
    """The replacements that make text plain, in their order, each over all of it.

    Attributes:
        signs: For bytes of the original that are mark or separator.
        escapes: For escape sequences; each is written in as many bytes as it has.
        structure: For delimiters.
        literals: How a quote, a delimiter and a line end are written that are part of a value and nothing else.
    """

    signs: tuple[Step, ...]
    escapes: tuple[Step, ...]
    structure: tuple[Step, ...]
    literals: tuple[Step, ...]

    def apply(self, data: bytes) -> Coded:
        """Return the text in the plain layout; the marks are right if no bytes are moving."""
        for step in self.signs:
            data = data.replace(step.original, step.written)
        coded = _with_codes(data, self.escapes)
        data = coded.data
        for step in self.structure:
            data = data.replace(step.original, step.written)
        return coded._replace(data=data)

    @cached_property
    def meanings(self) -> dict[str, str]:
        """What values contain instead of what is published."""
        steps = (*self.signs, *self.escapes, *self.structure, *self.literals)
        return {step.written.decode(): step.meaning.decode() for step in steps}

    @property
    def mark(self) -> bytes:
        """The byte that begins each code."""
        return self.signs[0].original

    def moving(self, data: bytes) -> tuple[Step, ...]:
        """Return the replacements by which bytes of a text move."""
        steps = (*self.signs, *self.structure)
        return tuple(step for step in steps if len(step.original) != len(step.written) and step.original in data)


@dataclass(frozen=True)
class PlainText:
    """A piece of delimited text in the plain layout.

    Attributes:
        data: The text; it ends with a line end if it is the final piece.
        size: The number of its bytes, without a line end that was added at the end.
        layout: The plain layout.
        rewriting: How it was rewritten; None if the original is in the plain layout.
        moving: The replacements by which bytes moved.
        marks: Where the codes begin; None if that is not known, for bytes moved.
        hides_line_ends: Whether a code stands for a line end.
    """

    data: bytes
    size: int
    layout: Layout
    rewriting: Rewriting | None = None
    moving: tuple[Step, ...] = ()
    marks: Positions | None = None
    hides_line_ends: bool = False

    def upto(self, end: int) -> PlainText:
        """Return the text that ends before a position."""
        return self if end >= len(self.data) else replace(self, data=self.data[:end], size=min(self.size, end))

    def origins(self, positions: Positions) -> Positions:
        """Return the positions in the original that belong to positions in the text."""
        original = positions
        for shift, begins in self._moves:
            original = original + shift * begins.upto(positions)
        return original

    def origin(self, position: int) -> int:
        """Return the position in the original that belongs to a position in the text."""
        return int(self.origins(np.array([position], np.int64))[0])

    def rewritten(self, value: str) -> str:
        """Return how the text writes the characters of a value that are published as they are."""
        return self.rewriting.apply(value.encode()).data.decode() if self.rewriting else value

    def literal(self, data: bytes) -> bytes:
        """Return how the text writes a value all of whose quotes, delimiters and line ends are part of it."""
        for step in self.rewriting.literals if self.rewriting else ():
            data = data.replace(step.original, step.written)
        return data

    def meaning(self, value: str) -> str:
        """Return the value that is published by what the text has for it."""
        if self.rewriting is None:
            return value
        meanings = self.rewriting.meanings
        return re.sub("|".join(map(re.escape, meanings)), lambda found: meanings[found[0]], value)

    def meanings(self, frame: pl.DataFrame, rows: Mapping[str, Positions]) -> pl.DataFrame:
        """Return a frame of values that the text has, as they are published.

        Args:
            frame: The values.
            rows: For each column with signs in its values, the positions of at least these values.
        """
        if self.rewriting is None or not rows:
            return frame
        columns = []
        for name, places in rows.items():
            values = frame.get_column(name)
            columns.append(values.scatter(places, values.gather(places).str.replace_many(self.rewriting.meanings)))
        return frame.with_columns(columns)

    def signs(self, quoted: Words | None) -> Positions:
        """Return the positions, ascending, of all marks, and of separators in quotes.

        Args:
            quoted: Which bytes are delimiters in quotes; see `Delimiters`.
        """
        if self.rewriting is None:
            return np.zeros(0, np.int64)
        marks = self.marks
        if marks is None:
            marks = find_all(np.frombuffer(self.data, np.uint8), self.rewriting.mark[0])
        if not self.rewriting.structure or quoted is None:
            return marks
        return np.sort(np.concatenate((marks, positions_of(quoted))))

    @cached_property
    def _moves(self) -> tuple[tuple[int, CountedBits], ...]:
        """How far each kind of replacement shifts what follows, and where they begin."""
        codes = np.frombuffer(self.data, np.uint8)
        moves = []
        for step in self.moving:
            begins = codes == step.written[0]
            for ahead in range(1, len(step.written)):
                begins[:-ahead] &= codes[ahead:] == step.written[ahead]
            moves.append((len(step.original) - len(step.written), CountedBits.of(words(begins))))
        return tuple(moves)


def plain_text(data: bytes, layout: Layout, *, final: bool) -> PlainText:
    """Rewrite a piece of text that begins with a record.

    Args:
        data: The bytes.
        layout: How they are written.
        final: Whether the text ends with them; its last line then has a line end afterwards.

    Returns:
        The same records in the plain layout, whichever bytes follow the piece.
    """
    if layout.is_plain:
        return PlainText(_ended(data, layout) if final else data, len(data), layout)
    taken = layout.delimiter + layout.quote + layout.comment + layout.escape
    free = [byte for byte in (bytes((code,)) for code in _CANDIDATES) if byte not in taken]
    absent = list(islice((byte for byte in free if byte not in data), 2))
    mark, separator = [*absent, *(byte for byte in free if byte not in absent)][:2]
    rewriting = _rewriting(layout, mark, separator)
    moving = rewriting.moving(data)
    data, marks, hides_line_ends = rewriting.apply(data)
    delimiter = separator if len(layout.delimiter) > 1 else layout.delimiter
    plain = Layout(delimiter, layout.quote, layout.comment, line_end=layout.line_end)
    text = _ended(data, layout) if final else data
    return PlainText(text, len(data), plain, rewriting, moving, None if moving else marks, hides_line_ends)


@lru_cache
def _rewriting(layout: Layout, mark: bytes, separator: bytes) -> Rewriting:
    """Return the replacements for a layout."""
    taken = layout.delimiter + layout.quote + layout.escape
    letters = (bytes((letter,)) for letter in _LETTERS if letter not in taken)
    signs = [Step(mark, mark + next(letters), mark)]
    escapes: list[Step] = []
    structure: list[Step] = []
    delimiter = layout.delimiter
    if len(delimiter) > 1:
        signs.append(Step(separator, mark + next(letters), separator))
        delimiter = separator
    if layout.escape:
        characters = [bytes((code,)) for code in dict.fromkeys(layout.escape + layout.quote + layout.delimiter)]
        escapes = [
            Step(layout.escape + escaped, mark + next(letters) * len(escaped), escaped)
            for escaped in (*_LINE_ENDS, *characters)
        ]
    if len(layout.delimiter) > 1:
        structure.append(Step(layout.delimiter, separator, layout.delimiter))
    meanings = {delimiter: layout.delimiter, layout.line_end: layout.line_end, layout.quote: layout.quote}
    literals = [Step(written, mark + next(letters), meaning) for written, meaning in meanings.items() if written]
    return Rewriting(tuple(signs), tuple(escapes), tuple(structure), tuple(literals))


def _with_codes(data: bytes, escapes: tuple[Step, ...]) -> Coded:
    """Return text with codes for its escape sequences: of several escape characters, each second one is escaped."""
    if not escapes or escapes[0].original[:1] not in data:
        return Coded(data, np.zeros(0, np.int64), hides_line_ends=False)
    codes = np.frombuffer(data, np.uint8).copy()
    at = find_all(codes, escapes[0].original[0])
    order = np.arange(len(at))
    begins = np.concatenate((np.ones(1, bool), at[1:] != at[:-1] + 1))
    at = at[(order - np.maximum.accumulate(np.where(begins, order, 0))) % 2 == 0]
    hides_line_ends = False
    for step in escapes:
        found = at[at + len(step.original) <= len(codes)]
        for ahead in range(1, len(step.original)):
            found = found[codes[found + ahead] == step.original[ahead]]
        for ahead, code in enumerate(step.written):
            codes[found + ahead] = code
        hides_line_ends |= len(found) > 0 and step.original[1:] in _LINE_ENDS
    return Coded(codes.tobytes(), at[codes[at] == escapes[0].written[0]], hides_line_ends)


def _ended(data: bytes, layout: Layout) -> bytes:
    """Return the bytes with a line end after them."""
    return data if not data or data.endswith(layout.line_end) else data + layout.line_end
