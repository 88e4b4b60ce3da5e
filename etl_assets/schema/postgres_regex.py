r"""Translates declared patterns into regular expressions of Postgres.

Polars evaluates patterns in Rust's syntax, where ``.`` does not match a line end and ``\d`` matches the digits of all
scripts. In Postgres both depend on other settings. So the structure of a pattern is translated token by token. A token
for a set of characters becomes an explicit set: Polars is asked which characters the token matches.
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
"""The limit of Postgres for the bound of a repeat."""
_ENDS: Final = {"^": "^", "$": "$", r"\A": r"\A", r"\z": r"\Z"}
_GROUP: Final = re.compile(r"\((?:\?P?<\w+>|\?(?P<flags>[is]*(?:-[is]+)?)(?P<closed>[:)]))?")
_REPEAT: Final = re.compile(r"(?:[*+?]|\{(?P<least>[0-9]+)(?:,(?P<most>[0-9]*))?\})(?P<lazy>\??)")
_ESCAPE: Final = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[^0-9bBpPxuU])", re.DOTALL)


def to_postgres(pattern: str) -> str | None:
    """Return a regular expression for ``~`` that matches exactly the texts that a pattern matches as a whole.

    Args:
        pattern: A pattern that both Rust and Python accept, as every declared one is.

    Returns:
        None if Postgres has no equivalent: word boundaries, flags other than ``i`` and ``s``, more than 255 repeats.
    """
    try:
        return f"^(?:{_Translation(pattern).result()})$"
    except _NoEquivalentError:
        return None


class _NoEquivalentError(Exception):
    """A part of a pattern has no equivalent in Postgres."""


@dataclass
class _Translation:
    """The translation of one pattern, in progress.

    Attributes:
        pattern: The pattern as declared.
        at: Position of the next token.
        flags: Stack of flags: the current ones last, before them those to restore when each open group ends.
        repeatable: Whether a quantifier may follow.
    """

    pattern: str
    at: int = 0
    flags: list[frozenset[str]] = field(default_factory=lambda: [frozenset()])
    repeatable: bool = False

    def result(self) -> str:
        parts = []
        while self.at < len(self.pattern):
            parts.append(self._next())
        return "".join(parts)

    def _next(self) -> str:
        sign = self.pattern[self.at]
        if sign == "(":
            return self._group()
        if sign in ")|":
            self.at += 1
            if sign == ")":
                self.flags.pop()
            self.repeatable = sign == ")"
            return sign
        if (repeat := _REPEAT.match(self.pattern, self.at)) is not None:
            return self._repeat(repeat)
        end = sign if sign != "\\" else self.pattern[self.at : self.at + 2]
        if end in _ENDS:
            self.at += len(end)
            self.repeatable = False
            return _ENDS[end]
        return self._characters()

    def _group(self) -> str:
        match = _GROUP.match(self.pattern, self.at)
        if match is None or (match["flags"] is None and self.pattern.startswith("(?", self.at) and "<" not in match[0]):
            raise _NoEquivalentError
        self.at = match.end()
        self.repeatable = False
        on, _, off = (match["flags"] or "").partition("-")
        flags = (self.flags[-1] | set(on)) - set(off)
        if match["closed"] == ")":
            self.flags[-1] = flags
            return ""
        self.flags.append(flags)
        return "(?:"

    def _repeat(self, match: re.Match[str]) -> str:
        bounds = [int(bound) for bound in (match["least"], match["most"]) if bound]
        if not self.repeatable or any(bound > _MOST_REPEATS for bound in bounds):
            raise _NoEquivalentError
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
                raise _NoEquivalentError
            sign = escape[0]
        elif sign == "{":
            raise _NoEquivalentError
        self.at += len(sign)
        self.repeatable = True
        if len(sign) == 1 and sign != "." and not self.flags[-1]:
            return _character(sign)
        return _explicit_set(sign, "".join(sorted(self.flags[-1])))


def _end_of_class(pattern: str, start: int) -> int:
    """Return the end of a bracket expression; they may be nested, and ``]`` right after the opening is a character."""
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
    raise _NoEquivalentError


@cache
def _every_character() -> pl.Series:
    """Return each character that a text in the database can contain: all but NUL and surrogates."""
    return pl.Series([chr(code) for code in range(1, _LAST + 1) if code not in _SURROGATES])


@cache
def _explicit_set(sign: str, flags: str) -> str:
    """Return the characters that a token matches, as a bracket expression of Postgres."""
    try:
        matches = _every_character().str.contains(rf"\A(?{flags}:{sign})\z")
    except PolarsError as error:
        raise _NoEquivalentError from error
    runs = _runs(matches)
    inside, outside = ([run[1:] for run in runs if run[0] is value] for value in (True, False))
    if not outside:
        return "."
    if not inside:
        raise _NoEquivalentError
    if len(inside) == 1 and inside[0][0] == inside[0][1]:
        return _character(inside[0][0])
    chosen, negated = (inside, "") if len(inside) <= len(outside) else (outside, "^")
    ranges = (
        _character(first) if first == last else f"{_character(first)}-{_character(last)}" for first, last in chosen
    )
    return f"[{negated}{''.join(ranges)}]"


def _runs(matches: pl.Series) -> list[tuple[bool, str, str]]:
    """Return the runs of characters with one answer: the answer, the first and the last character of each."""
    runs, start = [], 0
    for length, value in matches.rle().struct.unnest().iter_rows():
        runs.append((value, _every_character()[start], _every_character()[start + length - 1]))
        start += length
    return runs


def _character(character: str) -> str:
    """Return one character in Postgres' notation, valid inside and outside brackets."""
    if character.isascii() and character.isalnum():
        return character
    if character.isascii() and character.isprintable() and character != " ":
        return f"\\{character}"
    return f"\\U{ord(character):08X}"
