"""Columns by position: a file of records of one length, read by `FixedWidth` and by Polars."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import polars as pl

from benchmarks.formats._records import read
from etl_assets import Field, FixedWidth

if TYPE_CHECKING:
    from pathlib import Path

_STARTS: Final = (1, 10, 11, 20, 21, 27, 36, 72, 108, 128, 130, 135, 139, 142, 145, 149, 150, 151)
_FIELDS: Final = tuple(Field(f"field_{start}", start, end - 1) for start, end in pairwise(_STARTS))
_FORMAT: Final = FixedWidth(_FIELDS, 155)


def write(path: Path, megabytes: int) -> None:
    """Write a file in the layout of a directory of banks."""
    with path.open("w", encoding="ascii", newline="") as file:
        for number in range(megabytes * 1_000_000 // 157):
            name, city = f"BANK {number % 977} OF THE STATE", f"CITY {number % 1009}"
            address = f"{number} MAIN STREET"
            place = f"{address:<36}{city:<20}AK{number % 100_000:05}0000"
            file.write(f"{number:09}O0110000151122415000000000{name:<36}{place}877372245711     \r\n")


def ours(path: Path) -> int:
    """Read the file through the format; return the number of records."""
    return read(_FORMAT, path)


def fastest(path: Path) -> int:
    """Read the file with Polars; return the number of records."""
    lines = pl.read_csv(path, has_header=False, separator="\x01", quote_char=None, schema={"line": pl.String})
    cells = [
        pl.col("line").str.slice(field.start - 1, field.last - field.start + 1).str.strip_chars(" ").alias(field.name)
        for field in _FIELDS
    ]
    return lines.select(cells).height
