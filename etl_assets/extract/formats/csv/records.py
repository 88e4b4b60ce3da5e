"""Finds where the records of delimited text begin and end, and counts their fields, without parsing them.

The scan works on bytes, with NumPy and `bits`. It also recovers from quotes that are not closed.

The rule for quotes: a quote opens a field only as its first byte, and closes it only before a delimiter or a line end.
A record that breaks this rule, or whose quote is still open at the end of the bytes, ends at its first line end. That
line is *misquoted*, and reading continues at the next line. So one bad quote costs one line and no other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from etl_assets.extract.formats.bits import (
    CountedBits,
    bits_and_positions,
    bits_of,
    find_all,
    later,
    prefix_parity,
    sooner,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.extract.formats.bits import Bytes, Flags, Positions, Words

CARRIAGE_RETURN: Final = 13
MISQUOTED: Final = -1
OPEN: Final = -2


@dataclass(frozen=True)
class Layout:
    """How delimited text is written, in bytes that mean the same in its encoding as in ASCII.

    Attributes:
        delimiter: One or several bytes.
        quote: One byte, or empty when nothing is quoted.
        comment: The bytes at the start of comment lines, which are no records; empty when there are none.
        escape: One byte, or empty when nothing is escaped.
        line_end: LF, with or without a CR before it, or CR.
        joined: Whether the last field may contain delimiters.
    """

    delimiter: bytes
    quote: bytes
    comment: bytes
    escape: bytes = b""
    line_end: bytes = b"\n"
    joined: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether text of this layout is scanned and parsed as it is; all other text is rewritten by `plain`."""
        return len(self.delimiter) == 1 and not self.escape and not self.joined

    @property
    def takes_crlf(self) -> bool:
        """Whether a CR before a line end is part of it."""
        return self.line_end == b"\n"


@dataclass(frozen=True)
class Records:
    """The records in some bytes, in order; blank lines and comments are no records.

    Attributes:
        starts: Position of the first byte of each record.
        ends: Position after its last byte, before its line end.
        stops: Position after its line end.
        misquoted: Whether its quotes break the rule.
        gapless: Whether the records cover the bytes from first to last, with nothing between them.
        consumed: Number of bytes up to the end of the last complete record; an open record follows.
        lines: Number of line ends in the consumed bytes.
        skipped: Number of lines in the consumed bytes that are neither records nor blank.
        inside: For each byte, packed eight to one, whether it is inside quotes; None when there are no quotes.
        delimiters: For each byte, packed, whether it is a delimiter; None when that was not needed to find the records.
        miscounted: Whether it has more or fewer fields than there are names; None when that is not known yet.
    """

    starts: Positions
    ends: Positions
    stops: Positions
    misquoted: Flags
    gapless: bool
    consumed: int
    lines: int
    inside: Words | None
    skipped: int = 0
    delimiters: Words | None = None
    miscounted: Flags | None = None

    def __len__(self) -> int:
        return len(self.starts)

    def without(self, indices: Sequence[int]) -> Records:
        """Return the records without some of them, which are skipped."""
        if not indices:
            return self
        kept = np.ones(len(self), bool)
        kept[list(indices)] = False
        return replace(
            self,
            starts=self.starts[kept],
            ends=self.ends[kept],
            stops=self.stops[kept],
            misquoted=self.misquoted[kept],
            gapless=False,
            skipped=self.skipped + len(indices),
        )

    def holding(self, positions: Positions) -> Positions:
        """Return the indices, each once, of the records that contain the bytes at some positions."""
        indices = np.searchsorted(self.starts, positions, side="right") - 1
        after_first = indices >= 0
        indices, positions = indices[after_first], positions[after_first]
        return np.unique(indices[positions < self.ends[indices]])


def find_records(data: bytes, layout: Layout, *, final: bool) -> Records:
    """Find the records.

    Args:
        data: Bytes that begin with a record. The final part ends with a line end; in any other part, the bytes after
            the last line end are left for the next part.
        layout: How the text is written; it is plain.
        final: Whether no more bytes follow. A quote that is still open then makes a misquoted record, not an open one.
            An open record that fills all the bytes counts as misquoted too, so that memory stays bounded.

    Returns:
        The records. A prefix that ends with a record always gives the same records, whatever follows it.
    """
    limit = data.rfind(layout.line_end) + 1
    codes = np.frombuffer(data, np.uint8, limit) if limit else np.zeros(0, np.uint8)
    none = np.zeros(0, np.int64)
    if not limit or not layout.quote or layout.quote not in data:
        return _collect(data, codes, find_all(codes, layout.line_end[0]), None, none, layout)
    punctuation = _punctuation(codes, layout)
    inside = None if layout.comment else _inside(codes, punctuation, layout)
    if inside is not None:
        records = _collect(data, codes, punctuation.positions, inside, none, layout)
        if records.consumed == limit or (not final and records.consumed):
            return replace(records, delimiters=punctuation.delimiters)
    excluded, bad, limit = _recover(data[:limit], codes, punctuation.positions, layout, final=final)
    codes = codes[:limit]
    quotes = codes == layout.quote[0]
    for start, stop in excluded:
        quotes[start:stop] = False
    line_ends = punctuation.positions[punctuation.positions < limit]
    return _collect(data, codes, line_ends, prefix_parity(words(quotes)), bad, layout)


