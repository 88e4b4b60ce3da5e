"""Other databases by SQLAlchemy: SQLite and MariaDB by a named driver, DuckDB as a dialect that a package brings."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import pytest
from sqlalchemy.dialects import registry

from etl_assets import DatabaseExtractor, Incremental, Partition
from etl_assets.errors import DeliveryError, DeliveryMissingError
from etl_assets.extract.database.address import address_of
from etl_assets.extract.database.connecting import connect
from etl_assets_tests.extract.database.frozen import freeze
from etl_assets_tests.extract.database.test_databases_conform import CHANGED, DatabaseSuite
from etl_assets_tests.extract.database.test_databases_conform import TABLE as SMALL

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets_tests.extract.database.conftest import Shop

registry.register("quack", "duckdb_engine", "Dialect")
registry.register("shop.pymysql", "sqlalchemy.dialects.mysql.pymysql", "MySQLDialect_pymysql")
DAY = Partition("2024-01-02", "", datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC))


def sqlite_of(folder: Path, *statements: str) -> str:
    """Make a database of SQLite, or change it; return its URL."""
    with sqlite3.connect(folder / "a.db") as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    return f"sqlite+pysqlite:///{folder / 'a.db'}"


def duckdb_of(folder: Path, *statements: str) -> str:
    with duckdb.connect(str(folder / "a.duckdb")) as connection:
        for statement in statements:
            connection.execute(statement)
    return f"quack:///{folder / 'a.duckdb'}"


def maria_of(shop: Shop) -> str:
    return shop.url.replace(shop.url.partition("://")[0], "shop+pymysql", 1)


class TestSqlite(DatabaseSuite):
    @pytest.fixture
    def extractor(self, tmp_path: Path) -> DatabaseExtractor:
        url = sqlite_of(tmp_path, *SMALL)
        return DatabaseExtractor(url, table="t", partition_column="changed", incremental=CHANGED)


class TestDuckDb(DatabaseSuite):
    @pytest.fixture
    def extractor(self, tmp_path: Path) -> DatabaseExtractor:
        url = duckdb_of(tmp_path, *SMALL)
        return DatabaseExtractor(url, table="t", partition_column="changed", incremental=CHANGED)


class TestMariaDb(DatabaseSuite):
    @pytest.fixture
    def extractor(self, shop: Shop) -> DatabaseExtractor:
        shop.run(*SMALL)
        changed = Incremental("changed", timedelta(hours=1))
        return DatabaseExtractor(
            maria_of(shop), table="t", access=shop.extractor().access, partition_column="changed", incremental=changed
        )


def test_values_of_duckdb_are_read_exactly(tmp_path: Path) -> None:
    url = duckdb_of(
        tmp_path,
        "CREATE TABLE t (h HUGEINT, n DECIMAL(38,9), f DOUBLE, b BLOB, d DATE, ts TIMESTAMP, tz TIMESTAMPTZ, "
        "ti TIME, u UUID, l INTEGER[], s STRUCT(a INTEGER, b VARCHAR), yes BOOLEAN, x VARCHAR)",
        "INSERT INTO t VALUES (-170141183460469231731687303715884105728, -12345678901234567890123456789.123456789, "
        r"0.1, '\x00\xFF'::BLOB, '2024-02-29', '2024-02-29 23:59:59.000001', '2024-02-29 12:00:00.5+02', "
        "'23:59:59.999999', '123e4567-e89b-12d3-a456-426655440000', [1, NULL], {'a': 1, 'b': 'x'}, true, NULL)",
    )
    assert freeze(DatabaseExtractor(url, table="t"), tmp_path).records == [
        {
            "h": "-170141183460469231731687303715884105728",
            "n": "-12345678901234567890123456789.123456789",
            "f": "0.1",
            "b": "00ff",
            "d": "2024-02-29",
            "ts": "2024-02-29 23:59:59.000001",
            "tz": "2024-02-29 10:00:00.5+00:00",
            "ti": "23:59:59.999999",
            "u": "123e4567-e89b-12d3-a456-426655440000",
            "l": "[1,null]",
            "s": '{"a":1,"b":"x"}',
            "yes": "true",
            "x": None,
        }
    ]


def test_values_of_mariadb_are_read_exactly(shop: Shop, tmp_path: Path) -> None:
    shop.run(
        "CREATE TABLE t (n DECIMAL(38,9), f DOUBLE, b BLOB, d DATE, dt DATETIME(6), ts TIMESTAMP(6) NULL, "
        "ti TIME(6), far TIME, j JSON, big BIGINT UNSIGNED, `100% \\ ``x``` TEXT)",
        "SET time_zone = '+02:00'",
        "INSERT INTO t VALUES (-12345678901234567890123456789.123456789, 0.1, X'00FF', '2024-02-29', "
        "'2024-02-29 23:59:59.000001', '2024-02-29 12:00:00.5', '23:59:59.5', '-838:59:59', "
        """'{"a":  12345678901234567890.5}', 18446744073709551615, '%s :x')""",
    )
    extractor = DatabaseExtractor(maria_of(shop), table="t", access=shop.extractor().access)
    assert freeze(extractor, tmp_path).records == [
        {
            "n": "-12345678901234567890123456789.123456789",
            "f": "0.1",
            "b": "00ff",
            "d": "2024-02-29",
            "dt": "2024-02-29 23:59:59.000001",
            "ts": "2024-02-29 10:00:00.5",
            "ti": "23:59:59.5",
            "far": "-838:59:59",
            "j": '{"a":  12345678901234567890.5}',
            "big": "18446744073709551615",
            "100% \\ `x`": "%s :x",
        }
    ]


def test_a_session_of_mariadb_is_one_snapshot_that_only_reads(shop: Shop) -> None:
    shop.run("CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1)")
    access = shop.extractor().access
    with connect(address_of(maria_of(shop), "x"), access) as session:
        assert (session.row("SELECT count(*) FROM t"), session.notes) == ((1,), [])
        shop.run("INSERT INTO t VALUES (2)")
        assert session.row("SELECT count(*) FROM t") == (1,)
        assert session.row("SELECT @@session.tx_read_only") == (1,)


def test_a_session_of_sqlite_is_one_snapshot_that_only_reads(tmp_path: Path) -> None:
    url = sqlite_of(tmp_path, "PRAGMA journal_mode = WAL", "CREATE TABLE t (id INTEGER)")
    access = DatabaseExtractor(url, table="t").access
    with connect(address_of(url, "x"), access) as session:
        assert session.row("SELECT count(*) FROM t") == (0,)
        sqlite_of(tmp_path, "INSERT INTO t VALUES (1)")
        assert (session.row("SELECT count(*) FROM t"), session.notes) == ((0,), [])
        with pytest.raises(Exception, match="readonly"):
            session.row("INSERT INTO t VALUES (2) RETURNING id")


def test_named_partitions_are_values_and_never_sql(shop: Shop, tmp_path: Path) -> None:
    shop.run(
        "CREATE TABLE t (id INT, shop TEXT)", "INSERT INTO t VALUES (1, CONCAT(CHAR(92), CHAR(39), ' 100%')), (2, 'b')"
    )
    access = shop.extractor().access
    extractor = DatabaseExtractor(maria_of(shop), table="t", access=access, partition_column="shop")
    for key, ids in (("\\' 100%", ["1"]), ("\\' OR 1=1 -- ", [])):
        assert [r["id"] for r in freeze(extractor, tmp_path, partition=Partition(key)).records] == ids


@pytest.mark.parametrize("of", [sqlite_of, duckdb_of])
def test_changes_are_fetched_and_polled(tmp_path: Path, of: object) -> None:
    assert callable(of)
    url = of(
        tmp_path,
        "CREATE TABLE t (id INTEGER, changed TIMESTAMP)",
        "INSERT INTO t VALUES (1, '2024-01-01 10:00:00'), (2, '2024-01-01 12:00:00'), (3, NULL)",
    )
    by = Incremental("changed", timedelta(minutes=30), type="timestamp")
    extractor = DatabaseExtractor(url, table="t", incremental=by)
    first = freeze(extractor, tmp_path)
    assert extractor.poll_since(Partition(), first.state) == first.manifest.validators
    of(tmp_path, "INSERT INTO t VALUES (4, '2024-01-01 11:45:00')")
    assert extractor.poll_since(Partition(), first.state) != first.manifest.validators
    assert freeze(extractor, tmp_path, first.state).column("id") == ["2", "3", "4"]


def test_a_window_of_instants_has_its_start_and_not_its_end(tmp_path: Path) -> None:
    url = duckdb_of(
        tmp_path,
        "CREATE TABLE t (id INTEGER, changed TIMESTAMPTZ)",
        "INSERT INTO t VALUES (1, '2024-01-01 23:59:59+00'), (2, '2024-01-02 00:00+00'), (3, '2024-01-03 00:00+00')",
    )
    extractor = DatabaseExtractor(url, table="t", partition_column="changed")
    assert freeze(extractor, tmp_path, partition=DAY).column("id") == ["2"]


def test_what_is_missing_or_wrong_is_an_error(shop: Shop, tmp_path: Path) -> None:
    for url, access in (
        (sqlite_of(tmp_path, "CREATE TABLE t (id INTEGER)"), DatabaseExtractor("sqlite:///x", table="t").access),
        (duckdb_of(tmp_path, "CREATE TABLE t (id INTEGER)"), DatabaseExtractor("sqlite:///x", table="t").access),
        (maria_of(shop), shop.extractor().access),
    ):
        with pytest.raises(DeliveryMissingError, match="There is no"):
            freeze(DatabaseExtractor(url, table="gone", access=access), tmp_path)
        with pytest.raises(DeliveryMissingError):
            freeze(DatabaseExtractor(url, query="SELECT * FROM gone", access=access), tmp_path)
        with pytest.raises(DeliveryError, match="Correct table, query or columns"):
            freeze(DatabaseExtractor(url, query="SELECT nope FROM (SELECT 1 AS x) z", access=access), tmp_path)
