"""The profile of a delivery is the same however its rows were cut into batches."""

from __future__ import annotations

import json
import math
import random
import statistics
import struct
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets.model.profile import RANKS, ColumnProfile
from etl_assets.schema import RECORD_NO, Column, Schema
from etl_assets.schema.types import TYPES
from etl_assets.watch.profiles import merge, profile_batch
from etl_assets.watch.sketches import KEPT_HASHES

if TYPE_CHECKING:
    from etl_assets.schema import TypeName

READING = datetime(2024, 1, 1, 10)  # noqa: DTZ001 -- a wall-clock reading
COLUMNS = {
    "text": Column("text", "text"),
    "integer": Column("integer", "integer"),
    "float": Column("float", "float"),
    "decimal": Column("decimal", "decimal", precision=38, scale=3),
    "boolean": Column("boolean", "boolean"),
    "date": Column("date", "date"),
    "timestamp": Column("timestamp", "timestamp"),
    "time": Column("time", "time"),
    "json": Column("json", "json"),
    "uuid": Column("uuid", "uuid"),
}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6),
    "integer": st.integers(-(2**63), 2**63 - 1) | st.integers(0, 3),
    "float": st.floats(-1e9, 1e9) | st.sampled_from([0.0, 0.5]),
    "decimal": st.decimals(-1000, 1000, places=3),
    "boolean": st.booleans(),
    "date": st.dates(),
    "timestamp": st.datetimes(),
    "time": st.times(),
    "json": st.sampled_from(['{"a": 1}', "[]"]),
    "uuid": st.uuids().map(str),
}
SCHEMA = Schema(columns=tuple(COLUMNS.values()), key=("integer",))
ROWS = st.lists(st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()}), max_size=40)


def frame(rows: list[dict[str, Any]], schema: Schema = SCHEMA) -> pl.DataFrame:
    types = {column.name: column.type.polars for column in schema.columns}
    typed = pl.DataFrame(rows, schema=types)
    return typed.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias(RECORD_NO))


def profile(column: Column, *batches: list[Any]) -> ColumnProfile:
    """Return the profile of one column, whose values come in some batches."""
    schema = Schema(columns=(column,), key=(column.name,))
    frames = [frame([{column.name: value} for value in batch], schema) for batch in batches]
    (merged,) = merge(schema, [profile_batch(schema, rows, len(frames)) for rows in frames])
    return merged


def exact(profiles: tuple[ColumnProfile, ...]) -> list[Any]:
    """Return the parts of profiles that do not depend at all on how rows were cut."""
    return [(p.column, p.rows, p.nulls, p.distinct, p.minimum, p.maximum, p.top) for p in profiles]


def near(number: float | None, *, rel: float, abs: float) -> Any:  # noqa: A002 -- as pytest calls it
    return None if number is None else pytest.approx(number, rel=rel, abs=abs)


def cut(rows: list[dict[str, Any]], at: int) -> list[bytes]:
    return [profile_batch(SCHEMA, frame(part), 2) for part in (rows[:at], rows[at:])]


def test_every_type_has_its_column_here() -> None:
    assert set(COLUMNS) == set(TYPES)


@given(ROWS, st.integers(0, 40))
def test_parts_add_up_to_the_whole(rows: list[dict[str, Any]], at: int) -> None:
    whole = merge(SCHEMA, [profile_batch(SCHEMA, frame(rows))])
    added = merge(SCHEMA, cut(rows, at))
    assert exact(added) == exact(whole)
    for one, other in zip(added, whole, strict=True):
        rounding = 1e-9 * (other.deviation or 0)  # of large values that cancel each other
        assert one.mean == near(other.mean, rel=1e-9, abs=max(1e-6, rounding))
        assert one.deviation == near(other.deviation, rel=1e-6, abs=1e-3)
        assert one.quantiles == pytest.approx(other.quantiles, rel=1e-12)


def test_a_negative_zero_is_a_zero_whichever_comes_first() -> None:
    column = Column("number", "float")
    for batches in ([[0.0, -0.0]], [[-0.0, 0.0]], [[0.0], [-0.0]], [[-0.0], [0.0]]):
        found = profile(column, *batches)
        assert (found.minimum, found.maximum, found.top) == ("0.0", "0.0", (("0.0", 2),))


