"""Files of DuckDB as sources."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import pytest

from etl_assets import Database, DatabaseExtractor, Incremental, Partition
from etl_assets.errors import DeliveryError, DeliveryMissingError, DeliveryUnreachableError
from etl_assets_tests.extract.database.frozen import freeze

if TYPE_CHECKING:
    from pathlib import Path

TYPES = {
    "tiny": ("TINYINT", "-128", "-128", "integer"),
    "big": ("UBIGINT", "18446744073709551615", "18446744073709551615", "integer"),
    "huge": ("HUGEINT", "-170141183460469231731687303715884105728", None, "text"),
    "exact": ("DECIMAL(38,9)", "-12345678901234567890123456789.123456789", None, "decimal"),
    "twice": ("DOUBLE", "0.1", "0.1", "float"),
    "yes": ("BOOLEAN", "true", "true", "boolean"),
    "word": ("VARCHAR", "'ž😀'", "ž😀", "text"),
    "raw": ("BLOB", r"'\x00\xFF'::BLOB", "00ff", "text"),
    "uid": ("UUID", "'123e4567-e89b-12d3-a456-426655440000'", "123e4567-e89b-12d3-a456-426655440000", "text"),
    "day": ("DATE", "'2024-02-29'", "2024-02-29", "date"),
    "reading": ("TIMESTAMP", "'2024-02-29 23:59:59.000001'", "2024-02-29 23:59:59.000001", "timestamp"),
    "nano": ("TIMESTAMP_NS", "'2024-02-29 23:59:59.000000001'", "2024-02-29 23:59:59.000000001", "text"),
    "instant": ("TIMESTAMPTZ", "'2024-02-29 12:00:00.5+02'", "2024-02-29 10:00:00.5+00:00", "instant"),
    "clock": ("TIME", "'23:59:59.999999'", "23:59:59.999999", "time"),
    "span": ("INTERVAL", "INTERVAL 1 DAY", "1 day", "text"),
    "list": ("DECIMAL(5,2)[]", "[1.5, NULL]", "[1.5,null]", "text"),
    "record": ("STRUCT(a INTEGER, b VARCHAR)", "{'a': 1, 'b': 'x'}", '{"a":1,"b":"x"}', "text"),
    "mood": ("ENUM ('sad', 'happy')", "'happy'", "happy", "text"),
    "bits": ("BIT", "'1010'", "1010", "text"),
    "doc": ("JSON", "'{\"a\":  1}'", '{"a":  1}', "text"),
    "nothing": ("INTEGER", "NULL", None, "integer"),
}


def made(folder: Path, *statements: str) -> str:
    """Make a database, or change it; return its URL."""
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        for statement in statements:
            connection.execute(statement)
    return f"duckdb:///{folder / 'shop.duckdb'}"


def test_each_type_is_read_exactly(tmp_path: Path) -> None:
    url = made(
        tmp_path,
        f"CREATE TABLE wide ({', '.join(f'{name} {type_}' for name, (type_, *_) in TYPES.items())})",
        f"INSERT INTO wide VALUES ({', '.join(value for _, value, *_ in TYPES.values())})",
    )
    expected = {
        name: value if text is None and value != "NULL" else text for name, (_, value, text, _) in TYPES.items()
    }
    for extractor in (DatabaseExtractor(url, table="wide"), DatabaseExtractor(url, query="SELECT * FROM wide")):
        frozen = freeze(extractor, tmp_path)
        assert frozen.records == [expected]
        assert frozen.types == {name: type_ for name, (*_, type_) in TYPES.items()}


def test_values_outside_of_their_types_are_kept_as_text(tmp_path: Path) -> None:
    url = made(
        tmp_path,
        "CREATE TABLE odd (d DATE, tz TIMESTAMPTZ)",
        "INSERT INTO odd VALUES ('2024-01-01', '2024-01-01 00:00:00+00'), ('infinity', '-infinity')",
    )
    frozen = freeze(DatabaseExtractor(url, table="odd"), tmp_path)
    assert frozen.column("d") == ["2024-01-01", "infinity"]
    assert frozen.column("tz") == ["2024-01-01 00:00:00+00:00", "-infinity"]


def test_changes_are_fetched_and_polled(tmp_path: Path) -> None:
    url = made(
        tmp_path,
        "CREATE TABLE t (id INTEGER, changed TIMESTAMP)",
        "INSERT INTO t VALUES (1, '2024-01-01 10:00'), (2, '2024-01-01 12:00'), (3, NULL)",
    )
    extractor = DatabaseExtractor(url, table="main.t", incremental=Incremental("changed", timedelta(minutes=30)))
    first = freeze(extractor, tmp_path)
    assert extractor.poll_since(Partition(), first.state) == first.manifest.validators
    made(tmp_path, "INSERT INTO t VALUES (4, '2024-01-01 11:45')")
    assert extractor.poll_since(Partition(), first.state) != first.manifest.validators
    assert freeze(extractor, tmp_path, first.state).column("id") == ["2", "3", "4"]


def test_a_window_has_its_start_and_not_its_end(tmp_path: Path) -> None:
    url = made(
        tmp_path,
        "CREATE TABLE t (id INTEGER, changed TIMESTAMPTZ)",
        "INSERT INTO t VALUES (1, '2024-01-01 23:59:59+00'), (2, '2024-01-02 00:00+00'), (3, '2024-01-03 00:00+00')",
    )
    day = Partition("2024-01-02", "", datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC))
    assert freeze(DatabaseExtractor(url, table="t", partition_column="changed"), tmp_path, partition=day).column(
        "id"
    ) == ["2"]


def test_a_second_fetch_has_the_same_bytes(tmp_path: Path) -> None:
    url = made(tmp_path, "CREATE TABLE t AS SELECT range AS i, md5(range::VARCHAR) AS x FROM range(200000)")
    assert len({freeze(DatabaseExtractor(url, table="t"), tmp_path).manifest.sha256 for _ in range(2)}) == 1


def test_what_is_missing_or_wrong_is_an_error(tmp_path: Path) -> None:
    url = made(tmp_path, "CREATE TABLE t (id INTEGER)")
    with pytest.raises(DeliveryMissingError, match="gone"):
        freeze(DatabaseExtractor(url, table="gone"), tmp_path)
    with pytest.raises(DeliveryMissingError, match="no file"):
        freeze(DatabaseExtractor(f"{url}x", table="t"), tmp_path)
    with pytest.raises(DeliveryError, match="nope"):
        freeze(DatabaseExtractor(url, query="SELECT nope FROM t"), tmp_path)
    with pytest.raises(DeliveryError, match="cannot answer"):
        freeze(
            DatabaseExtractor(url, query="SELECT CAST(md5(i::VARCHAR) AS INTEGER) AS x FROM range(9) n(i)"), tmp_path
        )
    (tmp_path / "other.duckdb").write_bytes(b"no database" * 1000)
    with pytest.raises(DeliveryError, match="is no DuckDB database"):
        freeze(DatabaseExtractor(f"duckdb:///{tmp_path}/other.duckdb", table="t"), tmp_path)


def test_a_query_reads_no_other_file(tmp_path: Path) -> None:
    url = made(tmp_path, "CREATE TABLE t (id INTEGER)")
    (tmp_path / "secret.csv").write_text("a\n1\n")
    with pytest.raises(DeliveryError):
        freeze(DatabaseExtractor(url, query=f"SELECT * FROM '{tmp_path}/secret.csv'"), tmp_path)


def test_a_long_query_ends_at_the_deadline(tmp_path: Path) -> None:
    url = made(tmp_path, "CREATE TABLE t (id INTEGER)")
    query = "SELECT count(*) AS n FROM range(1000000) a, range(1000000) b WHERE hash(a.range, b.range) = 1"
    with pytest.raises(DeliveryUnreachableError, match="took longer"):
        freeze(DatabaseExtractor(url, query=query, access=Database(deadline=1.0)), tmp_path)
