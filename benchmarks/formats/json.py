"""One document with an array of objects at a path, read by Json and by msgspec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import polars as pl

from benchmarks.formats._records import read
from benchmarks.formats.ndjson import record
from etl_assets.extract.formats.json import Json

if TYPE_CHECKING:
    from pathlib import Path

_RECORDS_AT_ONCE: Final = 10_000
_MEGABYTE: Final = 1024 * 1024


def write(path: Path, megabytes: int) -> int:
    """Write a document of at least that many megabytes; return the number of its records."""
    number = 1
    with path.open("w", encoding="utf-8") as file:
        size = file.write(f'{{"about": {{"of": "shop"}}, "items": [{record(0)}')
        while size < megabytes * _MEGABYTE:
            numbers = range(number, number + _RECORDS_AT_ONCE)
            size += file.write("".join(f",\n {record(number)}" for number in numbers))
            number += _RECORDS_AT_ONCE
        file.write("]}\n")
    return number


def ours(path: Path) -> int:
    """Read the document through the format into frames; return the number of records."""
    return read(Json("$.items"), path)


def fastest(path: Path) -> int:
    """Read the whole document by msgspec, and its values into a frame; return the number of records."""
    return pl.DataFrame(msgspec.json.decode(path.read_bytes())["items"]).height
