"""DltExtractor keeps the contract of extractors, with every kind of item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from etl_assets import DltExtractor, Parquet
from etl_assets.model.partitions import Partition
from etl_assets.testing import ExtractorSuite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets import Extractor

ORDERS = [{"id": number, "lines": [{"sku": "a"}] * (number % 3)} for number in range(500)]


def orders(partition: Partition) -> Any:
    import dlt

    @dlt.resource
    def orders() -> Iterator[Any]:
        if partition.key == "2024":
            yield from (ORDERS[start : start + 7] for start in range(0, len(ORDERS), 7))

    return orders


def tables(partition: Partition) -> Any:
    import dlt

    found = [pa.Table.from_pylist(ORDERS)] if partition.key == "2024" else []
    return dlt.resource(found, name="orders")


class _Suite(ExtractorSuite):
    @pytest.fixture
    def there(self) -> Partition:
        return Partition("2024")

    @pytest.fixture
    def missing(self) -> Partition:
        return Partition("2025")


class TestDicts(_Suite):
    @pytest.fixture
    def extractor(self) -> Extractor:
        return DltExtractor(orders)


class TestNestedTable(_Suite):
    @pytest.fixture
    def extractor(self) -> Extractor:
        return DltExtractor(orders, table="orders__lines")


class TestTables(_Suite):
    @pytest.fixture
    def extractor(self) -> Extractor:
        return DltExtractor(tables, format=Parquet())
