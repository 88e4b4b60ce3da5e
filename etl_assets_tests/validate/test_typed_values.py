"""Values with a type in a file get the verdict of their texts: the same rows, the same broken rules."""

from __future__ import annotations

import io
from datetime import date, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_assets.extract.formats.parquet import Parquet
from etl_assets.extract.formats.parquet.cells import published_type
from etl_assets.extract.formats.parquet.values import values_of
from etl_assets.schema import Column, Rule, Schema
from etl_assets.validate import RuleValidator
from etl_assets_tests.conformance.test_parquet_conforms import parquet
from etl_assets_tests.validate.published import PublishedBatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.model.batch import RawBatch, Verdict

_DAY: Final = 86_400
_A_SECOND: Final = {"ms": 10**3, "us": 10**6, "ns": 10**9}
_ZONES: Final = (None, "UTC", "Europe/Paris", "America/New_York")
_DATES: Final = (None, ("%d.%m.%Y",), ("%Y-%d-%m",), ("%Y-%m-%d",), ("%y%m%d", "%Y-%m-%d"))
_READINGS: Final = (None, ("%d/%m/%Y %H:%M",), ("%Y-%d-%m %H:%M:%S",), ("%Y-%m-%d",))
_INSTANTS: Final = (*_READINGS, ("%Y-%d-%m %H:%M:%S%z",))
_TIMES: Final = (None, ("%H.%M",), ("%M:%H:%S",))
_WORDS: Final = (*[()] * 6, ("NA",), ("0", "7", "true", "1970-01-01"))
"""Null words: mostly none, since values are read as text if they may be one."""


def as_text(batch: RawBatch) -> RawBatch:
    """Return the same batch without typed values."""
    texts = PublishedBatch(batch.frame.drop("_record_no"))
    texts.canonical, texts.types = batch.canonical, batch.types
    return texts


def comparable(verdict: Verdict) -> tuple[Any, ...]:
    """Return a verdict for comparison; unlike equal numbers, the texts of 0.0 and -0.0 differ."""
    return dict(verdict.rows.schema), repr(verdict.rows.rows()), verdict.rejected.rows()


