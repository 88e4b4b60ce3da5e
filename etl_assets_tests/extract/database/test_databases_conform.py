"""The suite that every extractor must pass, for each database that the tests have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import pytest

from etl_assets import DatabaseExtractor, Incremental, Partition
from etl_assets.errors import DeliveryMissingError
from etl_assets.testing import ExtractorSuite

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets.extract.base import Extractor
    from etl_assets_tests.extract.database.conftest import Postgres, Shop

TABLE = ("CREATE TABLE t (id INT PRIMARY KEY, changed TIMESTAMP)", "INSERT INTO t VALUES (1, '2024-01-02 10:00')")
CHANGED = Incremental("changed", timedelta(hours=1), type="timestamp")


class DatabaseSuite(ExtractorSuite):
    """Of databases, a table is missing, and not a partition: a day without rows is a delivery without records."""

    @pytest.fixture
    def there(self) -> Partition:
        return Partition("2024-01-02", "", datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC))

    @pytest.fixture
    def missing(self) -> Partition:
        return Partition("2024-01-03", "", datetime(2024, 1, 3, tzinfo=UTC), datetime(2024, 1, 4, tzinfo=UTC))

    def test_a_missing_partition_raises_an_error(self, extractor: Extractor, missing: Partition) -> None:
        assert isinstance(extractor, DatabaseExtractor)
        gone = DatabaseExtractor(extractor.url, table="gone", access=extractor.access)
        with pytest.raises(DeliveryMissingError, match="Nothing was written"), gone.fetch(missing):
            pass


class TestPostgresql(DatabaseSuite):
    @pytest.fixture
    def extractor(self, postgres: Postgres) -> DatabaseExtractor:
        postgres.run(*TABLE)
        return postgres.extractor(table="t", partition_column="changed", incremental=CHANGED)


class TestMariaDb(DatabaseSuite):
    @pytest.fixture
    def extractor(self, shop: Shop) -> DatabaseExtractor:
        shop.run(*TABLE)
        changed = Incremental("changed", timedelta(hours=1))
        return shop.extractor(table="t", partition_column="changed", incremental=changed)


class TestDuckDb(DatabaseSuite):
    @pytest.fixture
    def extractor(self, tmp_path: Path) -> DatabaseExtractor:
        path = tmp_path / "t.duckdb"
        with duckdb.connect(str(path)) as connection:
            for statement in TABLE:
                connection.execute(statement)
        return DatabaseExtractor(f"duckdb:///{path}", table="t", partition_column="changed", incremental=CHANGED)
