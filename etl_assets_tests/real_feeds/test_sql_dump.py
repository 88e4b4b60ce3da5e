"""Two dumps as their publishers wrote them: Chinook for PostgreSQL, and Sakila for MySQL."""

from __future__ import annotations

import json
import re
import sqlite3
import zipfile
from typing import Any

import pytest

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.sql_dump import SqlDump
from etl_assets_tests.real_feeds.taking import FEEDS, with_real_feeds

pytestmark = with_real_feeds
_CHINOOK = FEEDS / "chinook"
_SAKILA = FEEDS / "torture/pgloader/test/data/sakila-db.zip"
_TABLES = (
    "Album",
    "Artist",
    "Customer",
    "Employee",
    "Genre",
    "Invoice",
    "InvoiceLine",
    "MediaType",
    "Playlist",
    "PlaylistTrack",
    "Track",
)


def snake(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


@pytest.mark.parametrize("table", _TABLES)
def test_each_table_of_chinook_has_the_records_of_the_same_table_in_sqlite(table: str) -> None:
    """The two were generated from one model; dates are written in different ways, and are not compared."""
    with (_CHINOOK / "Chinook_PostgreSql.sql").open("rb") as dump:
        batches = list(SqlDump(snake(table), "postgres").read(dump, "chinook"))
    rows = [row[:-1] for batch in batches for row in batch.frame.rows()]
    assert sum(batch.malformed.height for batch in batches) == 0
    assert len(rows) == json.loads((_CHINOOK / "GROUND_TRUTH.json").read_text("utf-8"))[table]
    connection = sqlite3.connect(f"file:{_CHINOOK / 'Chinook_Sqlite.sqlite'}?mode=ro&immutable=1", uri=True)
    cursor = connection.execute(f"SELECT * FROM {table}")
    names = tuple(snake(column[0]) for column in cursor.description)
    expected = cursor.fetchall()
    connection.close()
    assert set(batches[0].names) == set(names)
    compared = [name for name in batches[0].names if not name.endswith("_date")]
    ours = [tuple(row[batches[0].names.index(name)] for name in compared) for row in rows]
    theirs = [tuple(_text(row[names.index(name)]) for name in compared) for row in expected]
    assert sorted(ours, key=str) == sorted(theirs, key=str)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


@pytest.mark.parametrize(
    ("table", "width", "records"),
    [("actor", 4, 200), ("payment", 7, 16049), ("rental", 7, 16044), ("film", 13, 1000), ("inventory", 4, 4581)],
)
def test_tables_of_sakila_are_read_with_the_names_that_are_declared(table: str, width: int, records: int) -> None:
    """Its INSERTs name no columns, and its CREATE TABLEs are in another file; the numbers are those of its manual."""
    names = tuple(f"c{index}" for index in range(width))
    with zipfile.ZipFile(_SAKILA) as archive, archive.open("sakila-db/sakila-data.sql") as dump:
        batches = list(SqlDump(table, "mysql", header=names).read(dump, "sakila"))  # type: ignore[arg-type]  # a stream of bytes
    assert [(batch.frame.height, batch.malformed.height) for batch in batches] == [(records, 0)]


def test_a_table_without_names_is_refused_with_the_remedy() -> None:
    with (
        zipfile.ZipFile(_SAKILA) as archive,
        archive.open("sakila-db/sakila-data.sql") as dump,
        pytest.raises(DeliveryError, match=r"header=\(\.\.\.\)"),
    ):
        list(SqlDump("actor", "mysql").read(dump, "sakila"))  # type: ignore[arg-type]  # a stream of bytes
