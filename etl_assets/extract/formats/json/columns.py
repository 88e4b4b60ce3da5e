"""Values as published become columns of text: all values of a batch at once."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa

from etl_assets.schema.expressions import among

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from etl_assets.extract.formats.json.objects import Object

_NULL: Final = msgspec.Raw(b"null")
_QUOTE: Final = ord('"')
_N: Final = ord("n")


def table(objects: Sequence[Object], names: Sequence[str], null: tuple[str, ...]) -> list[pl.Series]:
    """Return values as text: texts without quotes and escapes, null as no value, everything else as published.

    Args:
        objects: The values of each record by name.
        names: Of the columns.
        null: Texts that mean no value.

    Returns:
        A String column for each name, with a value or null for each record.
    """
    present = set(chain.from_iterable(objects))
    columns = [name for name in names if name in present]
    cells = _texts(list(chain.from_iterable(_rows(objects, columns))), null)
    width = len(columns)
    series = {name: cells.gather_every(width, place) for place, name in enumerate(columns)}
    absent = pl.repeat(None, len(objects), dtype=pl.String(), eager=True)
    return [series.get(name, absent).alias(name) for name in names]


def _rows(objects: Sequence[Object], columns: Sequence[str]) -> Iterable[Iterable[msgspec.Raw]]:
    """Yield the values of each record in the order of the columns."""
    for object_ in objects:
        yield object_.values() if list(object_) == columns else [object_.get(name, _NULL) for name in columns]


def _texts(values: Sequence[msgspec.Raw], null: tuple[str, ...]) -> pl.Series:
    if not values:
        return pl.Series(dtype=pl.String)
    data = b"".join(values)
    ends = np.cumsum(np.fromiter(map(len, values), np.int64, len(values)))
    starts = np.concatenate(([0], ends[:-1]))
    codes = np.frombuffer(data, np.uint8)
    quoted = codes[starts] == _QUOTE
    cells = _slices(data, starts + quoted, ends - quoted)
    if b"\\" in data:
        holders = np.unique(np.searchsorted(ends, np.flatnonzero(codes == ord("\\")), side="right"))
        holders = holders[quoted[holders]]
        decoded: list[Any] = [msgspec.json.decode(values[place]) for place in holders.tolist()]
        cells = cells.scatter(holders, pl.Series(decoded, dtype=pl.String))
    frame = pl.DataFrame({"cell": cells, "present": codes[starts] != _N})
    present = pl.col("present") & ~among(pl.col("cell"), null) if null else pl.col("present")
    return frame.select(pl.when(present).then("cell")).to_series()


def _slices(data: bytes, starts: np.ndarray, ends: np.ndarray) -> pl.Series:
    """Return parts of UTF-8 as String: every second value of an array whose other values are between the parts."""
    offsets = np.column_stack((starts, ends)).astype(np.int64, copy=False)
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(data)]
    parts = pa.Array.from_buffers(pa.large_string(), offsets.size - 1, buffers)
    return cast("pl.Series", pl.from_arrow(parts)).gather_every(2)
