"""Texts of a database as Arrow arrays of the type that a column has in the frozen file, each value exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from etl_assets.extract.database.reading import UnfitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.extract.database.reading import Reading

_INSTANT = pa.timestamp("us", "UTC")
_READING = pa.timestamp("us")
_TIME = pa.time64("us")
_STRINGS: Any = pc.CastOptions(target_type=pa.string(), allow_invalid_utf8=True)


def column_of(texts: Sequence[bytes | str | None], reading: Reading) -> Any:
    """Return texts as values.

    Args:
        texts: As bytes; or as `str`, if all of them are in UTF-8.
        reading: Of their column. An instant is in UTC, without an offset.

    Raises:
        UnfitError: If one of them means no value of the type, and the reading says that this may be.
    """
    cells: Any = pa.array(texts, pa.binary())
    if reading.type == pa.binary():
        return cells
    return typed(strings_of(cells), reading)


def typed(texts: Any, reading: Reading) -> Any:
    """Return an array of texts in the type of a reading; see `column_of`."""
    if texts.type == reading.type:
        return texts
    try:
        return _cast(texts, reading.type)
    except pa.ArrowInvalid:
        if reading.kind is None:
            raise
        raise UnfitError(reading.kind) from None


def strings_of(cells: Any) -> Any:
    """Return an array of bytes as texts; those that are not UTF-8 keep their bytes, and are malformed where read."""
    return pc.call_function("cast", [cells], _STRINGS)


def _cast(texts: Any, type_: pa.DataType) -> Any:
    if type_ == _INSTANT:
        return texts.cast(_READING).view(_INSTANT)
    if type_ == _TIME:
        moments: Any = pc.call_function("binary_join_element_wise", [pa.scalar("1970-01-01"), texts, pa.scalar(" ")])
        return moments.cast(_READING).cast(_TIME)
    return texts.cast(type_)
