"""Values of Arrow arrays as Polars has them, for the types of which it has each value exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import polars as pl
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable

_TYPED: Final[tuple[Callable[[pa.DataType], bool], ...]] = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_boolean,
    pa.types.is_date32,
    pa.types.is_time,
)


def values_of(array: Any) -> pl.Series | None:
    """Return the values of an array in their type; instants in UTC.

    Returns:
        None if the type has no such values (see `is_typed`), or if one is outside of its type, as only broken writers
        make them: a time of 25 hours, or a decimal with more digits than declared.
    """
    type_ = array.type
    if not is_typed(type_):
        return None
    if pa.types.is_timestamp(type_) and type_.tz is not None:
        array = array.view(pa.timestamp(type_.unit, "UTC"))
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return None
    return cast("pl.Series", pl.from_arrow(array))


def is_typed(type_: Any) -> bool:
    """Return whether Polars has values of a type, each exactly."""
    if pa.types.is_timestamp(type_):
        return bool(type_.unit != "s")
    if pa.types.is_decimal(type_):
        return not pa.types.is_decimal256(type_) and bool(type_.scale >= 0)
    return any(is_type(type_) for is_type in _TYPED)
