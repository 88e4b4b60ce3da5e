"""Rewrites delimited text of any layout in the plain layout, which the scan and the parser read.

Text is in the plain layout if its delimiter is one byte, its lines end with LF or CRLF, and it has no escape character.
All other text is rewritten, piece by piece:

* A delimiter of several characters becomes a *separator*: one ASCII byte.
* What would be misread becomes a *code*: a *mark*, which is another ASCII byte, and a letter. These are the escape
  sequences, and LF where lines end with CR.
* Mark and separator are bytes that the piece does not contain. If it contains every candidate, those that are taken
  become codes too, so that no text is ambiguous.

The position of each byte in the original is known; so the bytes and the places of records are those of the original.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, reduce
from itertools import islice
from operator import or_
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from etl_assets.extract.formats.bits import rank, words
from etl_assets.extract.formats.csv.records import Layout

if TYPE_CHECKING:
    from etl_assets.extract.formats.bits import Positions, Words

_CANDIDATES: Final = bytes((*range(1, 9), *range(14, 32), 127))
"""Control characters that text does not have, as a rule."""
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


@dataclass(frozen=True)
class Rewriting:
    """The replacements that make text plain, in their order, each over all of it.

    Attributes:
        signs: For bytes of the original that are mark or separator.
        escapes: For escape sequences; each is written in as many bytes as it has.
        structure: For line ends and delimiters.
        literals: How a quote, a delimiter and a line feed are written that are part of a value and nothing else.
    """

    signs: tuple[Step, ...]
    escapes: tuple[Step, ...]
    structure: tuple[Step, ...]
    literals: tuple[Step, ...]

    def apply(self, data: bytes) -> bytes:
        """Return the text in the plain layout."""
        for step in self.signs:
            data = data.replace(step.original, step.written)
        data = _with_codes(data, self.escapes)
        for step in self.structure:
            data = data.replace(step.original, step.written)
        return data

    @cached_property
    def meanings(self) -> dict[str, str]:
        """What values contain instead of what is published."""
        steps = (*self.signs, *self.escapes, *self.structure, *self.literals)
        return {step.written.decode(): step.meaning.decode() for step in steps}

    @cached_property
    def moving(self) -> tuple[Step, ...]:
        """The replacements by which the bytes after them move."""
        return tuple(step for step in (*self.signs, *self.structure) if len(step.original) != len(step.written))


@dataclass(frozen=True)
class PlainText:
    """A piece of delimited text in the plain layout.

    Attributes:
        data: The text; it ends with a line feed if it is the final piece.
        size: The number of its bytes, without a line feed that was added at the end.
        layout: The plain layout.
        rewriting: How it was rewritten; None if the original is in the plain layout.
    """

    data: bytes
    size: int
    layout: Layout
    rewriting: Rewriting | None = None

    def upto(self, end: int) -> PlainText:
        """Return the text that ends before a position."""
        return self if end >= len(self.data) else replace(self, data=self.data[:end], size=min(self.size, end))

    def origins(self, positions: Positions) -> Positions:
        """Return the positions in the original that belong to positions in the text."""
        original = positions
        for shift, bits, before in self._moves:
            original = original + shift * rank(bits, before, positions)
        return original

    def origin(self, position: int) -> int:
        """Return the position in the original that belongs to a position in the text."""
        return int(self.origins(np.array([position], np.int64))[0])

    def rewritten(self, value: str) -> str:
        """Return how the text writes the characters of a value that are published as they are."""
        return self.rewriting.apply(value.encode()).decode() if self.rewriting else value

    def literal(self, data: bytes) -> bytes:
        """Return how the text writes a value all of whose quotes, delimiters and line feeds are part of it."""
        for step in self.rewriting.literals if self.rewriting else ():
            data = data.replace(step.original, step.written)
        return data

    def meaning(self, value: str) -> str:
        """Return the value that is published by what the text has for it."""
        if self.rewriting is None:
            return value
        meanings = self.rewriting.meanings
        return re.sub("|".join(map(re.escape, meanings)), lambda found: meanings[found[0]], value)

    def meanings(self, frame: pl.DataFrame, body: bytes) -> pl.DataFrame:
        """Return a frame of values that the text has, as they are published.

        Args:
            frame: The values.
            body: The lines from which they were parsed.
        """
        if self.rewriting is None or not self._has_signs_in_values(body, *frame.shape):
            return frame
        meanings = self.rewriting.meanings
        signs = {written[0] for written in meanings}
        values = pl.col(pl.String)
        found = frame.select(reduce(or_, (values.str.contains(sign, literal=True) for sign in signs)))
        columns = []
        for name in found.columns:
            places = found.get_column(name).arg_true()
            if len(places):
                column = frame.get_column(name)
                columns.append(column.scatter(places, column.gather(places).str.replace_many(meanings)))
        return frame.with_columns(columns)

    def _has_signs_in_values(self, body: bytes, height: int, width: int) -> bool:
        """Return whether lines have more signs than those between values."""
        between = {b"\n": height, self.layout.delimiter: height * (width - 1)}
        codes = np.frombuffer(body, np.uint8)
        signs = {written[:1].encode() for written in self.rewriting.meanings} if self.rewriting else set()
        return any(np.count_nonzero(codes == sign[0]) > between.get(sign, 0) for sign in signs)

    @cached_property
    def _moves(self) -> tuple[tuple[int, Words, Positions], ...]:
        """How far each kind of replacement shifts what follows, where they begin, and how many before each word."""
        codes = np.frombuffer(self.data, np.uint8)
        moves = []
        for step in self.rewriting.moving if self.rewriting else ():
            if step.written[:1] in self.data:
                begins = codes == step.written[0]
                for ahead in range(1, len(step.written)):
                    begins[:-ahead] &= codes[ahead:] == step.written[ahead]
                bits = np.append(words(begins), np.uint64(0))
                before = np.concatenate((np.zeros(1, np.int64), np.cumsum(np.bitwise_count(bits), dtype=np.int64)))
                moves.append((len(step.original) - len(step.written), bits, before))
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
        return PlainText(_ended(data) if final else data, len(data), layout)
    taken = layout.delimiter + layout.quote + layout.comment + layout.escape
    free = [byte for byte in (bytes((code,)) for code in _CANDIDATES) if byte not in taken]
    absent = list(islice((byte for byte in free if byte not in data), 2))
    mark, separator = [*absent, *(byte for byte in free if byte not in absent)][:2]
    rewriting = _rewriting(layout, mark, separator)
    data = rewriting.apply(data)
    plain = Layout(separator if len(layout.delimiter) > 1 else layout.delimiter, layout.quote, layout.comment)
    return PlainText(_ended(data) if final else data, len(data), plain, rewriting)


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
            for escaped in (b"\r\n", b"\n", b"\r", *characters)
        ]
    if layout.line_end == b"\r":
        structure += [Step(b"\n", mark + next(letters), b"\n"), Step(b"\r", b"\n", b"\r")]
    if len(layout.delimiter) > 1:
        structure.append(Step(layout.delimiter, separator, layout.delimiter))
    literals = [Step(delimiter, mark + next(letters), layout.delimiter), Step(b"\n", mark + next(letters), b"\n")]
    if layout.quote:
        literals.append(Step(layout.quote, mark + next(letters), layout.quote))
    return Rewriting(tuple(signs), tuple(escapes), tuple(structure), tuple(literals))


def _with_codes(data: bytes, escapes: tuple[Step, ...]) -> bytes:
    """Return text with codes for its escape sequences: of several escape characters, each second one is escaped."""
    if not escapes or escapes[0].original[:1] not in data:
        return data
    codes = np.frombuffer(data, np.uint8).copy()
    at = np.flatnonzero(codes == escapes[0].original[0])
    order = np.arange(len(at))
    begins = np.concatenate((np.ones(1, bool), at[1:] != at[:-1] + 1))
    at = at[(order - np.maximum.accumulate(np.where(begins, order, 0))) % 2 == 0]
    for step in escapes:
        found = at[at + len(step.original) <= len(codes)]
        for ahead in range(1, len(step.original)):
            found = found[codes[found + ahead] == step.original[ahead]]
        for ahead, code in enumerate(step.written):
            codes[found + ahead] = code
    return codes.tobytes()


def _ended(data: bytes) -> bytes:
    """Return the bytes with a line feed at their end."""
    return data if not data or data.endswith(b"\n") else data + b"\n"
