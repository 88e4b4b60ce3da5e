"""Cuts the bytes of a batch into records: the values in round brackets of an INSERT, or the lines of a COPY."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from etl_assets.extract.formats.sql_dump.columns import brackets
from etl_assets.extract.formats.sql_dump.grammar import grammar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.extract.formats.sql_dump.grammar import Dialect
    from etl_assets.extract.formats.sql_dump.layout import Layout

_NO_CONFLICT = rb"(?:(?i:ON\s++CONFLICT(?:\s*+\([^()]*+\))?+\s++DO\s++NOTHING)"

_AFTER: Final = 256
"""More bytes than what may follow a record has, without comments."""


class BrokenError(Exception):
    """A record that cannot be cut; the arguments are where it begins, and where it is broken."""


@dataclass
class Cut:
    """The records of some bytes.

    Attributes:
        records: The bytes of each.
        starts: The position of each.
        stop: Position after the last of them, and after the comma or semicolon that follows it.
        odd: Indices of those that have more than numbers, words and plain strings.
        ended: Whether the statement ended after the last of them.
    """

    records: list[bytes] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    odd: set[int] = field(default_factory=set)
    stop: int = 0
    ended: bool = False


@dataclass(frozen=True)
class _Patterns:
    """The patterns of an INSERT.

    Attributes:
        plain: A plain record with what follows it.
        run: Any number of plain records with nothing but commas and white space between and behind them.
        before: What may be before a record.
        after: What follows a record: a comma, or a semicolon, perhaps with the same header again.
    """

    plain: re.Pattern[bytes]
    run: re.Pattern[bytes]
    before: re.Pattern[bytes]
    after: re.Pattern[bytes]


@lru_cache(maxsize=64)
def _patterns(dialect: Dialect, header: str) -> _Patterns:
    rules = grammar(dialect)
    again = re.escape(header.encode("latin-1"))
    after = rules.blank + _NO_CONFLICT + rules.blank + rb")?+(?:,|;(?:" + rules.blank + again + rb"(?=\()|()))"
    return _Patterns(
        plain=re.compile(rules.blank + rb"(" + rules.record + rb")" + after, re.DOTALL),
        run=re.compile(rb"(?:\s*+" + rules.record + rb"\s*+,)*+", re.DOTALL),
        before=re.compile(rules.blank, re.DOTALL),
        after=re.compile(after, re.DOTALL),
    )


def cut_insert(data: bytes, at: int, layout: Layout, size: int, *, final: bool) -> Cut:
    """Cut the records of an INSERT, and of those that follow it and begin with the same words.

    Args:
        data: Bytes with a byte after the last record.
        at: Position of the first record, or of the white space before it.
        layout: How they are written.
        size: Largest number of bytes; one record may be larger.
        final: Whether no more bytes follow.

    Returns:
        The records that are complete, with what follows each of them.

    Raises:
        BrokenError: If a record cannot be cut.
    """
    plain = _patterns(layout.dialect, layout.header).plain
    cut = Cut(stop=at)
    records, starts = cut.records, cut.starts
    limit = at + size
    while True:
        match = plain.match(data, cut.stop)
        if match is None:
            if not _cut_odd(data, cut, layout, limit, final=final):
                return cut
        else:
            if match.end() > limit and records:
                return cut
            records.append(match[1])
            starts.append(match.start(1))
            cut.stop = match.end()
            cut.ended = match.lastindex == 2  # noqa: PLR2004 -- the empty group after a semicolon
            if data.startswith(b",", cut.stop - 1):
                _cut_run(data, cut, layout, limit)
        if cut.ended:
            return cut


def _cut_run(data: bytes, cut: Cut, layout: Layout, limit: int) -> None:
    """Cut plain records at once, as many as follow each other."""
    match = _patterns(layout.dialect, layout.header).run.match(data, cut.stop, limit)
    if match is None or not match[0]:
        return
    run = match[0]
    starts, ends = brackets(run, backslash=grammar(layout.dialect).backslash)
    cut.records += [run[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    cut.starts += (starts + cut.stop).tolist()
    cut.stop = match.end()


def _cut_odd(data: bytes, cut: Cut, layout: Layout, limit: int, *, final: bool) -> bool:
    """Cut one more record, token by token; return whether it is complete and within the limit."""
    patterns = _patterns(layout.dialect, layout.header)
    blank = patterns.before.match(data, cut.stop)
    start = blank.end() if blank else cut.stop
    if start >= len(data) - (0 if final else _AFTER):
        return False
    end = record_end(data, start, layout.dialect)
    if end is None:
        return False
    match = patterns.after.match(data, end)
    if match is None:
        rest = patterns.before.match(data, end)
        if rest and rest.end() < len(data) - (0 if final else _AFTER):
            raise BrokenError(start, end)
        return False
    if match.end() > limit and cut.records:
        return False
    cut.odd.add(len(cut.records))
    cut.records.append(data[start:end])
    cut.starts.append(start)
    cut.stop = match.end()
    cut.ended = match.lastindex == 1
    return True


def record_end(data: bytes, start: int, dialect: Dialect) -> int | None:
    """Return the position after a record in round brackets; None if the bytes end before.

    Raises:
        BrokenError: If there is no record.
    """
    if data[start : start + 1] != b"(":
        raise BrokenError(start, start)
    token = grammar(dialect).token
    depth, at = 0, start
    while at < len(data) and (match := token.match(data, at)):
        at = match.end()
        mark = match["mark"]
        if mark == b"(":
            depth += 1
        elif mark == b")":
            depth -= 1
            if not depth:
                return at
        elif mark == b";":
            raise BrokenError(start, at)
    return None


def cut_copy(data: bytes, layout: Layout) -> Cut:
    """Cut whole lines of a COPY; a line feed behind a backslash is part of the record."""
    lines = data.split(b"\n")[:-1]
    if b"\\\n" in data:
        lines = _joined(lines)
    starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
    stop = starts.pop()
    if layout.crlf:
        lines = [line.removesuffix(b"\r") for line in lines]
    special = b"\r" in data or b"\\\n" in data or b"\\\t" in data
    return Cut(lines, starts, odd_records(lines, layout) if special else set(), stop)


def odd_records(records: Sequence[bytes], layout: Layout) -> set[int]:
    """Return the indices of the records that cannot be read together with others."""
    if layout.kind == "insert":
        plain = re.compile(grammar(layout.dialect).record, re.DOTALL)
        return {index for index, record in enumerate(records) if not plain.fullmatch(record)}
    return {
        index
        for index, record in enumerate(records)
        if b"\r" in record or b"\n" in record or b"\\\t" in record or record.endswith(b"\\")
    }


def _joined(lines: Sequence[bytes]) -> list[bytes]:
    """Return lines with those that end with an escaped line feed joined to the next."""
    joined: list[bytes] = []
    open_ = False
    for line in lines:
        if open_:
            joined[-1] += b"\n" + line
        else:
            joined.append(line)
        open_ = bool((len(line) - len(line.rstrip(b"\\"))) % 2)
    return joined