class Delimiters(NamedTuple):
    """Which of the bytes of some records are delimiters.

    Attributes:
        outer: Those that end a field.
        quoted: Those inside quotes; None when there are no quotes.
    """

    outer: CountedBits
    quoted: Words | None


def find_delimiters(data: bytes, records: Records, delimiter: bytes) -> Delimiters:
    """Find the delimiters of some records.

    Args:
        data: The bytes in which the records were found.
        records: The records.
        delimiter: One byte.
    """
    delimiters = records.delimiters
    if delimiters is None:
        delimiters = bits_of(np.frombuffer(data, np.uint8, records.consumed), delimiter[0])
    if records.inside is None:
        return Delimiters(CountedBits.of(delimiters), None)
    inside = records.inside[: len(delimiters)]  # an open record may follow the last complete one
    return Delimiters(CountedBits.of(delimiters & ~inside), delimiters & inside)


def field_counts(delimiters: CountedBits, records: Records, expected: int) -> Positions | None:
    """Count the fields of each record.

    Args:
        delimiters: Those that end fields.
        records: The records.
        expected: The number of fields that most records have.

    Returns:
        The number for each record; None, which is faster, if every record has as many as expected. The number of a
        misquoted record has no meaning.
    """
    if not len(records):
        return None
    first = delimiters.upto(records.starts)
    counts = np.empty_like(first)
    if records.gapless:
        counts[:-1] = first[1:] - first[:-1]
        counts[-1:] = delimiters.upto(records.ends[-1:]) - first[-1:]
    else:
        np.subtract(delimiters.upto(records.ends), first, out=counts)
    counts += 1
    return None if bool((counts == expected).all()) else counts


def record_end(data: bytes, start: int, layout: Layout) -> int:
    """Find the end of one record, quote by quote.

    Returns:
        The position of the byte that ends the record, after a CR if there is one; ``MISQUOTED`` if the record breaks
        the rule for quotes; ``OPEN`` if the bytes end before the record does.
    """
    end = data.find(layout.line_end, start)
    if not layout.quote:
        return end if end >= 0 else OPEN
    opening = data.find(layout.quote, start)
    while end >= 0 and start <= opening < end:
        if opening > start and data[opening - 1 : opening] != layout.delimiter:
            return MISQUOTED
        closing = _closing_quote(data, opening, layout.quote)
        if closing < 0 or closing + 1 == len(data):
            return OPEN
        if not _closes(data, closing + 1, layout):
            return MISQUOTED
        if closing > end:
            end = data.find(layout.line_end, closing)
        opening = data.find(layout.quote, closing + 1)
    return end if end >= 0 else OPEN


def split_fields(record: bytes, layout: Layout) -> list[bytes]:
    """Split one well-formed record into its fields, without their quotes."""
    delimiter, quote = layout.delimiter, layout.quote
    if not quote or quote not in record:
        return record.split(delimiter)
    fields = (record[start:end] for start, end in field_spans(record, layout))
    return [field[1:-1].replace(quote + quote, quote) if field.startswith(quote) else field for field in fields]


