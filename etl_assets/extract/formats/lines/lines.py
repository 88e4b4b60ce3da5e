"""Lines: where the lines of some bytes begin and end, found without decoding them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import polars as pl

from etl_assets.extract.formats.bits import find_all
from etl_assets.extract.formats.encoding import UTF8
from etl_assets.extract.formats.slices import slices
from etl_assets.extract.formats.utf8 import is_utf8

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from etl_assets.extract.formats.bits import Flags, Positions

    Kinds: TypeAlias = NDArray[np.uint8]

_ASCII: Final = 0x80


class LineKind(IntEnum):
    """What a line is. All but the records are counted as skipped."""

    SKIPPED = 0
    RECORD = 1
    HEADER = 2
    TRAILER = 3


@dataclass(frozen=True)
class Lines:
    """Lines in some bytes, in order. Blank lines are left out.

    Attributes:
        data: The bytes.
        codec: Python's name of their encoding.
        starts: Position of the first byte of each line.
        ends: Position after its last byte, before its line end.
        numbers: Number of each line.
        prefix: What comes before the number in the location of a line.
    """

    data: bytes
    codec: str
    starts: Positions
    ends: Positions
    numbers: Positions
    prefix: str

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[bytes]:
        for start, end in zip(self.starts.tolist(), self.ends.tolist(), strict=True):
            yield self.data[start:end]

    def line(self, index: int) -> bytes:
        """Return the bytes of a line, without its line end."""
        return self.data[int(self.starts[index]) : int(self.ends[index])]

    def location(self, index: int) -> str:
        """Return the location of a line, for people."""
        return f"{self.prefix}{self.numbers[index]}"

    def select(self, flags: Flags) -> Lines:
        """Return the lines with a flag."""
        if flags.all():
            return self
        return replace(self, starts=self.starts[flags], ends=self.ends[flags], numbers=self.numbers[flags])

    @property
    def is_ascii(self) -> bool:
        """Whether the bytes are ASCII, so that each is a character."""
        return self.data.isascii()

    @property
    def raws(self) -> pl.Series:
        """The bytes of each line: Binary, which is not copied."""
        return slices(self.data, self.starts, self.ends)

    @property
    def text(self) -> pl.Series:
        """The decoded lines: String. A byte that cannot be decoded becomes U+FFFD."""
        raws = self.raws
        if not self.is_ascii and not (self.codec == UTF8 and is_utf8(self.data)):
            indices = self.beyond_ascii
            decoded = [self.line(index).decode(self.codec, "replace").encode() for index in indices.tolist()]
            raws = raws.scatter(indices, pl.Series(decoded, dtype=pl.Binary))
        return raws.cast(pl.String)

    @property
    def beyond_ascii(self) -> Positions:
        """The indices of the lines with other bytes than ASCII."""
        return np.flatnonzero(self.holding(np.flatnonzero(np.frombuffer(self.data, np.uint8) >= _ASCII)))

    def holding(self, positions: Positions) -> Flags:
        """Return which lines contain a byte at one of the positions, which ascend."""
        flags: Flags = np.searchsorted(positions, self.ends) > np.searchsorted(positions, self.starts)
        return flags


def find_lines(data: bytes, codec: str, line_end: bytes, *, first: int = 1, prefix: str = "") -> Lines:
    """Find the lines that are not blank.

    Args:
        data: Whole lines; the last one may lack its line end.
        codec: Python's name of the encoding, in which the line end is one byte.
        line_end: The byte at the end of each line. A carriage return before a line feed is part of the line end.
        first: Number of the first line.
        prefix: What comes before the number in the location of a line.
    """
    codes = np.frombuffer(data, np.uint8)
    ends = find_all(codes, line_end[0])
    if data and not data.endswith(line_end):
        ends = np.append(ends, len(data))
    starts = np.concatenate((np.zeros(min(len(ends), 1), np.int64), ends[:-1] + 1))
    if line_end == b"\n" and b"\r" in data:
        ends = ends - ((ends > starts) & (codes[ends - 1] == ord("\r")))
    filled = ends > starts
    numbers = np.flatnonzero(filled) + first
    return Lines(data, codec, starts[filled], ends[filled], numbers, prefix)


def separate_lines(lines: Sequence[bytes], codec: str, numbers: Sequence[int], prefix: str) -> Lines:
    """Return lines of which each is given; they may be blank or contain line ends."""
    ends = np.cumsum([len(line) for line in lines], dtype=np.int64)
    starts = np.concatenate((np.zeros(min(len(ends), 1), np.int64), ends[:-1]))
    return Lines(b"".join(lines), codec, starts, ends, np.array(numbers, np.int64), prefix)