def columns(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return declarations of columns that can hold values of a published type."""
    rules = {"required": st.booleans(), "strip": st.booleans(), "null": st.sampled_from(_WORDS)}
    numbers = {"minimum": st.sampled_from((None, 0, 2.5)), "maximum": st.sampled_from((None, 10**18, 2**70))}
    match kind:
        case "integer" | "float" | "decimal":
            return st.one_of(
                declared("integer", **rules, **numbers, default=st.sampled_from((*[None] * 4, "5"))),
                declared("integer", **rules, allowed=st.just((7, 0))),
                declared("float", **rules, **numbers),
                st.tuples(st.integers(1, 38), st.integers(0, 38)).flatmap(
                    lambda size: declared(
                        "decimal", **rules, **numbers, precision=st.just(max(size)), scale=st.just(size[1])
                    )
                ),
            )
        case "boolean":
            words = st.sampled_from(((("true",), ("false",)), (("Y",), ("N",)), (("false",), ("true",))))
            return words.flatmap(
                lambda pair: declared("boolean", **rules, true=st.just(pair[0]), false=st.just(pair[1]))
            )
        case "time":
            least = st.sampled_from((None, time(8)))
            return declared("time", **rules, minimum=least, formats=st.sampled_from(_TIMES))
        case "instant":
            zones = st.sampled_from(_ZONES[1:])
            return declared("timestamp", **rules, zone=zones, formats=st.sampled_from(_INSTANTS)) | declared(
                "timestamp", **rules, formats=st.just(("%d.%m.%Y %H:%M%z",))
            )
        case _:
            first = st.sampled_from((None, date(2000, 1, 1)))
            return (
                declared("date", **rules, minimum=first, formats=st.sampled_from(_DATES))
                | declared("timestamp", **rules, zone=st.sampled_from(_ZONES), formats=st.sampled_from(_READINGS))
                | declared("timestamp", **rules, formats=st.just(("%d.%m.%Y %H:%M%z",)))
            )


def declared(type_: str, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"type": st.just(type_), **arguments})


def counts(bits: int, *units: int, signed: bool = True) -> st.SearchStrategy[int]:
    """Return integers of a size, many of them at its ends, small, or whole multiples of units."""
    least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    near = [st.integers(-800_000, 3_000_000).map(unit.__mul__) for unit in (1, *units)]
    some = st.one_of(st.integers(least, most), st.sampled_from((least, least + 1, most, 0, 7)), *near)
    return some.filter(lambda number: least <= number <= most)


def floats(width: Any) -> st.SearchStrategy[float]:
    whole = st.integers(-(2**70), 2**70).map(float) if width == 64 else st.integers(-2000, 2000).map(float)
    return st.one_of(st.floats(width=width), whole, st.sampled_from((0.5, 0.25, -0.0, 7.0)))


def numbers_of(type_: Any) -> st.SearchStrategy[Any]:
    """Return the values of a type; of dates and times, the counts that the file has."""
    if pa.types.is_integer(type_):
        return counts(type_.bit_width, signed=pa.types.is_signed_integer(type_))
    if pa.types.is_floating(type_):
        return floats(type_.bit_width)
    if pa.types.is_decimal(type_):
        most = 10**type_.precision - 1
        return st.integers(-most, most).map(
            lambda digits: Decimal((digits < 0, Decimal(abs(digits)).as_tuple().digits, -type_.scale))
        )
    if pa.types.is_boolean(type_):
        return st.booleans()
    if pa.types.is_date32(type_):
        return counts(32)
    second = _A_SECOND[type_.unit]
    return counts(type_.bit_width, second // 1000, second, second * _DAY)


def array_of(type_: Any, values: Sequence[Any]) -> Any:
    if pa.types.is_temporal(type_):
        return pa.array(values, pa.int32() if type_.bit_width == 32 else pa.int64()).view(type_)
    return pa.array(values, type_)


_TYPES: Final = (
    *(pa.int8(), pa.int64(), pa.uint16(), pa.uint64(), pa.float16(), pa.float32(), pa.float64()),
    *(pa.decimal32(9, 4), pa.decimal128(5, 0), pa.decimal128(38, 0), pa.decimal128(21, 2), pa.decimal128(38, 38)),
    *(pa.decimal256(40, 2), pa.bool_(), pa.date32(), pa.time32("ms"), pa.time64("us"), pa.time64("ns")),
    *(pa.timestamp(unit, zone) for unit in _A_SECOND for zone in (None, "UTC", "Asia/Tokyo", "+02:00")),
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[pa.Table, list[Column], tuple[str, ...]]:
    """Draw a table, how its columns are declared, and the null words of the format."""
    types = draw(st.lists(st.sampled_from(_TYPES), min_size=4, max_size=8))
    rows = draw(st.integers(1, 8))
    arrays = [
        array_of(type_, draw(st.lists(st.none() | numbers_of(type_), min_size=rows, max_size=rows))) for type_ in types
    ]
    names = [f"x{number}" for number in range(len(types))]
    declarations = [
        Column(name, **draw(columns(str(published_type(type_))))) for name, type_ in zip(names, types, strict=True)
    ]
    return pa.table(dict(zip(names, arrays, strict=True))), declarations, draw(st.sampled_from(_WORDS))


def assert_same(table: pa.Table, declarations: Sequence[Column], null: tuple[str, ...] = ()) -> None:
    """Assert that the verdicts of values and of texts are equal."""
    (batch,) = Parquet(null=null).read(io.BytesIO(parquet(table)), "x")
    schema = Schema(tuple(declarations), key=(declarations[0].name,))
    validator = RuleValidator()
    assert comparable(validator.validate(batch, schema)) == comparable(validator.validate(as_text(batch), schema))


@settings(max_examples=80)
@given(cases())
def test_values_get_the_verdict_of_their_texts(case: tuple[pa.Table, list[Column], tuple[str, ...]]) -> None:
    assert_same(*case)


@pytest.mark.parametrize(
    ("array", "column"),
    [
        (pa.array([7, 8, None]), Column("x", "integer", null=("7",), required=True)),
        (pa.array([7, 8, None]), Column("x", "integer", null=("7",), default="5")),
        (pa.array([7, 8, None]), Column("x", "integer", default="5")),
        (pa.array([7, 8, None]), Column("x", "integer", strip=True, allowed=(8,), required=True)),
        (pa.array([2.0**53 + 2, 1.2345678901234567e18, 1e22, None]), Column("x", "integer")),
        (pa.array([0.5, -0.0, 1e22, 1e-7], pa.float64()), Column("x", "decimal", precision=30, scale=7)),
        (pa.array([0.1, float("nan"), float("inf"), -0.0], pa.float32()), Column("x", "float")),
        (pa.array([Decimal("7.00"), None]), Column("x", "integer")),
        (pa.array([Decimal(2**63), Decimal(7)], pa.decimal128(38, 0)), Column("x", "integer")),
        (pa.array([Decimal("0.1"), Decimal("98765432109876543210.1")]), Column("x", "float")),
        (pa.array([-719_163, -719_162, 2_932_896, 2_932_897], pa.int32()).view(pa.date32()), Column("x", "date")),
        (pa.array([-1, 0, 2_932_897], pa.int32()).view(pa.date32()), Column("x", "timestamp", zone="Europe/Paris")),
        (pa.array([0, _DAY * 10**6, 1, 2**62]).view(pa.timestamp("us")), Column("x", "date")),
        (pa.array([1, 1000, 2**62]).view(pa.timestamp("ns")), Column("x", "timestamp", zone="Asia/Tokyo")),
        (pa.array([1, 1000, 2**62]).view(pa.timestamp("ms")), Column("x", "timestamp", zone="Asia/Tokyo")),
        (pa.array([1, 2**62]).view(pa.timestamp("us", "+02:00")), Column("x", "timestamp", formats=("%Y %H:%M%z",))),
        (pa.array([1, 1000, _DAY * 10**9 - 1]).view(pa.time64("ns")), Column("x", "time")),
        (pa.array([1, _DAY * 10**6, -1]).view(pa.time64("us")), Column("x", "time")),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else value.type.name,
)
def test_values_at_the_ends_of_types_get_the_verdict_of_their_texts(array: Any, column: Column) -> None:
    assert_same(pa.table({"x": array}), [column])


def test_a_null_word_of_the_format_is_no_value_in_a_column_with_a_type() -> None:
    table = pa.table({"x": [7, 8], "y": [True, None], "z": pa.array([0, 1], pa.int32()).view(pa.date32())})
    columns = [Column("x", "integer"), Column("y", "boolean"), Column("z", "date", required=True)]
    for words in (("NA", ""), ("7",), ("true",), ("1970-01-01",)):
        assert_same(table, columns, words)


def test_rules_over_records_see_the_same_values() -> None:
    later = Rule("later", pl.col("x") < pl.col("y"), "x is before y")
    table = pa.table({"x": [1, 2, None], "y": [2.0, 1.0, 3.0]})
    (batch,) = Parquet().read(io.BytesIO(parquet(table)), "x")
    schema = Schema((Column("x", "integer"), Column("y", "float")), key=("x",), rules=(later,))
    assert RuleValidator().validate(batch, schema).rejected.rows() == [(2, ["later"])]


@pytest.mark.parametrize(
    ("column", "array", "value"),
    [
        (Column("x", "date", formats=("%Y-%d-%m",)), pa.array([date(2024, 3, 2)]), date(2024, 3, 2)),
        (Column("x", "boolean", true=("false",), false=("true",)), pa.array([False]), False),
    ],
)
def test_a_declared_notation_makes_no_other_value_of_one_that_has_a_type(
    column: Column, array: Any, value: Any
) -> None:
    (batch,) = Parquet().read(io.BytesIO(parquet(pa.table({"x": array}))), "x")
    for same in (batch, as_text(batch)):
        assert RuleValidator().validate(same, Schema((column,), key=("x",))).rows["x"].to_list() == [value]


def test_a_value_outside_of_its_type_is_left_to_its_text() -> None:
    digits = pa.array([Decimal(12345)], pa.decimal128(38, 0))
    assert values_of(pa.Array.from_buffers(pa.decimal128(3, 0), 1, digits.buffers())) is None
    assert values_of(pa.array([25 * 3600 * 10**6]).view(pa.time64("us"))) is None
    assert values_of(pa.array([Decimal(1)], pa.decimal256(40, 0))) is None


def test_a_batch_has_typed_values_of_its_well_formed_records_alone() -> None:
    table = pa.table({"n": [1, 2, 3], "x": pa.array([b"a", b"w\xff", None]).view(pa.string())})
    (batch,) = Parquet().read(io.BytesIO(parquet(table)), "x")
    assert {name: values.to_list() for name, values in batch.typed.items()} == {"n": [1, 3]}
    assert batch.texts(("n",), pl.Series([1])).rows() == [("3", 3)]
    assert batch.texts_of(pl.Series([3, 2])).rows() == [("3", None, 3)]
