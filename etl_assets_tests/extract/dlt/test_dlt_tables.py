"""Arrow tables and frames are frozen as Parquet."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etl_assets import DltExtractor, Parquet, Partition
from etl_assets.errors import DeliveryError
from etl_assets.extract.dlt import tables
from etl_assets.landing import LandingStore
from etl_assets.landing.land import batches, land
from etl_assets_tests.dlt_feeds import fetch, yielding

if TYPE_CHECKING:
    from pathlib import Path

TABLE = pa.table({"a": pa.array([1, 2], pa.int32()), "d": pa.array([Decimal("1.10"), None], pa.decimal128(38, 9))})


def read(*items: Any) -> pa.Table:
    found = fetch(yielding(*items), format=Parquet())
    assert found.name == "things.parquet"
    table: pa.Table = pq.read_table(io.BytesIO(found.data))
    assert int(found.statistics.get("records", 0)) == table.num_rows
    return table


def test_tables_and_batches_are_one_file() -> None:
    assert read(TABLE, [TABLE, *TABLE.to_batches()]).equals(pa.concat_tables([TABLE] * 3))


def test_frames_are_tables() -> None:
    assert read(pd.DataFrame({"a": [1, 2]}, index=[7, 8])).to_pydict() == {"a": [1, 2]}
    assert read(pd.DataFrame({"a": [1, 2]}, index=pd.Index([7, 8], name="k"))).to_pydict() == {
        "a": [1, 2],
        "k": [7, 8],
    }
    assert read(pl.DataFrame({"a": ["x", None]})).to_pydict() == {"a": ["x", None]}


def test_a_column_without_values_at_first_gets_the_type_of_the_later_tables() -> None:
    found = read(pa.table({"a": [1], "t": pa.nulls(1)}), pa.table({"a": [2], "t": ["x"]}), pa.table({"a": [3]}))
    assert found.to_pydict() == {"a": [1, 2, 3], "t": [None, "x", None]}


def test_later_tables_are_widened_without_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_AT_ONCE", 1)
    found = read(pa.table({"a": pa.array([2**40]), "b": ["x"]}), pa.table({"b": ["y"], "a": pa.array([1], pa.int8())}))
    assert found.to_pydict() == {"a": [2**40, 1], "b": ["x", "y"]}


@pytest.mark.parametrize(
    "later",
    [pa.table({"a": ["5"]}), pa.table({"a": [1.5]}), pa.table({"a": [1], "c": [1]})],
    ids=["text", "float", "c"],
)
def test_tables_that_do_not_fit_are_refused(later: pa.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_AT_ONCE", 1)
    with pytest.raises(DeliveryError, match=r"tables with different columns. Nothing was written"):
        read(pa.table({"a": [1]}), later)


def test_a_number_that_a_float_cannot_hold_is_refused() -> None:
    with pytest.raises(DeliveryError, match=r"tables with different columns"):
        read(pa.table({"a": [1.5]}), pa.table({"a": [2**53 + 1]}))


def test_dicts_are_refused_with_a_remedy() -> None:
    with pytest.raises(DeliveryError, match=r"yields a dict, and the format is parquet.*format=Ndjson\(\)"):
        read({"a": 1})


def test_a_frame_with_values_of_several_types_in_a_column_is_refused() -> None:
    with pytest.raises(DeliveryError, match=r"a column that Arrow has no type for"):
        read(pd.DataFrame({"a": [1, "x"]}))


def test_no_table_is_a_delivery_without_records(tmp_path: Path) -> None:
    extractor = DltExtractor(yielding([]), format=Parquet(), empty_ok=True)
    store = LandingStore(str(tmp_path))
    manifest = land(extractor, Partition(), store)
    assert (manifest.records, manifest.names, manifest.name) == (0, (), "things.parquet")
    assert [batch.frame.height for batch in batches(extractor, store, manifest)] == [0]


def test_the_same_tables_give_the_same_bytes() -> None:
    first, second = (fetch(yielding(TABLE), format=Parquet()).data for _ in range(2))
    assert first == second
