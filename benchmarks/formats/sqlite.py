"""SQLite: a table of twelve columns: numbers, texts and nulls."""

from __future__ import annotations

import random
import sqlite3
from typing import TYPE_CHECKING, Final

import polars as pl

from etl_assets.extract.formats.sqlite import Sqlite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ROWS_A_MEGABYTE: Final = 8_700
_COLUMNS: Final = (
    "id INTEGER PRIMARY KEY, code TEXT, name TEXT, share REAL, quantity INTEGER, day TEXT, reading TEXT, instant TEXT, "
    "is_new INTEGER, price REAL, note TEXT, whole REAL"
)


def write(path: Path, megabytes: int) -> None:
    """Write a file of about a size."""
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE items ({_COLUMNS})")
    connection.executemany(f"INSERT INTO items VALUES ({', '.join('?' * 12)})", _rows(megabytes * _ROWS_A_MEGABYTE))
    connection.commit()
    connection.close()


def ours(path: Path) -> int:
    """Read it into frames by the format, in one thread, as a run does with rows that Python fetches."""
    with path.open("rb") as file:
        return sum(batch.frame.height for batch in Sqlite(table="items").read(file, path.name))


def fastest(path: Path) -> int:
    """Read it into frames by the standard library and Polars, 50,000 rows at a time."""
    connection = sqlite3.connect(path)
    cursor = connection.execute("SELECT * FROM items")
    count = 0
    while rows := cursor.fetchmany(50_000):
        count += pl.DataFrame(rows, orient="row", infer_schema_length=None).height
    connection.close()
    return count


def _rows(count: int) -> Iterator[tuple[object, ...]]:
    generator = random.Random(1)  # noqa: S311 -- no secret
    for number in range(count):
        moment = f"2024-01-{number % 28 + 1:02d} 08:05:{number % 60:02d}"
        texts = (moment[:10], moment, f"{moment}Z")
        numbers = (number % 2, number % 100_000 / 100)
        note = None if number % 3 else "x" * 20
        name = f"name of {number}"
        share, quantity = generator.gauss(0, 1), generator.randrange(1000)
        yield (number, f"C{number % 977:05d}", name, share, quantity, *texts, *numbers, note, float(quantity))
