"""The format Sqlite conforms to the contract of formats: tables with and without rowids, and queries."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path
from typing import Final

from etl_assets.extract.formats.sqlite import Sqlite
from etl_assets.testing.format_suite import FormatSuite

RECORDS: Final = 200
_ROWS: Final = """
    INSERT INTO {table}
    WITH RECURSIVE n(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < 200)
    SELECT n * 3 - 10,
           CASE n % 5 WHEN 0 THEN NULL WHEN 1 THEN n WHEN 2 THEN n / 4.0 WHEN 3 THEN 'é"' || n ELSE x'00ff' END,
           CASE WHEN n IN (9, 150) THEN CAST(x'77ff' AS TEXT) ELSE 'word' END, ''
    FROM n
"""
"""Whole and other numbers, texts, blobs and nulls in one column, and two texts that are not UTF-8 in another."""


def database(*statements: str) -> bytes:
    """Return a database as the bytes of its file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "database"
        connection = sqlite3.connect(path)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()
        return path.read_bytes()


_SAMPLE: Final = database(
    "CREATE TABLE items (id INTEGER PRIMARY KEY, value, word TEXT, empty TEXT)",
    _ROWS.format(table="items"),
    "CREATE TABLE keyed (id INTEGER, value, word TEXT, empty TEXT, PRIMARY KEY (word, id)) WITHOUT ROWID",
    _ROWS.format(table="keyed"),
    "CREATE TABLE none (a, b)",
    "CREATE TABLE keyed_none (a PRIMARY KEY) WITHOUT ROWID",
)


class TestSqliteTableConforms(FormatSuite):
    format = Sqlite(table="items", batch_bytes=900)
    sample = _SAMPLE
    records = RECORDS
    in_file = False


class TestSqliteTableWithoutRowidConforms(FormatSuite):
    format = Sqlite(table="KEYED", null=("", "word"), batch_bytes=2000)
    sample = _SAMPLE
    records = RECORDS
    in_file = False


class TestSqliteQueryConforms(FormatSuite):
    format = Sqlite(query="SELECT value, word, id AS 'the id' FROM items -- all;", batch_bytes=1500)
    sample = _SAMPLE
    records = RECORDS
    in_file = False


class TestEmptySqliteTableConforms(FormatSuite):
    """Of a database whose table has no rows, everything else is tested above."""

    format = Sqlite(table="items", batch_bytes=900)
    sample = _SAMPLE
    records = RECORDS
    empty = database("CREATE TABLE items (a, b)")
    in_file = False
