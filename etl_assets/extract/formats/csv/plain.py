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
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from etl_assets.extract.formats.csv.records import Layout

if TYPE_CHECKING:
    from etl_assets.extract.formats.csv.bits import Positions

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
class PlainText:
    """A piece of delimited text in the plain layout.

    Attributes:
        data: The text; it ends with a line feed if it is the final piece.
        size: The number of its bytes, without a line feed that was added at the end.
        layout: The plain layout.
        steps: How it was rewritten; none if the original is in the plain layout.
        literals: How a quote and a delimiter are written that are part of a value and nothing else.
    """

    data: bytes
    size: int
    layout: Layout
    steps: tuple[Step, ...] = ()
    literals: tuple[Step, ...] = ()

    def upto(self, end: int) -> PlainText:
        """Return the text that ends before a position."""
        return self if end >= len(self.data) else replace(self, data=self.data[:end], size=min(self.size, end))

    def origins(self, positions: Positions) -> Positions:
        """Return the positions in the original that belong to positions in the text, ascending or not."""
        if not len(self._moves[0]):
            return positions
        ends, shifts = self._moves
        original: Positions = positions + shifts[np.searchsorted(ends, positions, side="right")]
        return original

    def origin(self, position: int) -> int:
        """Return the position in the original that belongs to a position in the text."""
        return int(self.origins(np.array([position], np.int64))[0])

    def rewritten(self, value: str) -> str:
        """Return how the text writes the characters of a value that are published as they are."""
        data = value.encode()
        for step in self.steps:
            data = data.replace(step.original, step.written)
        return data.decode()

    def literal(self, data: bytes) -> bytes:
        """Return how the text writes a value all of whose quotes and delimiters are part of it."""
        for step in self.literals:
            data = data.replace(step.original, step.written)
        return data

    def meaning(self, value: str) -> str:
        """Return the value that is published by what the text has for it."""
        if not self._meanings:
            return value
        return re.sub("|".join(map(re.escape, self._meanings)), lambda found: self._meanings[found[0]], value)

    def meanings(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return a frame of values that the text has, as they are published."""
        if not self._meanings or frame.is_empty():
            return frame
        signs = list({written[0] for written in self._meanings})
        found = frame.select(pl.col(pl.String).str.contains_any(signs).any())
        columns = [name for name in found.columns if found[name].item()]
        return frame.with_columns(pl.col(columns).str.replace_many(self._meanings)) if columns else frame

    @cached_property
    def _meanings(self) -> dict[str, str]:
        """What values contain instead of what is published."""
        steps = (*self.steps, *self.literals)
        return {step.written.decode(): step.meaning.decode() for step in steps}

    @cached_property
    def _moves(self) -> tuple[Positions, Positions]:
        """Where replacements of another length end, and how far the original is shifted before and after each."""
        codes = np.frombuffer(self.data, np.uint8)
        ends, shifts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for step in self.steps:
            length = len(step.written)
            if len(step.original) == length or step.written not in self.data:
                continue
            at = np.flatnonzero(codes[: len(codes) - length + 1] == step.written[0])
            if length > 1:
                at = at[codes[at + 1] == step.written[1]]
            ends.append(at + length)
            shifts.append(np.full(len(at), len(step.original) - length))
        order = np.argsort(np.concatenate(ends), kind="stable")
        total = np.concatenate((np.zeros(1, np.int64), np.cumsum(np.concatenate(shifts)[order])))
        return np.concatenate(ends)[order], total


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
    mark, separator = sorted(free, key=data.__contains__)[:2]
    steps, literals = _steps(layout, mark, separator)
    for step in steps:
        data = data.replace(step.original, step.written)
    delimiter = separator if len(layout.delimiter) > 1 else layout.delimiter
    plain = Layout(delimiter, layout.quote, layout.comment)
    return PlainText(_ended(data) if final else data, len(data), plain, steps, literals)


@lru_cache
def _steps(layout: Layout, mark: bytes, separator: bytes) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """Return the replacements of the rewriting, in their order, and those of literals."""
    long = len(layout.delimiter) > 1
    taken = layout.delimiter + layout.quote + layout.escape
    codes = (mark + bytes((letter,)) for letter in _LETTERS if letter not in taken)
    steps = [Step(mark, next(codes), mark)]
    if long:
        steps.append(Step(separator, next(codes), separator))
    if layout.escape:
        characters = [bytes((code,)) for code in dict.fromkeys(layout.escape + layout.quote + layout.delimiter)]
        steps += [Step(layout.escape + end, next(codes), end) for end in (*characters, b"\r\n", b"\n", b"\r")]
    if layout.line_end == b"\r":
        steps += [Step(b"\n", next(codes), b"\n"), Step(b"\r", b"\n", b"\r")]
    if long:
        steps.append(Step(layout.delimiter, separator, layout.delimiter))
    literals = [Step(separator if long else layout.delimiter, next(codes), layout.delimiter)]
    if layout.quote:
        literals.append(Step(layout.quote, next(codes), layout.quote))
    return tuple(steps), tuple(literals)


def _ended(data: bytes) -> bytes:
    """Return the bytes with a line feed at their end."""
    return data if not data or data.endswith(b"\n") else data + b"\n"
