"""The keys of rejected records, read from these records alone."""

from __future__ import annotations

from datetime import date
from io import BytesIO
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pytest

from etl_assets.extract.formats.csv import Csv
from etl_assets.extract.formats.parquet import Parquet
from etl_assets.ingest.record_keys import RecordKeys
from etl_assets.ingest.selected_batch import SelectedBatch
from etl_assets.schema import Column, Schema
from etl_assets_tests.conformance.test_parquet_conforms import parquet

if TYPE_CHECKING:
    from etl_assets.model.batch import RawBatch
    from etl_assets_tests.ingest.world import World

LINES = b"day;amount\n01.02.2024;1\n02.02.2024;many\n2024-02-03;2\n;3\n04.02.2024;x;y\n05.02.2024;few\n"


@pytest.fixture
def dated(world: World) -> World:
    columns = (Column("day", "date", required=True, formats=("%d.%m.%Y",)), Column("amount", "integer"))
    return world.other(schema=Schema(columns, key=("day",)), format=Csv(delimiter=";"))


def of_text() -> RawBatch:
    (batch,) = Csv(delimiter=";").read(BytesIO(LINES), "")
    return batch


def test_the_keys_of_some_records_are_those_that_they_publish(dated: World) -> None:
    keys, unreadable = RecordKeys(dated.source).of_batch(of_text(), pl.Series([2, 6], dtype=pl.Int64))
    assert keys.rows() == [(date(2024, 2, 2), 2), (date(2024, 2, 5), 6)]
    assert unreadable.to_list() == []


def test_a_key_that_is_not_written_as_declared_is_unreadable_and_a_missing_one_is_none(dated: World) -> None:
    keys, unreadable = RecordKeys(dated.source).of_batch(of_text(), pl.Series([3, 4, 5], dtype=pl.Int64))
    assert keys.rows() == []
    assert unreadable.to_list() == [3, 5]


def test_keys_with_a_type_in_the_file_are_read_from_their_text(dated: World) -> None:
    table = pa.table({"day": [date(2024, 2, 1), date(2024, 2, 2)], "amount": ["many", "1"]})
    (batch,) = Parquet().read(BytesIO(parquet(table)), "")
    keys, unreadable = RecordKeys(dated.source).of_batch(batch, pl.Series([1], dtype=pl.Int64))
    assert (keys.rows(), unreadable.to_list()) == ([(date(2024, 2, 1), 1)], [])


def test_some_records_of_a_batch_are_a_batch_with_the_same_bytes_and_locations() -> None:
    whole, numbers = of_text(), pl.Series([2, 5], dtype=pl.Int64)
    some = SelectedBatch(whole, numbers)
    assert some.frame.rows() == [("02.02.2024", "many", 2)]
    assert some.malformed.rows() == [(5, ["record__field_count"])]
    assert (some.raw(5), some.location(5)) == (b"04.02.2024;x;y", ":6")
    assert some.raws([2, 5]).to_list() == [b"02.02.2024;many", b"04.02.2024;x;y"]
    assert some.locations([2, 5]).to_list() == [":3", ":6"]
