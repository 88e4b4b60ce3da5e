"""Delimited text, some of it quoted: against Polars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from benchmarks.formats._records import lines, read
from etl_assets import Csv

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, megabytes: int) -> None:
    """Write records of twelve fields, one of them quoted."""
    lines(path, megabytes, b"id,day,code,amount,ratio,name,note,a,b,c,d,e\n", _record)


def _record(number: int) -> bytes:
    return b'%d,2024-%02d-%02d,C%05d,%d.%02d,0.%06d,"name, of %d",some note,%d,%d,%d,,x\n' % (
        *(number, number % 12 + 1, number % 28 + 1, number % 99999, number % 5000, number % 100, number % 999983),
        *(number % 777, number, number % 7, number % 11),
    )


def ours(path: Path) -> int:
    """Read by `Csv`."""
    return read(Csv(), path)


def fastest(path: Path) -> int:
    """Read by Polars, every column as text."""
    return pl.read_csv(path, infer_schema=False).height