def field_spans(record: bytes, layout: Layout) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each field of a well-formed record, with its quotes."""
    position = 0
    while True:
        if layout.quote and record.startswith(layout.quote, position):
            end = _closing_quote(record, position, layout.quote) + 1
        else:
            end = record.find(layout.delimiter, position)
            end = len(record) if end < 0 else end
        yield position, end
        if end >= len(record):
            return
        position = end + 1


def _closing_quote(data: bytes, opening: int, quote: bytes) -> int:
    closing = data.find(quote, opening + 1)
    while closing >= 0 and data[closing + 1 : closing + 2] == quote:
        closing = data.find(quote, closing + 2)
    return closing


def _closes(data: bytes, after: int, layout: Layout) -> bool:
    """Return whether a closing quote is allowed before the bytes at ``after``."""
    following = data[after : after + 1]
    if following in (layout.delimiter, layout.line_end):
        return True
    return layout.takes_crlf and data[after : after + 2] == b"\r\n"


def _collect(
    data: bytes, codes: Bytes, line_ends: Positions, inside: Words | None, misquoted: Positions, layout: Layout
) -> Records:
    """Build the records, without blank lines and comments; each ends with the next line end outside of quotes."""
    outside = line_ends if inside is None else _outside(line_ends, inside)
    if len(outside) == 0:
        none = np.zeros(0, np.int64)
        return Records(none, none, none, none.astype(bool), gapless=True, consumed=0, lines=0, inside=inside)
    stops = outside + 1
    starts = np.concatenate((np.zeros(1, np.int64), stops[:-1]))
    ends = outside
    if layout.takes_crlf:
        ends = outside - ((codes[outside - 1] == CARRIAGE_RETURN) & (outside > starts))
    kept = ends > starts
    skipped = 0
    if layout.comment:
        for index in np.flatnonzero(codes[starts] == layout.comment[0]):
            kept[index] = not data.startswith(layout.comment, int(starts[index]))
            skipped += not kept[index]
    consumed = int(stops[-1])
    gapless = bool(kept.all())
    if not gapless:
        starts, ends, stops = starts[kept], ends[kept], stops[kept]
    flags = np.isin(starts, misquoted) if len(misquoted) else np.zeros(len(starts), bool)
    lines = int(np.searchsorted(line_ends, consumed))
    return Records(starts, ends, stops, flags, gapless, consumed, lines, inside, skipped)


def _recover(
    data: bytes, codes: Bytes, line_ends: Positions, layout: Layout, *, final: bool
) -> tuple[list[tuple[int, int]], Positions, int]:
    """Find the lines whose quotes do not count: misquoted records and comments.

    Only lines with an odd number of quotes, or with misplaced quotes, are checked one by one; all others are records.

    Returns:
        Begin and end of each such line, the begins of the misquoted lines, and where an open record begins (the end of
        the bytes when there is none).
    """
    starts = np.concatenate((np.zeros(1, np.int64), line_ends[:-1] + 1))
    excluded: list[tuple[int, int]] = []
    misquoted: list[int] = []
    position = 0
    for line in _suspects(codes, line_ends, starts, layout).tolist():
        start, stop = int(starts[line]), int(line_ends[line]) + 1
        if start < position:
            continue
        if layout.comment and data.startswith(layout.comment, start):
            excluded.append((start, stop))
            continue
        end = record_end(data, start, layout)
        if end == OPEN and not final and start > 0:
            return excluded, np.array(misquoted, np.int64), start
        if end < 0:
            excluded.append((start, stop))
            misquoted.append(start)
        else:
            position = end + 1
    return excluded, np.array(misquoted, np.int64), len(codes)


def _suspects(codes: Bytes, line_ends: Positions, starts: Positions, layout: Layout) -> Positions:
    """Find lines that may not be records: those with an odd number of quotes, misplaced quotes, or a comment sign."""
    quote, delimiter, line_end = layout.quote[0], layout.delimiter[0], layout.line_end[0]
    quotes = np.flatnonzero(codes == quote)
    line = np.searchsorted(line_ends, quotes)
    rank = np.arange(len(quotes)) - np.searchsorted(quotes, starts)[line]
    opening = rank % 2 == 0
    before = np.where(quotes == 0, line_end, codes[quotes - 1])
    after = codes[quotes + 1]
    opens = (before == delimiter) | (before == line_end) | ((before == quote) & (rank > 0))
    closes = (after == delimiter) | (after == line_end) | (after == quote)
    if layout.takes_crlf:
        closes |= (after == CARRIAGE_RETURN) & (codes[np.minimum(quotes + 2, len(codes) - 1)] == line_end)
    odd = line[np.where(opening, ~opens, ~closes)]
    uneven = np.flatnonzero(np.bincount(line, minlength=len(line_ends)) % 2)
    comments = np.flatnonzero(codes[starts] == layout.comment[0]) if layout.comment else uneven[:0]
    return np.unique(np.concatenate((odd, uneven, comments)))


class _Punctuation(NamedTuple):
    """Which bytes are quotes, delimiters and line ends, and the positions of the line ends."""

    quotes: Words
    delimiters: Words
    line_ends: Words
    positions: Positions


def _punctuation(codes: Bytes, layout: Layout) -> _Punctuation:
    """Find the punctuation of a layout."""
    quotes, delimiters = (bits_of(codes, character[0]) for character in (layout.quote, layout.delimiter))
    return _Punctuation(quotes, delimiters, *bits_and_positions(codes, layout.line_end[0]))


def _inside(codes: Bytes, punctuation: _Punctuation, layout: Layout) -> Words | None:
    """Return which bytes are inside quotes; None if a quote is misplaced."""
    quotes = punctuation.quotes
    inside = prefix_parity(quotes)
    edges = quotes | punctuation.delimiters | punctuation.line_ends
    before = later(edges)
    before[0] |= np.uint64(1)
    if np.any(quotes & inside & ~before):
        return None
    misplaced = quotes & ~inside & ~sooner(edges)
    if layout.takes_crlf and np.any(misplaced):
        misplaced &= ~sooner(bits_of(codes, CARRIAGE_RETURN) & sooner(punctuation.line_ends))
    return None if np.any(misplaced) else inside


def _outside(positions: Positions, inside: Words) -> Positions:
    """Return the positions outside quotes."""
    quoted: Bytes = inside.view(np.uint8)[positions >> 3] >> (positions & 7).astype(np.uint8) & 1
    outside: Positions = positions[quoted == 0]
    return outside
