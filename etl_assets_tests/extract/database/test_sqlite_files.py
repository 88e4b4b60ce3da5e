"""Files of SQLite as sources: each cell with its own type, and what is in the write-ahead log."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from etl_assets import Database, DatabaseExtractor, Incremental, Partition
from etl_assets.errors import DeliveryError, DeliveryMissingError, DeliveryUnreachableError
from etl_assets.extract.database.address import address_of
from etl_assets.extract.database.dialects.sqlite import SqliteSession
from etl_assets_tests.extract.database.frozen import freeze, schema_of

if TYPE_CHECKING:
    from pathlib import Path


def made(folder: Path, *statements: str) -> str:
    """Make a database; return its URL."""
    path = folder / "a b.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return f"sqlite:///{path}".replace(" ", "%20")


def test_each_cell_is_read_by_its_own_type(tmp_path: Path) -> None:
    url = made(
        tmp_path,
        "CREATE TABLE t (x INTEGER, y)",
        "INSERT INTO t VALUES (1, 4611686018427387904), ('late text', 2.5), (NULL, X'00FF'), (0.1, ''), ('1', 1e300)",
    )
    frozen = freeze(DatabaseExtractor(url, table="t"), tmp_path)
    assert frozen.column("x") == ["1", "late text", None, "0.1", "1"]
    assert frozen.column("y")[:4] == ["4611686018427387904", "2.5", "00ff", ""]
    assert float(frozen.column("y")[4]) == 1e300


def test_texts_with_nul_and_texts_that_are_not_utf8_keep_their_bytes(tmp_path: Path) -> None:
    url = made(
        tmp_path,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)",
        "INSERT INTO t VALUES (1, 'a' || char(0) || 'b'), (2, CAST(X'C3' AS TEXT)), (3, 'ž')",
    )
    frozen = freeze(DatabaseExtractor(url, table="t"), tmp_path)
    assert [(record["id"], record["x"]) for record in frozen.records] == [("1", "a\0b"), ("3", "ž")]
    assert frozen.malformed == [2]


def test_the_write_ahead_log_is_seen_and_the_file_is_left_alone(tmp_path: Path) -> None:
    url = made(tmp_path, "PRAGMA journal_mode = WAL", "CREATE TABLE t (id INTEGER)", "INSERT INTO t VALUES (1)")
    path = tmp_path / "a b.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("INSERT INTO t VALUES (2)")
        before = path.read_bytes()
        assert freeze(DatabaseExtractor(url, table="t"), tmp_path).column("id") == ["1", "2"]
        assert path.read_bytes() == before


def test_generated_columns_views_and_queries_are_read(tmp_path: Path) -> None:
    url = made(
        tmp_path,
        'CREATE TABLE "a.b" ("sel""ect" INTEGER, double INTEGER AS ("sel""ect" * 2) STORED) STRICT',
        'INSERT INTO "a.b" ("sel""ect") VALUES (21)',
        'CREATE VIEW v AS SELECT double FROM "a.b"',
    )
    assert freeze(DatabaseExtractor(url, table='"a.b"'), tmp_path).records == [{'sel"ect': "21", "double": "42"}]
    assert freeze(DatabaseExtractor(url, table="v"), tmp_path).records == [{"double": "42"}]
    assert freeze(DatabaseExtractor(url, query="SELECT double + 1 AS y FROM v"), tmp_path).records == [{"y": "43"}]


def test_the_types_of_the_catalogue_are_kept(tmp_path: Path) -> None:
    url = made(tmp_path, "CREATE TABLE t (id INTEGER NOT NULL, price DECIMAL(10,2))")
    extractor = DatabaseExtractor(url, table="t")
    frozen = freeze(extractor, tmp_path)
    assert frozen.state["_catalogue"] == [["id", "INTEGER", False], ["price", "DECIMAL(10,2)", True]]
    assert (schema_of(extractor).field("price").metadata or {})[b"etl_assets:type"] == b"DECIMAL(10,2)"


def test_moments_are_compared_however_they_are_written(tmp_path: Path) -> None:
    url = made(
        tmp_path,
        "CREATE TABLE t (id INTEGER, at TEXT)",
        "INSERT INTO t VALUES (1, '2024-01-01T10:00:00Z'), (2, '2024-01-01 12:00'), (3, 'soon'), (4, NULL)",
    )
    extractor = DatabaseExtractor(url, table="t", incremental=Incremental("at", timedelta(minutes=30)))
    first = freeze(extractor, tmp_path)
    assert first.state["cursor"]["value"] == "2024-01-01T12:00:00+00:00"
    assert any("2 rows have no value in 'at'" in note for note in first.manifest.notes)
    made(tmp_path, "INSERT INTO t VALUES (5, '2024-01-01T13:00:00+01:00'), (6, '2024-01-01 11:00')")
    assert freeze(extractor, tmp_path, first.state).column("id") == ["2", "3", "4", "5"]


def test_integers_are_compared_as_integers(tmp_path: Path) -> None:
    url = made(tmp_path, "CREATE TABLE t (id INTEGER)", "INSERT INTO t VALUES (9), (10), ('x')")
    extractor = DatabaseExtractor(url, table="t", incremental=Incremental("id", 0, type="integer"))
    assert freeze(extractor, tmp_path, freeze(extractor, tmp_path).state).column("id") == ["10", "x"]


def test_a_window_has_its_start_and_not_its_end(tmp_path: Path) -> None:
    url = made(
        tmp_path,
        "CREATE TABLE t (id INTEGER, at TEXT)",
        "INSERT INTO t VALUES (1, '2024-01-01 23:59:59.999'), (2, '2024-01-02'), (3, '2024-01-03'), (4, NULL)",
    )
    day = Partition("2024-01-02", "", datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC))
    frozen = freeze(DatabaseExtractor(url, table="t", partition_column="at"), tmp_path, partition=day)
    assert frozen.column("id") == ["2"]
    assert any("1 rows have no value in 'at'" in note for note in frozen.manifest.notes)


def test_a_large_table_is_read_in_batches(tmp_path: Path) -> None:
    url = made(
        tmp_path,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) "
        "INSERT INTO t SELECT i, hex(zeroblob(i % 100)) FROM n",
    )
    frozen = freeze(DatabaseExtractor(url, table="t"), tmp_path)
    assert frozen.column("id") == [str(number) for number in range(1, 100001)]
    assert all(len(text) == 2 * (int(id_) % 100) for id_, text in ((r["id"], r["x"]) for r in frozen.records))


def test_what_is_missing_or_damaged_is_an_error(tmp_path: Path) -> None:
    url = made(tmp_path, "CREATE TABLE t (id INTEGER)")
    with pytest.raises(DeliveryMissingError, match="no table gone"):
        freeze(DatabaseExtractor(url, table="gone"), tmp_path)
    with pytest.raises(DeliveryMissingError, match="no such table"):
        freeze(DatabaseExtractor(url, query="SELECT * FROM gone"), tmp_path)
    with pytest.raises(DeliveryMissingError, match="no file"):
        freeze(DatabaseExtractor(f"{url}x", table="t"), tmp_path)
    (tmp_path / "other.db").write_bytes(b"no database at all, but long enough to be one" * 10)
    with pytest.raises(DeliveryError, match="SQLITE_NOTADB"):
        freeze(DatabaseExtractor(f"sqlite:///{tmp_path}/other.db", table="t"), tmp_path)


def test_an_error_of_another_origin_is_none_of_the_database(tmp_path: Path) -> None:
    session = SqliteSession(address_of(made(tmp_path, "CREATE TABLE t (a)"), "a test"), Database())
    assert session.error(ValueError("contents of a record")) is None
    session.close()


def test_a_query_without_an_end_stops_at_the_deadline(tmp_path: Path) -> None:
    url = made(tmp_path, "CREATE TABLE t (id INTEGER)")
    query = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS x FROM n"
    with pytest.raises(DeliveryUnreachableError, match="took longer"):
        freeze(DatabaseExtractor(url, query=query, access=Database(deadline=0.5)), tmp_path)


def test_a_locked_file_is_unreachable(tmp_path: Path) -> None:
    url = made(tmp_path, "CREATE TABLE t (id INTEGER)")
    with closing(sqlite3.connect(tmp_path / "a b.db", isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DeliveryUnreachableError):
            freeze(DatabaseExtractor(url, table="t", access=Database(timeout=0.1)), tmp_path)