@given(ROWS, st.integers(0, 40))
def test_the_order_of_parts_does_not_matter(rows: list[dict[str, Any]], at: int) -> None:
    parts = cut(rows, at)
    assert merge(SCHEMA, parts) == merge(SCHEMA, reversed(parts))


@given(ROWS)
def test_counts_and_extremes_are_what_python_says(rows: list[dict[str, Any]]) -> None:
    for found in merge(SCHEMA, [profile_batch(SCHEMA, frame(rows))]):
        values = [row[found.column] for row in rows if row[found.column] is not None]
        assert (found.rows, found.nulls, found.distinct) == (len(rows), len(rows) - len(values), len(set(values)))
        if values and found.column in {"text", "integer"}:
            assert (found.minimum, found.maximum) == (str(min(values)), str(max(values)))


@given(st.lists(st.integers(-1000, 1000), min_size=1))
def test_mean_and_deviation_are_what_python_says(values: list[int]) -> None:
    found = profile(COLUMNS["integer"], values[:1], values[1:])
    assert found.mean == pytest.approx(statistics.fmean(values), abs=1e-9)
    assert found.deviation == pytest.approx(statistics.pstdev(values), abs=1e-6)


@pytest.mark.parametrize(
    ("type_", "values", "expected"),
    [
        ("text", ["b", "a", "cc"], ("a", "cc", 4 / 3)),
        ("integer", [3, -1, 4], ("-1", "4", 2.0)),
        ("float", [0.5, -1.5], ("-1.5", "0.5", -0.5)),
        ("decimal", [Decimal("1.250"), Decimal("-0.750")], ("-0.750", "1.250", 0.25)),
        ("boolean", [True, False, True, True], ("false", "true", 0.75)),
        ("date", [date(1970, 1, 3), date(1970, 1, 1)], ("1970-01-01", "1970-01-03", 1.0)),
        ("time", [time(0, 0, 2), time(0, 0, 4)], ("00:00:02", "00:00:04", 3.0)),
        ("json", ["{}", "[]"], (None, None, None)),
        ("uuid", ["6f9619ff-8b86-d011-b42d-00c04fc964ff"], (None, None, None)),
    ],
)
def test_each_type_has_its_own_texts_and_numbers(
    type_: TypeName, values: list[Any], expected: tuple[str | None, str | None, float | None]
) -> None:
    found = profile(COLUMNS[type_], values)
    assert (found.minimum, found.maximum, found.mean) == (*expected[:2], expected[2] and pytest.approx(expected[2]))


def test_timestamps_with_and_without_zone_have_iso_texts_and_means_in_seconds() -> None:
    reading = profile(COLUMNS["timestamp"], [READING])
    assert reading.minimum == "2024-01-01T10:00:00.000000"
    instant = profile(Column("at", "timestamp", zone="UTC"), [READING.replace(tzinfo=UTC)])
    assert instant.minimum == "2024-01-01T10:00:00.000000+00:00"
    assert reading.mean == instant.mean == READING.replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize("type_", TYPES)
def test_a_column_without_a_value_has_counts_and_nothing_else(type_: TypeName) -> None:
    assert profile(COLUMNS[type_], [None, None]) == ColumnProfile(type_, 2, 2, 0.0)


@pytest.mark.parametrize("type_", TYPES)
def test_a_batch_without_rows_adds_nothing(type_: TypeName) -> None:
    assert profile(COLUMNS[type_], [], [None]) == ColumnProfile(type_, 1, 1, 0.0)


def test_without_parts_there_is_no_profile() -> None:
    assert merge(SCHEMA, []) == ()


def test_only_counts_are_kept_of_a_sensitive_column() -> None:
    column = Column("salary", "integer", sensitive=True)
    assert profile(column, [1000, 1000, None, 2000]) == ColumnProfile("salary", 4, 1, 2.0)


def test_nothing_of_a_sensitive_or_json_value_is_in_a_part() -> None:
    schema = Schema(columns=(Column("name", "text", sensitive=True), Column("document", "json")), key=("name",))
    part = profile_batch(schema, frame([{"name": "Ada Lovelace", "document": '{"born": "1815-12-10"}'}], schema))
    assert b"Ada" not in part
    assert b"1815" not in part


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_float_that_is_no_finite_number_counts_as_a_value_but_not_in_sums(odd: float) -> None:
    found = profile(COLUMNS["float"], [1.0, odd, 3.0, None])
    assert (found.rows, found.nulls, found.minimum, found.maximum, found.mean) == (4, 1, "1.0", "3.0", 2.0)
    assert max(found.quantiles.values()) == 3.0


