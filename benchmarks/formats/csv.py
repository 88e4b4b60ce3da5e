"""Delimited text in four dialects, each against the fastest library that reads it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import polars as pl
import pyarrow as pa
from pyarrow import csv as arrow_csv

from benchmarks.formats._records import read
from etl_assets import Csv

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_NAMES: Final = tuple("abcdefghijkl")
FORMATS: Final = {
    "plain": Csv(),
    "escaped": Csv(escape="\\"),
    "pipes": Csv(delimiter="||"),
    "carriage_returns": Csv(line_end="\r"),
}

CASES: Final = tuple(FORMATS)


def write(path: Path, megabytes: int, case: str) -> None:
    """Write a file in a dialect; every fifth record has a delimiter, and every tenth a quote, inside quotes."""
    format_ = FORMATS[case]
    lines = [_line(number, format_) for number in range(1000)]
    chunk = "".join(lines).encode()
    with path.open("wb") as file:
        file.write(format_.delimiter.join(_NAMES).encode() + format_.line_end.encode())
        for _ in range(megabytes * 1_000_000 // len(chunk)):
            file.write(chunk)


def ours(path: Path, case: str) -> int:
    """Read the file through the format into frames; return the number of records."""
    return read(FORMATS[case], path)


def fastest(path: Path, case: str) -> int:
    """Read the file by the fastest library into a frame; return the number of records."""
    return _READERS[case](path).height


def _line(number: int, format_: Csv) -> str:
    quote = (format_.escape or '"') + '"'
    said = f"say {quote}hi{quote}" if number % 10 == 0 else "plain text"
    more = f"text{format_.delimiter} more" if number % 5 == 0 else "more text"
    cells = [
        str(number),
        f'"name {number}"',
        f'"{said}"',
        f"{number * 1.5}",
        "2024-01-01",
        "AT",
        f'"{more}"',
        "",
        "12345",
    ]
    return format_.delimiter.join([*cells, "some longer free text of a record", "x", "y"]) + format_.line_end


def _by_arrow(path: Path) -> pl.DataFrame:
    table = arrow_csv.read_csv(
        path,
        parse_options=arrow_csv.ParseOptions(escape_char="\\", newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(_NAMES, pa.string())),
    )
    return pl.DataFrame(pl.from_arrow(table))


def _by_replacing(path: Path) -> pl.DataFrame:
    """No library but DuckDB reads long delimiters, and it is slower; this is right for this file alone."""
    data = path.read_bytes().replace(b"||", b"\x1f")
    frame = pl.read_csv(data, infer_schema=False, separator="\x1f")
    return frame.with_columns(pl.col("g").str.replace_all("\x1f", "||", literal=True))


_READERS: Final[dict[str, Callable[[Path], pl.DataFrame]]] = {
    "plain": partial(pl.read_csv, infer_schema=False),
    "escaped": _by_arrow,
    "pipes": _by_replacing,
    "carriage_returns": partial(pl.read_csv, infer_schema=False, eol_char="\r"),
}
