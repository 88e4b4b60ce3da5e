"""Values of Arrow arrays as text, in the notation of ``schema.canonical_type``. Nothing is rounded or cut.

A value that no declared type can hold, such as NaN or the year 10,000, becomes a text that the casts refuse.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, cast

import polars as pl
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_PLACES: Final = 38
"""A number with more digits before or after its point keeps its exponent; no decimal column can hold it."""
_A_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_A_DAY: Final = 24 * 60 * 60
_FIRST_DAY: Final = -719_162
_LAST_DAY: Final = 2_932_896
"""The days 0001-01-01 and 9999-12-31, counted from 1970-01-01."""
_LENGTH_OF_DATE: Final = len("2000-01-01 ")
_MOST_POLARS_DIGITS: Final = 38


def scalar_texts(array: pa.Array[Any]) -> pl.Series | None:
    """Return the values of an array without nested values as text.

    Returns:
        String; Binary for texts and bytes of which some are not UTF-8. None if the type has no notation.
    """
    type_ = array.type
    if pa.types.is_null(type_):
        return pl.Series([None], dtype=pl.String).new_from_index(0, len(array))
    for is_type, texts in _NOTATIONS:
        if is_type(type_):
            return texts(array)
    return None


def float_texts(values: pl.Series) -> pl.Series:
    """Return numbers in the fewest digits that are read as the same Float64; whole numbers without a point."""
    texts = values.cast(pl.Float64).cast(pl.String).str.strip_suffix(".0")
    return _without_exponents(texts, "e")


def _without_exponents(texts: pl.Series, mark: str) -> pl.Series:
    """Write numbers with an exponent as digits, unless these are too many."""
    exponents = texts.str.contains(mark, literal=True).fill_null(value=False)
    if not exponents.any():
        return texts
    indices = exponents.arg_true()
    return texts.scatter(indices, [_plain(text) for text in texts.gather(indices)])


def _plain(text: str) -> str:
    number = Decimal(text)
    return format(number, "f") if abs(number.adjusted()) <= _MOST_PLACES else text


def _numbers(array: pa.Array[Any]) -> pl.Series:
    return _series(array).cast(pl.String)


def _floats(array: pa.Array[Any]) -> pl.Series:
    return float_texts(_series(array))


def _decimals(array: pa.Array[Any]) -> pl.Series:
    type_: Any = array.type
    if type_.precision <= _MOST_POLARS_DIGITS and type_.scale >= 0 and not pa.types.is_decimal256(type_):
        return _series(array).cast(pl.String)
    return _without_exponents(_series(array.cast(pa.large_string())), "E")


def _texts(array: pa.Array[Any]) -> pl.Series:
    """Return texts as String; as Binary if one of them is not UTF-8, which the reader of the file does not check."""
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return _series(array.cast(pa.large_binary()))
    return _series(array)


def _bytes(array: pa.Array[Any]) -> pl.Series:
    whole = array.cast(pa.binary()) if pa.types.is_fixed_size_binary(array.type) else array
    try:
        return _series(whole.cast(pa.large_string()))
    except pa.ArrowInvalid:
        return _series(whole)


def _midnights(array: pa.Array[Any]) -> pl.Series:
    return _moments(_series(array.view(pa.int64())), "ms")


def _timestamps(array: pa.Array[Any]) -> pl.Series:
    type_: Any = array.type
    texts = _moments(_series(array.view(pa.int64())), type_.unit)
    return texts if type_.tz is None else texts + "+00:00"


def _moments(counts: pl.Series, unit: str) -> pl.Series:
    """Return dates with times of counts since 1970; those of other years than 0001 to 9999 as the count."""
    second = _A_SECOND[unit]
    first, last = _FIRST_DAY * _A_DAY * second, (_LAST_DAY + 1) * _A_DAY * second - 1
    return _in_range(counts, first, last, unit, lambda values: _clock_texts(values, unit))


def _times(array: pa.Array[Any]) -> pl.Series:
    type_: Any = array.type
    bits = pa.int32() if type_.bit_width == pa.int32().bit_width else pa.int64()
    counts, last = _series(array.view(bits)).cast(pl.Int64), _A_DAY * _A_SECOND[type_.unit] - 1
    return _in_range(counts, 0, last, type_.unit, lambda values: _time_texts(values, type_.unit))


def _days(array: pa.Array[Any]) -> pl.Series:
    counts = _series(array.view(pa.int32()))
    return _in_range(counts, _FIRST_DAY, _LAST_DAY, "days", lambda days: days.cast(pl.Date).cast(pl.String))


def _time_texts(counts: pl.Series, unit: str) -> pl.Series:
    return _clock_texts(counts, unit).str.slice(_LENGTH_OF_DATE)


def _clock_texts(counts: pl.Series, unit: str) -> pl.Series:
    """Return ``2024-01-31 08:05:00.5``, with as many digits of the fraction as are not zero."""
    moments = (counts * 1000).cast(pl.Datetime("ms")) if unit == "s" else counts.cast(pl.Datetime(_polars_unit(unit)))
    texts = moments.cast(pl.String)
    if unit == "s":
        return texts.str.head(_LENGTH_OF_DATE + len("00:00:00"))
    return texts.str.strip_chars_end("0").str.strip_suffix(".")


def _polars_unit(unit: str) -> Any:
    return unit


def _in_range(
    counts: pl.Series, first: int, last: int, unit: str, texts: Callable[[pl.Series], pl.Series]
) -> pl.Series:
    """Return texts of the counts in a range, which is all that Polars can format; of others the count itself."""
    inside = counts.is_between(max(first, -(2**63)), min(last, 2**63 - 1))
    if inside.all():
        return texts(counts)
    frame = pl.DataFrame({"count": counts, "inside": inside})
    within = texts(frame.select(pl.when("inside").then("count")).to_series())
    outside = pl.col("count").cast(pl.String) + f" {unit} since zero"
    return frame.select(pl.when("inside").then(within).otherwise(outside)).to_series()


def _durations(array: pa.Array[Any]) -> pl.Series:
    """Return ``90 s``: the count and its unit, as the file has them."""
    type_: Any = array.type
    return _series(array.view(pa.int64())).cast(pl.String) + f" {type_.unit}"


def _series(array: pa.Array[Any]) -> pl.Series:
    return cast("pl.Series", pl.from_arrow(array))


def _is_text(type_: pa.DataType) -> bool:
    return pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_)


def is_bytes(type_: pa.DataType) -> bool:
    """Return whether values are bytes without a type of their own."""
    return (
        pa.types.is_binary(type_)
        or pa.types.is_large_binary(type_)
        or pa.types.is_binary_view(type_)
        or pa.types.is_fixed_size_binary(type_)
    )


_NOTATIONS: Final[tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array[Any]], pl.Series]], ...]] = (
    (_is_text, _texts),
    (pa.types.is_integer, _numbers),
    (pa.types.is_boolean, _numbers),
    (pa.types.is_floating, _floats),
    (pa.types.is_decimal, _decimals),
    (pa.types.is_date32, _days),
    (pa.types.is_date64, _midnights),
    (pa.types.is_timestamp, _timestamps),
    (pa.types.is_time, _times),
    (pa.types.is_duration, _durations),
    (is_bytes, _bytes),
)
"""The notation of each kind of type. A date64 is written as its midnight, since it may have a time of day."""
