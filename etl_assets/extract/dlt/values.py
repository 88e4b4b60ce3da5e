"""Values of Python as JSON, in the notation of ``schema.canonical_type``. Nothing is rounded or cut.

* Numbers are digits: a decimal has those that it came with, a float the fewest that are read as the same float, without
  a point if it is whole. What is no number is the text ``NaN``, ``Infinity`` or ``-Infinity``, which no number column
  accepts; ``null=("NaN",)`` of the format makes it null.
* A moment is ``2024-01-31 08:05:00.5``, an instant the same in UTC with ``+00:00``; dates and times are written so too.
* A UUID is its text, bytes are Base64, a duration is ``5400000000 us``, an Enum its value.
* Objects of pydantic and dataclasses are dicts, tuples are arrays. All else is refused by the name of its class.
"""

from __future__ import annotations

import base64
import dataclasses
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

AS_THEY_ARE: Final[frozenset[type]] = frozenset({str, bool, int, NoneType})
"""Types whose values msgspec writes exactly; integers up to 64 bits."""
_MOST_PLACES: Final = 38
_LEAST_PLAIN: Final = 1e-4
_MOST_PLAIN: Final = 1e15
"""Floats between these are written without an exponent by every library."""
_LARGEST: Final = 2**63 - 1
_MICROSECOND: Final = timedelta(microseconds=1)
_TEXT: Final = {str}


class UnknownTypeError(Exception):
    """A value has no notation.

    Attributes:
        problem: Why, as a clause without the value.
    """

    def __init__(self, problem: str) -> None:
        """Take the clause."""
        super().__init__(problem)
        self.problem = problem


def object_of(record: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a dict with the same keys, and values that msgspec writes as this module says.

    Raises:
        UnknownTypeError: If a value has no notation, or keys are alike as texts.
    """
    if type(record) is dict and set(map(type, record)) <= _TEXT:
        if AS_THEY_ARE.issuperset(map(type, record.values())):
            return record
        return {key: value if type(value) in AS_THEY_ARE else value_of(value) for key, value in record.items()}
    found = {_key(key): value_of(value) for key, value in record.items()}
    if len(found) < len(record):
        raise UnknownTypeError("has two keys that are the same as texts")
    return found


def value_of(value: Any) -> Any:
    """Return a value that msgspec writes as this module says."""
    if (write := _WRITE.get(type(value))) is not None:
        return write(value)
    for class_, write in _WRITE_DERIVED:
        if isinstance(value, class_):
            return write(value)
    return _other(value)


def encoded(value: Any, encode: Callable[[Any], bytes]) -> bytes:
    """Return what an encoder of msgspec writes of a value from `object_of`, with integers of any size."""
    try:
        return encode(value)
    except OverflowError:
        return encode(with_large_integers(value))


def with_large_integers(value: Any) -> Any:
    """Return what `object_of` returned with integers of more than 64 bits as their digits."""
    if type(value) is int and not -_LARGEST - 1 <= value <= _LARGEST:
        return msgspec.Raw(str(value).encode())
    if type(value) is dict:
        return {key: with_large_integers(each) for key, each in value.items()}
    return [with_large_integers(each) for each in value] if type(value) is list else value


def _key(key: Any) -> str:
    if isinstance(key, Enum):
        key = key.value
    if isinstance(key, str):
        return str(key)
    if type(key) is int:
        return str(key)
    raise UnknownTypeError(f"has a key that is a {type(key).__name__}, and no text")


def _float(value: float) -> Any:
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if _LEAST_PLAIN <= abs(value) < _MOST_PLAIN and not value.is_integer():
        return float(value)
    return _digits(Decimal(float.__repr__(value).removesuffix(".0")))


def _decimal(value: Decimal) -> Any:
    if not value.is_finite():
        return "NaN" if value.is_nan() else "Infinity" if value > 0 else "-Infinity"
    return _digits(value)


def _digits(number: Decimal) -> msgspec.Raw:
    text = format(number, "f") if abs(number.adjusted()) <= _MOST_PLACES else str(number)
    return msgspec.Raw(text.encode())


def _moment(value: datetime) -> Any:
    if value != value:  # noqa: PLR0124 -- pandas' NaT, which is a datetime
        return None
    if value.tzinfo is not None and value.utcoffset() is not None:
        try:
            value = value.astimezone(UTC)
        except OverflowError:
            return value.isoformat(" ")
    text = value.isoformat(" ")
    offset = "+00:00" if text.endswith("+00:00") else ""
    return _short(text.removesuffix(offset)) + offset


def _day(value: date) -> str:
    return date(value.year, value.month, value.day).isoformat()


def _time(value: time) -> str:
    return _short(value.isoformat()) if value.tzinfo is None else value.isoformat()


def _short(clock: str) -> str:
    """Leave out zeros at the end of a fraction."""
    return clock.rstrip("0").rstrip(".") if "." in clock else clock


def _duration(value: timedelta) -> Any:
    if value != value:  # noqa: PLR0124 -- pandas' NaT
        return None
    return f"{value // _MICROSECOND} us"


def _bytes(value: bytes | bytearray | memoryview) -> str:
    return base64.b64encode(value).decode()


def _array(value: list[Any] | tuple[Any, ...]) -> list[Any]:
    return [each if type(each) in AS_THEY_ARE else value_of(each) for each in value]


def _as_it_is(value: Any) -> Any:
    return value


def _other(value: Any) -> Any:
    """Return values of classes that are known by what they can do, without importing their libraries."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return object_of({each.name: getattr(value, each.name) for each in dataclasses.fields(value)})
    module = type(value).__module__.partition(".")[0]
    if callable(getattr(value, "model_dump", None)):  # pydantic
        return object_of(value.model_dump())
    if module == "numpy" and getattr(value, "ndim", None) == 0:
        return _of_numpy(value)
    if module == "numpy" and hasattr(value, "tolist"):
        return _array(list(value))
    if module == "pandas" and type(value).__name__ in {"NAType", "NaTType"}:
        return None
    raise UnknownTypeError(f"has a value that is a {type(value).__name__}, which has no notation in JSON")


def _of_numpy(value: Any) -> Any:
    plain = value.item()
    if isinstance(plain, int) and value.dtype.kind in "mM":  # nanoseconds, of which Python has no type
        raise UnknownTypeError("has a moment or duration of numpy with nanoseconds; make it one of microseconds")
    return value_of(plain)


_WRITE: Final[dict[type, Callable[[Any], Any]]] = {
    **dict.fromkeys(AS_THEY_ARE, _as_it_is),
    float: _float,
    dict: object_of,
    list: _array,
    tuple: _array,
    Decimal: _decimal,
    datetime: _moment,
    date: _day,
    time: _time,
    timedelta: _duration,
    UUID: str,
    bytes: _bytes,
    bytearray: _bytes,
    memoryview: _bytes,
    msgspec.Raw: _as_it_is,
}
_WRITE_DERIVED: Final[tuple[tuple[Any, Callable[[Any], Any]], ...]] = (
    (Enum, lambda value: value_of(value.value)),
    (str, str),
    (int, int),
    (float, _float),
    (datetime, _moment),
    (date, _day),
    (time, _time),
    (timedelta, _duration),
    (UUID, str),
    (bytes, _bytes),
    (tuple, _array),
    (list, _array),
    (Mapping, object_of),
)
"""For values of classes that derive from these, such as those of pendulum."""
