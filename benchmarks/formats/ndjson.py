"""Lines of twelve values each, some of them null, read by Ndjson and by Polars' `read_ndjson`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from benchmarks.formats._records import read
from etl_assets.extract.formats.ndjson import Ndjson

if TYPE_CHECKING:
    from pathlib import Path

_RECORDS_AT_ONCE: Final = 10_000
_MEGABYTE: Final = 1024 * 1024


def write(path: Path, megabytes: int) -> int:
    """Write a file of at least that many megabytes; return the number of its records."""
    number = size = 0
    with path.open("w", encoding="utf-8") as file:
        while size < megabytes * _MEGABYTE:
            numbers = range(number, number + _RECORDS_AT_ONCE)
            size += file.write("".join(f"{record(number)}\n" for number in numbers))
            number += _RECORDS_AT_ONCE
    return number


def ours(path: Path) -> int:
    """Read the file through the format into frames; return the number of records."""
    return read(Ndjson(), path)


def fastest(path: Path) -> int:
    """Read the file by Polars into a frame, with types and rounded numbers; return the number of records."""
    return pl.read_ndjson(path).height


def record(number: int) -> str:
    """Return a JSON object."""
    note = "null" if number % 3 else f'"caf\u00e9 \\"{number % 11}\\""'
    return (
        f'{{"id": {number}, "name": "name {number}", "price": {number / 7:.2f}, "paid": true, "note": {note}, '
        f'"code": "AB{number}", "rate": 0.{number % 7919:016d}, "text": "some text", "area": {number * number}, '
        f'"origin": "JFK", "share": 12.5, "day": "2024-01-{number % 28 + 1:02d}"}}'
    )
