r"""Declared patterns in the regular expressions of Postgres.

The engine keeps patterns with Rust's syntax, where ``.`` leaves out the line end and ``\d`` means the digits of all
scripts; in Postgres both depend on other things. So the shape of a pattern is carried over sign by sign, and every sign
that stands for a set of characters is spelt out: the engine is asked which characters it stands for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import polars as pl
from polars.exceptions import PolarsError

_LAST: Final = 0x10FFFF
_SURROGATES: Final = range(0xD800, 0xE000)
_MOST_REPEATS: Final = 255
"""Of Postgres: a larger bound is not a regular expression there."""
_ENDS: Final = {"^": "^", "$": "$", r"\A": r"\A", r"\z": r"\Z"}
_GROUP: Final = re.compile(r"\((?:\?P?<\w+>|\?(?P<flags>[is]*(?:-[is]+)?)(?P<closed>[:)]))?")
_REPEAT: Final = re.compile(r"(?:[*+?]|\{(?P<least>[0-9]+)(?:,(?P<most>[0-9]*))?\})(?P<lazy>\??)")
_ESCAPE: Final = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[^0-9bBpPxuU])", re.DOTALL)


def to_postgres(pattern: str) -> str | None:
    """A regular expression for ``~`` that is true of exactly the texts which a declared pattern matches as a whole.

    Args:
        pattern: That Rust and Python both take, as every declared one is.

    Returns:
        None where Postgres has no equal: word boundaries, flags other than ``i`` and ``s``, more than 255 repeats.
    """
    try:
        return f"^(?:{_Translation(pattern).made()})$"
    except _NoEqualError:
        return None


class _NoEqualError(Exception):
    """A part of a pattern cannot be said in Postgres."""


@dataclass
class _Translation:
    """One pattern on its way.

    Attributes:
        pattern: As declared.
        at: How far it has been read.
        flags: Those that hold here, and those to go back to when each open group ends.
        repeatable: Whether a quantifier may follow.
    """

    pattern: str
    at: int = 0
    flags: list[frozenset[str]] = field(default_factory=lambda: [frozenset()])
    repeatable: bool = False

    def made(self) -> str:
        parts = []
        while self.at < len(self.pattern):
            parts.append(self._next())
        return "".join(parts)

    def _next(self) -> str:
        sign = self.pattern[self.at]
        if sign == "(":
            return self._opened()
        if sign in ")|":
            self.at += 1
            if sign == ")":
                self.flags.pop()
            self.repeatable = sign == ")"
            return sign
        if (repeat := _REPEAT.match(self.pattern, self.at)) is not None:
            return self._repeated(repeat)
        end = sign if sign != "\\" else self.pattern[self.at : self.at + 2]
        if end in _ENDS:
            self.at += len(end)
            self.repeatable = False
            return _ENDS[end]
        return self._characters()

    def _opened(self) -> str:
        match = _GROUP.match(self.pattern, self.at)
        if match is None or (match["flags"] is None and self.pattern.startswith("(?", self.at) and "<" not in match[0]):
            raise _NoEqualError
        self.at = match.end()
        self.repeatable = False
        on, _, off = (match["flags"] or "").partition("-")
        flags = (self.flags[-1] | set(on)) - set(off)
        if match["closed"] == ")":
            self.flags[-1] = flags
            return ""
        self.flags.append(flags)
        return "(?:"

    def _repeated(self, match: re.Match[str]) -> str:
        bounds = [int(bound) for bound in (match["least"], match["most"]) if bound]
        if not self.repeatable or any(bound > _MOST_REPEATS for bound in bounds):
            raise _NoEqualError
        self.at = match.end()
        self.repeatable = False
        return match[0].removesuffix("?") if match["lazy"] else match[0]

    def _characters(self) -> str:
        sign = self.pattern[self.at]
        if sign == "[":
            sign = self.pattern[self.at : _end_of_class(self.pattern, self.at)]
        elif sign == "\\":
            escape = _ESCAPE.match(self.pattern, self.at)
            if escape is None:
                raise _NoEqualError
            sign = escape[0]
        elif sign == "{":
            raise _NoEqualError
        self.at += len(sign)
        self.repeatable = True
        if len(sign) == 1 and sign != "." and not self.flags[-1]:
            return _character(sign)
        return _spelt_out(sign, "".join(sorted(self.flags[-1])))


def _end_of_class(pattern: str, start: int) -> int:
    """Where a bracket expression ends; one may stand in another, and ``]`` right after the opening is a character."""
    depth, at = 0, start
    while at < len(pattern):
        if pattern[at] == "[":
            depth += 1
            at += 2 if pattern.startswith("[^", at) else 1
            at += pattern.startswith("]", at)
            continue
        if pattern[at] == "]":
            depth -= 1
            if depth == 0:
                return at + 1
        at += 2 if pattern[at] == "\\" else 1
    raise _NoEqualError


@cache
def _every_character() -> pl.Series:
    """Each character that a text in the database can hold: no NUL, no surrogate."""
    return pl.Series([chr(code) for code in range(1, _LAST + 1) if code not in _SURROGATES])


@cache
def _spelt_out(sign: str, flags: str) -> str:
    """The characters for which a sign stands, as a bracket expression of Postgres."""
    try:
        matches = _every_character().str.contains(rf"\A(?{flags}:{sign})\z")
    except PolarsError as error:
        raise _NoEqualError from error
    runs = _runs(matches)
    inside, outside = ([run[1:] for run in runs if run[0] is value] for value in (True, False))
    if not outside:
        return "."
    if not inside:
        raise _NoEqualError
    if len(inside) == 1 and inside[0][0] == inside[0][1]:
        return _character(inside[0][0])
    chosen, negated = (inside, "") if len(inside) <= len(outside) else (outside, "^")
    spelt = (
        _character(first) if first == last else f"{_character(first)}-{_character(last)}" for first, last in chosen
    )
    return f"[{negated}{''.join(spelt)}]"


def _runs(matches: pl.Series) -> list[tuple[bool, str, str]]:
    """Where the answer stays the same: the answer, the first and the last character of each run."""
    found, start = [], 0
    for length, value in matches.rle().struct.unnest().iter_rows():
        found.append((value, _every_character()[start], _every_character()[start + length - 1]))
        start += length
    return found


def _character(character: str) -> str:
    """One character as Postgres reads it, within brackets or without."""
    if character.isascii() and character.isalnum():
        return character
    if character.isascii() and character.isprintable() and character != " ":
        return f"\\{character}"
    return f"\\U{ord(character):08X}"
