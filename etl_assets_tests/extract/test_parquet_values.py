"""Values of Parquet reach the typed rows unchanged: from the publisher's file, through landing store and casts."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etl_assets.errors import ShapeError
from etl_assets.extract.file import FileExtractor
from etl_assets.extract.formats.parquet import Parquet
from etl_assets.landing import LandingStore
from etl_assets.landing.land import batches, land
from etl_assets.model.partitions import Partition
from etl_assets.schema import Column, Schema
from etl_assets.validate import RuleValidator

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets.model.batch import Verdict

_KEY: Final = Column("k", "integer", required=True)


def verdict(folder: Path, array: Any, **declared: Any) -> Verdict:
    """Return what becomes of the values of a column ``x``."""
    table = pa.table({"k": range(len(array)), "x": array})
    pq.write_table(table, folder / "x.parquet")
    extractor = FileExtractor(location=str(folder / "x.parquet"), format=Parquet(), settle_seconds=0)
    store = LandingStore(str(folder / "landing"))
    (batch,) = batches(extractor, store, land(extractor, Partition(""), store))
    return RuleValidator().validate(batch, Schema((_KEY, Column("x", **declared)), key=("k",)))


_INTEGERS: Final = pa.array([-(2**63), -1, 0, 2**63 - 1, None])
_FLOATS: Final = pa.array([-1.5, 0.1, 3.0, 1e22, 5e-324, 1.7976931348623157e308, -0.0, 123456789.123456789, None])
_DECIMALS: Final = pa.array([Decimal("-0.01"), Decimal("99999999999999999999.99"), None], pa.decimal128(22, 2))
_DATES: Final = pa.array([date(1, 1, 1), date(1969, 12, 31), date(9999, 12, 31), None])
_TIMES: Final = pa.array([time(0), time(8, 5, 0, 500), time(23, 59, 59, 999_999), None])
_MOMENTS: Final = [datetime(1, 1, 1), datetime(2024, 1, 31, 8, 5, 0, 1), datetime(9999, 12, 31, 23, 59, 59), None]  # noqa: DTZ001


@pytest.mark.parametrize(
    ("array", "declared"),
    [
        (_INTEGERS, {"type": "integer"}),
        (pa.array([0, 255, None], pa.uint8()), {"type": "integer"}),
        (pa.array([1, -2, None]), {"type": "float"}),
        (pa.array([1, -2, None]), {"type": "decimal", "scale": 2}),
        (_FLOATS, {"type": "float"}),
        (pa.array([0.1, 1 / 3, None], pa.float32()), {"type": "float"}),
        (pa.array([1.5, None], pa.float16()), {"type": "float"}),
        (pa.array([3.0, -4.0, None]), {"type": "integer"}),
        (pa.array([0.25, 1e-7, 1e22, None]), {"type": "decimal", "precision": 38, "scale": 7}),
        (_DECIMALS, {"type": "decimal", "precision": 22, "scale": 2}),
        (pa.array([Decimal("1.5"), None], pa.decimal256(40, 1)), {"type": "decimal", "precision": 38, "scale": 1}),
        (pa.array([Decimal(7), None], pa.decimal128(5, 0)), {"type": "integer"}),
        (pa.array([True, False, None]), {"type": "boolean", "true": ("J",), "false": ("N",)}),
        (_DATES, {"type": "date", "formats": ("%d.%m.%Y",)}),
        (_DATES, {"type": "timestamp"}),
        (pa.array(_MOMENTS, pa.timestamp("us")), {"type": "timestamp", "formats": ("%d.%m.%Y %H:%M",)}),
        (pa.array(_MOMENTS[1:2], pa.timestamp("ns")), {"type": "timestamp"}),
        (pa.array([datetime(2024, 1, 31), None], pa.timestamp("s")), {"type": "date"}),  # noqa: DTZ001
        (pa.array(_MOMENTS, pa.timestamp("us", "UTC")), {"type": "timestamp", "zone": "Asia/Tokyo"}),
        (_TIMES, {"type": "time"}),
        (pa.array(["", "é", None]), {"type": "text"}),
        (pa.array(["a", None]).dictionary_encode(), {"type": "text"}),
        (pa.array(["1.50", None]), {"type": "decimal", "scale": 2}),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else value["type"],
)
def test_a_value_that_fits_the_declared_type_is_the_value_of_the_file(
    tmp_path: Path, array: Any, declared: dict[str, Any]
) -> None:
    found = verdict(tmp_path, array, **declared)
    assert found.rejected.is_empty()
    values = found.rows["x"].to_list()
    assert values == [_expected(value, declared["type"]) for value in array.to_pylist()]


def _expected(value: Any, type_: str) -> Any:
    """Return the value of the file as a value of the declared type; Python compares numbers exactly."""
    if type_ == "timestamp" and isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001
    if isinstance(value, datetime) or hasattr(value, "to_pydatetime"):
        moment = value.to_pydatetime() if hasattr(value, "to_pydatetime") else value
        return moment.date() if type_ == "date" else moment
    if isinstance(value, str) and type_ == "decimal":
        return Decimal(value)
    if isinstance(value, float) and type_ == "decimal":
        return Decimal(repr(value))
    return value


def test_uuids_and_json_keep_their_text(tmp_path: Path) -> None:
    value = UUID("0123abcd-0000-4000-8000-00000000000f")
    assert verdict(tmp_path, pa.array([value.bytes], pa.uuid()), type="uuid").rows["x"].to_list() == [str(value)]
    assert verdict(tmp_path, pa.array([[1, None]]), type="json").rows["x"].to_list() == ["[1, null]"]


@pytest.mark.parametrize(
    ("array", "declared"),
    [
        (pa.array([2**64 - 1], pa.uint64()), {"type": "integer"}),
        (pa.array([1.5]), {"type": "integer"}),
        (pa.array([0.125]), {"type": "decimal", "scale": 2}),
        (pa.array([float("nan")]), {"type": "float"}),
        (pa.array([float("-inf")]), {"type": "float"}),
        (pa.array([float("inf")]), {"type": "integer"}),
        (pa.array([1], pa.timestamp("ns")), {"type": "timestamp"}),
        (pa.array([1], pa.time64("ns")), {"type": "time"}),
        (pa.array([2**62], pa.timestamp("us")), {"type": "timestamp"}),
        (pa.array([3_000_000], pa.int32()).view(pa.date32()), {"type": "date"}),
        (pa.array([1], pa.timestamp("s")), {"type": "date"}),
        (pa.array([[float("nan")]]), {"type": "json"}),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else value["type"],
)
def test_a_value_that_does_not_fit_is_rejected_and_never_rounded(
    tmp_path: Path, array: Any, declared: dict[str, Any]
) -> None:
    found = verdict(tmp_path, array, **declared)
    assert found.rejected.rows() == [(1, ["x__type"])]


@pytest.mark.parametrize(
    ("array", "declared"),
    [
        (pa.array([7]), {"type": "text"}),
        (pa.array([7]), {"type": "boolean"}),
        (pa.array([True]), {"type": "integer"}),
        (pa.array([date(2024, 1, 1)]), {"type": "text"}),
        (pa.array([datetime(2024, 1, 1, tzinfo=UTC)]), {"type": "timestamp"}),
        (pa.array([time(1)]), {"type": "timestamp"}),
        (pa.array([[1]]), {"type": "integer"}),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else value["type"],
)
def test_a_column_of_another_type_than_declared_stops_the_delivery(
    tmp_path: Path, array: Any, declared: dict[str, Any]
) -> None:
    with pytest.raises(ShapeError, match="columns of another type than declared"):
        verdict(tmp_path, array, **declared)


def test_polars_and_pyarrow_read_the_same_texts(tmp_path: Path) -> None:
    table = pa.table({"i": _INTEGERS, "d": pa.array([Decimal("1.10")] * 5, pa.decimal128(9, 2))})
    pq.write_table(table, tmp_path / "x.parquet")
    with (tmp_path / "x.parquet").open("rb") as file:
        (batch,) = Parquet().read(file, "x")
        expected = pl.read_parquet(tmp_path / "x.parquet").cast(pl.String)
        assert batch.frame.select("i", "d").equals(expected)
