"""Values of Python are written so that the declared type reads exactly the same value, or refuses it."""

from __future__ import annotations

import enum
import io
import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets import Column, Ndjson, Schema
from etl_assets.extract.dlt.frozen_format import written
from etl_assets.extract.dlt.values import UnknownTypeError, object_of, with_large_integers
from etl_assets.validate import RuleValidator

if TYPE_CHECKING:
    from datetime import time
    from uuid import UUID

_ZONES = st.sampled_from((UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-11))))
_MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))  # noqa: DTZ001 -- the zones are drawn apart


def line(record: dict[str, Any]) -> bytes:
    return msgspec.json.encode(with_large_integers(object_of(record)))


def published(value: Any) -> Any:
    """Return a value as it is published: the text of the cell."""
    (batch,) = written(Ndjson()).read(io.BytesIO(line({"x": value}) + b"\n"), "")
    assert batch.malformed.is_empty()
    return batch.frame["x"][0]


def stored(value: Any, *declared: Any, **more: Any) -> list[Any]:
    """Return what a column of a type stores for a value; nothing if the record is rejected."""
    schema = Schema((Column("k", "integer", required=True), Column("x", *declared, **more)), key=("k",))
    found = []
    written_format = written(Ndjson())
    for batch in written_format.read(io.BytesIO(line({"k": 1, "x": value}) + b"\n"), ""):
        again = written_format.reread(batch.names, {1: batch.raw(1)})
        for each in (batch, again):
            rows = RuleValidator().validate(each, schema).rows
            found.append(rows["x"].to_list() if "x" in rows.columns else [None] * rows.height)
    assert found[0] == found[1]
    return found[0]


@given(_MOMENTS)
def test_a_timestamp_is_stored_as_it_was(value: datetime) -> None:
    assert stored(value, "timestamp") == [value]


@given(_MOMENTS, _ZONES)
def test_an_instant_is_stored_as_it_was(value: datetime, zone: timezone) -> None:
    instant = value.replace(tzinfo=zone)
    assert stored(instant, "timestamp", zone="Europe/Vienna") == [instant]


def test_an_instant_is_no_timestamp_without_a_zone() -> None:
    assert stored(datetime(2024, 1, 31, tzinfo=UTC), "timestamp") == []


@given(st.dates())
def test_a_date_is_stored_as_it_was(value: date) -> None:
    assert stored(value, "date") == [value]


@given(st.times())
def test_a_time_is_stored_as_it_was(value: time) -> None:
    assert stored(value, "time") == [value]


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**20), max_value=10**20))
def test_a_decimal_is_stored_with_its_digits(value: Decimal) -> None:
    assert stored(value, "decimal", scale=9) == [value]
    assert published(value) == format(value, "f")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_stored_as_it_was(value: float) -> None:
    (found,) = stored(value, "float")
    assert (found, math.copysign(1, found)) == (value, math.copysign(1, value))


@given(st.integers(-(2**53), 2**53))
def test_a_whole_float_is_an_integer(value: int) -> None:
    assert stored(float(value), "integer") == [value]


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_integer_is_stored_as_it_was(value: int) -> None:
    assert stored(value, "integer") == [value]


@given(st.integers(2**64, 10**38 - 1))
def test_a_large_integer_keeps_its_digits(value: int) -> None:
    assert stored(value, "decimal", scale=0) == [Decimal(value)]
    assert published([value]) == f"[{value}]"


@given(st.uuids())
def test_a_uuid_is_stored_as_it_was(value: UUID) -> None:
    assert stored(value, "uuid") == [str(value)]


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_a_text_is_stored_as_it_was(value: str) -> None:
    assert published(value) == value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, Decimal("NaN"), Decimal("-Infinity")], ids=repr)
@pytest.mark.parametrize("declared", ["float", "integer"])
def test_what_is_no_number_is_rejected_and_never_null(value: Any, declared: str) -> None:
    assert stored(value, declared) == []


def test_nan_is_null_if_the_format_says_so() -> None:
    (batch,) = written(Ndjson(null=("NaN",))).read(io.BytesIO(line({"x": math.nan}) + b"\n"), "")
    assert batch.frame["x"].to_list() == [None]


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Short(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (None, None),
        (b"ab\xff", "YWL/"),
        (bytearray(b"ab"), "YWI="),
        (timedelta(minutes=90), "5400000000 us"),
        (Colour.RED, "red"),
        (Level.HIGH, "3"),
        (Short("a"), "a"),
        ((1, 2.0, Decimal("1.10")), "[1,2,1.10]"),
        ({"a": {"b": [date(2024, 1, 31)]}}, '{"a":{"b":["2024-01-31"]}}'),
        ({1: "a"}, '{"1":"a"}'),
        (1e300, "1E+300"),
        (1e-7, "0.0000001"),
        (1e22, "10000000000000000000000"),
        (0.1 + 0.2, "0.30000000000000004"),
        (Decimal("1E+5"), "100000"),
        (Decimal("1E+60"), "1E+60"),
        (np.int64(5), "5"),
        (np.float32(0.5), "0.5"),
        (np.float64("nan"), "NaN"),
        (np.bool_(True), "true"),  # noqa: FBT003 -- numpy's
        (np.array([1, 2]), "[1,2]"),
        (np.datetime64("2024-01-31T08:05:00.5", "us"), "2024-01-31 08:05:00.5"),
        (pd.Timestamp("2024-01-31 08:05", tz="Europe/Vienna"), "2024-01-31 07:05:00+00:00"),
        (pd.Timestamp("2024-01-31 08:05:00.000000001"), "2024-01-31 08:05:00.000000001"),
        (pd.NaT, None),
        (pd.NA, None),
    ],
    ids=repr,
)
def test_the_notation_of_other_values(value: Any, text: str | None) -> None:
    assert published(value) == text


def test_values_of_pendulum_are_those_of_python() -> None:
    pendulum = pytest.importorskip("pendulum")
    moment = pendulum.datetime(2024, 1, 31, 8, 5, 0, 500_000, tz="Europe/Vienna")
    assert published(moment) == "2024-01-31 07:05:00.5+00:00"
    assert published(moment.date()) == "2024-01-31"
    assert published(moment.naive()) == "2024-01-31 08:05:00.5"


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, complex(1, 2), range(3), int, {"a": lambda: 1}, np.datetime64("2024-01-31T08:05", "ns")],
    ids=lambda value: type(value).__name__,
)
def test_a_value_without_a_notation_is_refused(value: Any) -> None:
    with pytest.raises(UnknownTypeError):
        line({"x": value})
