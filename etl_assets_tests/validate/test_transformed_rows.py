"""The rows that a transformer returns are validated by the rules of all columns."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_assets.errors import TransformError
from etl_assets.schema import RECORD_NO, Column, Schema
from etl_assets.schema.pandas_frames import to_pandas
from etl_assets.validate import RuleValidator, validate_rows
from etl_assets_tests.validate.oracle import judge
from etl_assets_tests.validate.published import PublishedBatch

REFUSED = "refused"
THREE_PLACES = pd.ArrowDtype(pa.decimal128(38, 3))
READING = datetime(2024, 1, 1, 10)  # noqa: DTZ001 -- a wall-clock reading
INSTANT = READING.replace(tzinfo=UTC)
INTEGER = Column("x", "integer")
FLOAT = Column("x", "float")
DECIMAL = Column("x", "decimal", precision=10, scale=2)
DATE = Column("x", "date")
TIMESTAMP = Column("x", "timestamp")
ZONED = Column("x", "timestamp", zone="Europe/Paris")
KEY = Column("k", "integer", required=True)
ID = uuid.UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff")


def returned(values: Any, index: list[int] | None = None, **kind: Any) -> pd.DataFrame:
    series = pd.Series(values, **kind)
    frame = pd.DataFrame({"k": range(len(series)), "x": series})
    frame.index = pd.Index(index or range(1, len(series) + 1), dtype="int64")
    return frame


def schema(column: Column) -> Schema:
    return Schema((KEY, column), key=("k",))


VALUES: list[tuple[Column, pd.Series[Any], Any]] = [
    (INTEGER, pd.Series([5]), 5),
    (INTEGER, pd.Series(["5"]), 5),
    (INTEGER, pd.Series(["5.0"]), REFUSED),
    (INTEGER, pd.Series([5.0, None]), 5),
    (INTEGER, pd.Series([5.5]), REFUSED),
    (INTEGER, pd.Series([float(2**63)]), REFUSED),
    (INTEGER, pd.Series([np.inf]), REFUSED),
    (INTEGER, pd.Series([2**63], dtype="uint64"), REFUSED),
    (INTEGER, pd.Series([5], dtype="int8"), 5),
    (INTEGER, pd.Series([Decimal("5.00")]), 5),
    (INTEGER, pd.Series([Decimal("5.01")]), REFUSED),
    (INTEGER, pd.Series([2**70], dtype=object), REFUSED),
    (INTEGER, pd.Series([5, "six"], dtype=object), 5),
    (INTEGER, pd.Series([Decimal("5.0")], dtype=object), 5),
    (INTEGER, pd.Series([Decimal("1E+999999")], dtype=object), REFUSED),
    (FLOAT, pd.Series([5]), 5.0),
    (FLOAT, pd.Series([5.5], dtype="float32"), 5.5),
    (FLOAT, pd.Series(["5.5"]), 5.5),
    (FLOAT, pd.Series([np.inf]), REFUSED),
    (FLOAT, pd.Series([Decimal("0.1")]), 0.1),
    (DECIMAL, pd.Series([0.1]), Decimal("0.10")),
    (DECIMAL, pd.Series([1e7]), Decimal(10000000)),
    (DECIMAL, pd.Series([1e-07]), REFUSED),
    (DECIMAL, pd.Series([1e16]), REFUSED),
    (DECIMAL, pd.Series([0.125]), REFUSED),
    (DECIMAL, pd.Series([0.1 + 0.2]), REFUSED),
    (DECIMAL, pd.Series([np.inf]), REFUSED),
    (DECIMAL, pd.Series([5]), Decimal(5)),
    (DECIMAL, pd.Series([10**8]), REFUSED),
    (DECIMAL, pd.Series([Decimal("1.5")]), Decimal("1.50")),
    (DECIMAL, pd.Series([Decimal("1.500")], dtype=THREE_PLACES), Decimal("1.50")),
    (DECIMAL, pd.Series([Decimal("1.505")], dtype=THREE_PLACES), REFUSED),
    (DECIMAL, pd.Series([Decimal(123456789)]), REFUSED),
    (DECIMAL, pd.Series([Decimal("NaN")], dtype=object), REFUSED),
    (DECIMAL, pd.Series(["1.5"], dtype="category"), Decimal("1.50")),
    (Column("x", "decimal", scale=2), pd.Series([1e16]), Decimal(10**16)),
    (Column("x", "boolean"), pd.Series([True]), True),
    (Column("x", "boolean"), pd.Series(["true"]), True),
    (Column("x", "boolean"), pd.Series(["1"]), REFUSED),
    (DATE, pd.Series([date(2024, 1, 1)]), date(2024, 1, 1)),
    (DATE, pd.Series(["2024-01-01"]), date(2024, 1, 1)),
    (DATE, pd.to_datetime(pd.Series(["2024-01-01"])), date(2024, 1, 1)),
    (DATE, pd.Series([READING]), REFUSED),
    (TIMESTAMP, pd.Series([READING]), READING),
    (TIMESTAMP, pd.Series([READING]).astype("datetime64[ns]"), READING),
    (TIMESTAMP, pd.Series([1], dtype="datetime64[ns]"), REFUSED),
    (TIMESTAMP, pd.Series([date(2024, 1, 1)]), READING.replace(hour=0)),
    (TIMESTAMP, pd.Series(["2024-01-01 10:00:00"]), READING),
    (TIMESTAMP, pd.Series([400_000_000_000], dtype="datetime64[s]"), REFUSED),
    (ZONED, pd.Series([INSTANT]), INSTANT),
    (ZONED, pd.Series([READING]), INSTANT.replace(hour=9)),
    (ZONED, pd.Series(["2024-01-01T10:00:00"]), INSTANT.replace(hour=9)),
    (ZONED, pd.Series([datetime(2024, 3, 31, 2, 30)]), REFUSED),  # noqa: DTZ001
    (Column("x", "time"), pd.Series([time(1, 2, 3)]), time(1, 2, 3)),
    (Column("x", "time"), pd.Series([1], dtype="time64[ns][pyarrow]"), REFUSED),
    (Column("x", "json"), pd.Series([{"a": [1]}, {"b": None}]), '{"a": [1]}'),
    (Column("x", "json"), pd.Series(['{"a":1}']), '{"a":1}'),
    (Column("x", "json"), pd.Series([{"a": np.inf}]), REFUSED),
    (Column("x", "uuid"), pd.Series([ID]), str(ID)),
    (Column("x", "uuid"), pd.Series([str(ID).upper()]), str(ID)),
    (Column("x", "text"), pd.Series(["a"], dtype=object), "a"),
    (Column("x", "text"), pd.Series(["a\0"]), REFUSED),
    (Column("x", "text"), pd.Series([None], dtype=object), None),
    (INTEGER, pd.Series([pd.NA], dtype="Int64"), None),
    (TIMESTAMP, pd.Series([pd.NaT]), None),
]


@pytest.mark.parametrize(("column", "values", "meaning"), VALUES, ids=lambda value: str(getattr(value, "type", ""))[:9])
def test_a_returned_value_is_kept_exactly_or_refused(column: Column, values: pd.Series[Any], meaning: object) -> None:
    frame = returned(values)
    verdict = validate_rows(schema(column), frame)
    if meaning is REFUSED:
        rule = "record__nul" if column.type.name == "text" else "x__type"
        assert verdict.rejected.row(0) == (1, [rule])
    else:
        assert verdict.rows["x"].to_list()[0] == meaning


WRONG_TYPES = [
    (Column("x", "text"), pd.Series([5])),
    (Column("x", "text"), pd.Series([5, "a"], dtype=object)),
    (DATE, pd.Series([True])),
    (INTEGER, pd.Series([True])),
    (INTEGER, pd.Series([True, 5], dtype=object)),
    (Column("x", "boolean"), pd.Series([1])),
    (TIMESTAMP, pd.Series([INSTANT])),
    (DATE, pd.Series([INSTANT])),
    (Column("x", "timestamp", formats=("%Y%m%d%H%M%z",)), pd.Series([READING])),
    (Column("x", "time"), pd.Series([pd.Timedelta(1)])),
    (Column("x", "json"), pd.Series([{1, 2}])),
]


@pytest.mark.parametrize(("column", "values"), WRONG_TYPES, ids=lambda value: str(getattr(value, "type", "")))
def test_a_column_of_an_unsuitable_type_is_an_error_of_the_transformer(column: Column, values: pd.Series[Any]) -> None:
    with pytest.raises(TransformError, match=r"column 'x'.*The batch was not written"):
        validate_rows(schema(column), returned(values))


def test_one_bad_row_rejects_every_row_of_its_record() -> None:
    column = Column("x", "integer", minimum=0, maximum=9)
    verdict = validate_rows(schema(column), returned([1, -1, 2, 10, 3, 4], index=[7, 5, 5, 5, 7, 6]))
    assert verdict.rows.rows() == [(0, 1, 7), (4, 3, 7), (5, 4, 6)]
    assert verdict.rejected.rows() == [(5, ["x__minimum", "x__maximum"])]


def test_columns_are_typed_and_in_the_order_of_the_schema_with_the_record_number_last() -> None:
    rows = validate_rows(schema(FLOAT), returned([1.5])[["x", "k"]]).rows
    assert rows.schema == pl.Schema({"k": pl.Int64(), "x": pl.Float64(), RECORD_NO: pl.Int64()})


def test_a_transformer_may_return_no_rows() -> None:
    verdict = validate_rows(schema(DATE), returned([]))
    assert verdict.rows.schema["x"] == pl.Date()
    assert verdict.rows.is_empty()
    assert verdict.rejected.is_empty()


def test_a_derived_text_is_stripped_and_gets_its_default() -> None:
    column = Column("x", "integer", derived=True, strip=True, null=("NA",), default="7")
    assert validate_rows(schema(column), returned([" 5 ", "NA", None])).rows["x"].to_list() == [5, 7, 7]


def test_a_missing_column_and_an_additional_one_are_named() -> None:
    with pytest.raises(TransformError, match=r"missing \['x'\], additional \['y'\], twice \[\]\. The batch was not"):
        validate_rows(schema(FLOAT), returned([1]).rename(columns={"x": "y"}))


def test_a_repeated_column_is_named() -> None:
    frame = returned([1])
    with pytest.raises(TransformError, match=r"twice \['x'\]"):
        validate_rows(schema(FLOAT), pd.concat([frame, frame[["x"]]], axis=1))


@pytest.mark.parametrize("index", [["a"], [1.5], [None], pd.MultiIndex.from_tuples([(1, 2)])], ids=str)
def test_an_index_without_record_numbers_is_an_error_of_the_transformer(index: Any) -> None:
    frame = returned([1])
    frame.index = index if isinstance(index, pd.MultiIndex) else pd.Index(index)
    with pytest.raises(TransformError, match="index that is no record number"):
        validate_rows(schema(FLOAT), frame)


def test_an_object_that_is_no_frame_is_an_error_of_the_transformer() -> None:
    with pytest.raises(TransformError, match="returned a NoneType"):
        validate_rows(schema(FLOAT), None)  # type: ignore[arg-type]


EVERY = Schema(
    (
        KEY,
        Column("s", "text"),
        Column("f", "float"),
        Column("m", "decimal", scale=20),
        Column("b", "boolean"),
        Column("d", "date"),
        Column("t", "timestamp"),
        Column("z", "timestamp", zone="UTC"),
        Column("c", "time", formats=("%H:%M:%S.%f",)),
        Column("j", "json"),
        Column("u", "uuid"),
    ),
    key=("k",),
)
RECORD: dict[str, list[str | None]] = {
    "k": ["1", "2"],
    "s": ["a", None],
    "f": ["1.5", None],
    "m": ["123456789012345678.12345678901234567890", None],
    "b": ["true", None],
    "d": ["0001-01-01", None],
    "t": ["9999-12-31 23:59:59", None],
    "z": ["2024-01-01 00:00:00", None],
    "c": ["23:59:59.999999", None],
    "j": ["{}", None],
    "u": [str(ID), None],
}


def test_rows_are_unchanged_after_a_conversion_to_pandas_and_back() -> None:
    rows = RuleValidator().validate(PublishedBatch(RECORD), EVERY).rows
    frame = to_pandas(rows)
    assert frame.index.tolist() == [1, 2]
    assert frame.index.name == RECORD_NO
    assert all(isinstance(type_, pd.ArrowDtype) for type_ in frame.dtypes)
    verdict = validate_rows(EVERY, frame)
    assert verdict.rejected.is_empty()
    assert verdict.rows.equals(rows)


@given(values=st.lists(st.floats() | st.decimals(-1000, 1000, places=2).map(float), max_size=30))
@settings(max_examples=60)
def test_floats_become_decimals_only_where_their_shortest_text_does(values: list[float]) -> None:
    verdict = validate_rows(schema(DECIMAL), returned(pd.Series(values, dtype="double[pyarrow]")))
    plain = [format(Decimal(repr(value)), "f") if np.isfinite(value) else repr(value) for value in values]
    expected = [(index, judge(DECIMAL, text)) for index, text in enumerate(plain) if not np.isnan(values[index])]
    kept = [(index, value) for index, (value, broken) in expected if not broken]
    accepted = [row[:2] for row in verdict.rows.iter_rows() if not np.isnan(values[row[0]])]
    assert accepted == kept