def test_sums_that_overflow_are_left_out() -> None:
    found = profile(COLUMNS["float"], [1e308, -1e308, 1e308], [1e308])
    assert (found.minimum, found.maximum) == ("-1e+308", "1e+308")
    assert (found.mean, found.deviation) == (None, None)


def test_long_texts_are_not_kept_whole() -> None:
    found = profile(COLUMNS["text"], ["x" * 5000] * 3)
    assert (found.minimum, found.top) == ("x" * 200, ())


@pytest.mark.parametrize("different", [100, KEPT_HASHES - 1, 20_000, 300_000])
def test_the_number_of_distinct_values_is_estimated_within_the_stated_error(different: int) -> None:
    values = [f"value {number}" for number in range(different)] * 2
    batches = [values[start : start + 50_000] for start in range(0, len(values), 50_000)]
    found = profile(COLUMNS["text"], *batches).distinct
    assert found == (different if different < KEPT_HASHES else pytest.approx(different, rel=4 * 0.031))


@pytest.mark.parametrize("rows", [1000, 200_000])
def test_quantiles_are_within_two_percent_of_their_ranks(rows: int) -> None:
    values = [number**2 for number in range(rows)]
    random.Random(7).shuffle(values)  # noqa: S311 -- no secret
    found = profile(COLUMNS["integer"], *(values[start : start + 60_000] for start in range(0, rows, 60_000)))
    assert tuple(found.quantiles) == RANKS
    for rank, value in found.quantiles.items():
        assert math.sqrt(value) / rows == pytest.approx(rank, abs=0.02)
    assert (found.quantiles[0.0], found.quantiles[1.0]) == (0, (rows - 1) ** 2)


def test_a_small_batch_weighs_no_more_than_its_rows() -> None:
    found = profile(COLUMNS["integer"], [0] * 100_000, [1] * 2000)
    assert (found.quantiles[0.95], found.quantiles[0.99]) == (0, 1)


def test_values_that_repeat_with_the_period_of_the_sample_are_counted_correctly() -> None:
    values = ["a", "b", "c", "d", "e", "f", "g", "h"] * 10_000
    counts = dict(profile(COLUMNS["text"], values).top)
    assert counts == pytest.approx(dict.fromkeys("abcdefgh", 10_000), rel=0.2)


def test_the_most_frequent_values_come_first_with_their_counts() -> None:
    found = profile(COLUMNS["text"], ["b"] * 5 + ["a"] * 3, ["c", "a", "a"])
    assert found.top == (("a", 5), ("b", 5))


def test_values_in_less_than_one_row_of_a_hundred_are_not_frequent() -> None:
    assert profile(COLUMNS["integer"], list(range(500))).top == ()
    assert profile(COLUMNS["integer"], [*range(500), 7, 7, 7, 7, 7]).top == (("7", 6),)


def with_header(part: bytes, **changes: Any) -> bytes:
    (length,) = struct.unpack_from(">I", part)
    header = json.dumps({**json.loads(part[4 : 4 + length]), **changes}).encode()
    return struct.pack(">I", len(header)) + header + part[4 + length :]


def test_parts_whose_hashes_cannot_be_compared_leave_the_number_of_distinct_values_unknown() -> None:
    part = profile_batch(SCHEMA, frame([dict.fromkeys(COLUMNS)]))
    added = merge(SCHEMA, [part, with_header(part, hashes="polars 0.1 abacus")])
    assert {found.distinct for found in added} == {None}
    assert {(found.rows, found.nulls) for found in added} == {(2, 2)}


def test_parts_of_another_format_are_not_read() -> None:
    part = profile_batch(SCHEMA, frame([dict.fromkeys(COLUMNS)]))
    assert merge(SCHEMA, [part, with_header(part, format=999)]) == ()


def test_a_long_column_of_times_is_profiled_without_rounding() -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    values = [start + timedelta(seconds=number % 10) for number in range(1000)]
    found = profile(Column("at", "timestamp", zone="UTC"), values)
    assert found.deviation == pytest.approx(statistics.pstdev(range(10)), rel=1e-6)
