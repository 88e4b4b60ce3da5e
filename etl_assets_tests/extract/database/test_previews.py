"""A preview fetches the first rows alone."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import pytest

from etl_assets import DatabaseExtractor, Incremental, Partition
from etl_assets.extract.database.extractor import PREVIEW_ROWS
from etl_assets_tests.extract.database.frozen import freeze

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets_tests.extract.database.conftest import Postgres, Shop

DAY = Partition("2024-01-02", "", datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC))
MANY = 3_000_000


def assert_first_rows(extractor: DatabaseExtractor, folder: Path, partition: Partition = DAY) -> None:
    frozen = freeze(extractor.of_preview(), folder, partition=partition)
    assert frozen.column("id") == [str(number) for number in range(1, PREVIEW_ROWS + 1)]
    assert frozen.manifest.notes == ()


@pytest.mark.parametrize("driver", ["", "+psycopg2", "+psycopg"])
def test_of_millions_of_rows_of_postgresql_a_thousand_are_read(postgres: Postgres, tmp_path: Path, driver: str) -> None:
    query = (
        f"SELECT i AS id, timestamptz '2024-01-02 00:00+00' AS at, md5(i::text) AS x FROM generate_series(1, {MANY}) i"
    )
    postgres.run(f"CREATE VIEW v AS {query}")
    by = Incremental("at", timedelta(hours=1))
    extractor = postgres.extractor(table="v", partition_column="at", incremental=by)
    url = extractor.url.replace("postgresql://", f"postgresql{driver}://")
    before = time.monotonic()
    assert_first_rows(
        DatabaseExtractor(url, table="v", access=extractor.access, partition_column="at", incremental=by), tmp_path
    )
    assert time.monotonic() - before < 10


def test_of_a_table_of_mariadb_a_thousand_rows_are_read(shop: Shop, tmp_path: Path) -> None:
    shop.run("CREATE TABLE t AS SELECT seq AS id, REPEAT('x', 100) AS x FROM seq_1_to_200000")
    assert_first_rows(shop.extractor(table="t"), tmp_path, Partition())


def test_of_a_table_of_duckdb_a_thousand_rows_are_read(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "a.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT range + 1 AS id FROM range(200000)")
    assert_first_rows(DatabaseExtractor(f"duckdb:///{tmp_path}/a.duckdb", table="t"), tmp_path, Partition())


def test_a_small_table_is_read_whole_and_the_declaration_stays_as_it_was(postgres: Postgres, tmp_path: Path) -> None:
    postgres.run("CREATE TABLE t AS SELECT i AS id FROM generate_series(1, 1500) i")
    extractor = postgres.extractor(table="t")
    preview = extractor.of_preview()
    assert preview == extractor
    assert freeze(extractor, tmp_path).manifest.records == 1500
    assert freeze(preview, tmp_path).manifest.records == PREVIEW_ROWS
    postgres.run("DELETE FROM t WHERE id > 3")
    assert freeze(preview, tmp_path).column("id") == ["1", "2", "3"]
