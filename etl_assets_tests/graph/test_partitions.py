"""A source and Dagster have the same partitions."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from etl_assets import Csv, Daily, FileExtractor, Files, Monthly, Static, Weekly
from etl_assets.errors import DeliveryError
from etl_assets.graph.partitions import add_files, check_key, partitions_definition

if TYPE_CHECKING:
    from etl_assets.model.partitions import Partitioning
    from etl_assets_tests.graph.conftest import Bench

_NOW = datetime(2024, 5, 17, 13, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "partitions",
    [
        Daily(start=date(2024, 2, 27)),
        Daily(start=date(2024, 2, 27), end=date(2024, 3, 2)),
        Weekly(start=date(2024, 1, 7)),
        Weekly(start=date(2024, 1, 7), end=date(2024, 2, 4)),
        Monthly(start=date(2023, 11, 1)),
        Monthly(start=date(2013, 1, 1), end=date(2014, 1, 1)),
        Static(names=("b", "a")),
    ],
)
@pytest.mark.parametrize("now", [_NOW, datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 5, 12, tzinfo=UTC)])
def test_dagster_has_the_same_keys_in_the_same_order(partitions: Partitioning, now: datetime) -> None:
    definition = partitions_definition(partitions, "x")
    assert definition is not None
    assert tuple(definition.get_partition_keys(current_time=now)) == partitions.keys(now)


def test_a_feed_without_partitions_has_no_definition() -> None:
    assert partitions_definition(None, "x") is None


def test_new_files_become_partitions_in_the_order_of_their_rank(bench: Bench) -> None:
    for name in ("12-2023.csv", "01-2024.csv", "02-2024.csv"):
        (bench.folder / name).write_text("id,name\n")
    source = bench.declare(
        extractor=FileExtractor(location=str(bench.folder / "*.csv"), format=Csv()),
        partitions=Files(rank=lambda name: name[3:7] + name[:2]),
    )
    expected = ["12-2023.csv", "01-2024.csv", "02-2024.csv"]
    assert add_files(source, bench.instance) == expected
    assert bench.instance.get_dynamic_partitions("people") == expected
    assert add_files(source, bench.instance) == expected


@pytest.mark.parametrize("key", ["", "a...b", "a\nb", " a", "a\0"])
def test_a_key_that_dagster_would_read_as_something_else_is_refused(key: str) -> None:
    with pytest.raises(DeliveryError, match="cannot be the key of a partition"):
        check_key(key)


@pytest.mark.parametrize("key", ["2024-01.csv", "folder/ä ö.csv", "a|b,c"])
def test_an_unusual_but_valid_key_is_returned_unchanged(key: str) -> None:
    assert check_key(key) == key


def test_each_file_is_loaded_as_the_partition_of_its_name(bench: Bench) -> None:
    (bench.folder / "a.csv").write_text("id,name\n1,old\n")
    (bench.folder / "b.csv").write_text("id,name\n1,new\n")
    source = bench.declare(
        extractor=FileExtractor(location=str(bench.folder / "*.csv"), format=Csv(), settle_seconds=0),
        partitions=Files(),
    )
    add_files(source, bench.instance)
    assert bench.run(source, "b.csv").success
    assert bench.run(source, "a.csv").success
    assert bench.query("SELECT id, name FROM core.people") == [(1, "new")]
    assert bench.instance.get_materialized_partitions(dg.AssetKey(["core", "people"])) == {"a.csv", "b.csv"}
