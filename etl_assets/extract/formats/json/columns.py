"""Values as published become columns of text: all values of a batch at once."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa

from etl_assets.schema.expressions import among

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from etl_assets.extract.formats.csv.bits import Flags, Positions
    from etl_assets.extract.formats.json.objects import Object

_NULL: Final = msgspec.Raw(b"null")
_QUOTE: Final = ord('"')
_N: Final = ord("n")


class Values(NamedTuple):
    """JSON values in some bytes, ascending.

    Attributes:
        data: The bytes, in UTF-8.
        starts: Position of the first byte of each value.
        ends: The position after its last byte.
        quoted: Whether it is a text.
        backslashes: Positions of the backslashes in the bytes, ascending.
    """

    data: bytes
    starts: Positions
    ends: Positions
    quoted: Flags
    backslashes: Positions

    def at(self, places: Positions) -> Values:
        """Return some of the values."""
        return self._replace(starts=self.starts[places], ends=self.ends[places], quoted=self.quoted[places])

    @property
    def published(self) -> pl.Series:
        """The bytes of the values; those of texts without their quotes."""
        # Every second value of the array is what is between two of these values.
        offsets = np.column_stack((self.starts + self.quoted, self.ends - self.quoted)).astype(np.int64, copy=False)
        buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(self.data)]
        parts = pa.Array.from_buffers(pa.large_string(), max(offsets.size - 1, 0), buffers)
        return cast("pl.Series", pl.from_arrow(parts)).gather_every(2)


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
    cells = text_of(_joined(list(chain.from_iterable(_rows(objects, columns)))), null)
    series = {name: cells.gather_every(len(columns), place) for place, name in enumerate(columns)}
    absent = pl.repeat(None, len(objects), dtype=pl.String(), eager=True)
    return [series.get(name, absent) for name in names]


def text_of(values: Values, null: tuple[str, ...]) -> pl.Series:
    """Return values as text; see `table`.

    Raises:
        msgspec.DecodeError: If a text has a wrong escape.
    """
    cells = values.published
    first = np.frombuffer(values.data, np.uint8)[values.starts]
    if len(values.backslashes) and len(cells):
        holders = np.searchsorted(values.ends, values.backslashes, side="right")
        holders = np.unique(holders[values.backslashes >= np.append(values.starts, len(values.data))[holders]])
        holders = holders[values.quoted[holders]]
        decoded: list[Any] = [
            msgspec.json.decode(values.data[start:end])
            for start, end in zip(values.starts[holders].tolist(), values.ends[holders].tolist(), strict=True)
        ]
        cells = cells.scatter(holders, pl.Series(decoded, dtype=pl.String))
    if null:
        cells = cells.alias("cell").to_frame().select(pl.when(~among(pl.col("cell"), null)).then("cell")).to_series()
    is_null = first == _N
    return cells.scatter(np.flatnonzero(is_null), None) if is_null.any() else cells


def _rows(objects: Sequence[Object], columns: Sequence[str]) -> Iterable[Iterable[msgspec.Raw]]:
    """Yield the values of each record in the order of the columns."""
    for object_ in objects:
        yield object_.values() if list(object_) == columns else [object_.get(name, _NULL) for name in columns]


def _joined(values: Sequence[msgspec.Raw]) -> Values:
    data = b"".join(values)
    ends = np.cumsum(np.fromiter(map(len, values), np.int64, len(values)))
    starts = np.concatenate((np.zeros(min(len(ends), 1), np.int64), ends[:-1]))
    codes = np.frombuffer(data, np.uint8)
    backslashes = np.flatnonzero(codes == ord("\\")) if b"\\" in data else np.array([], np.int64)
    return Values(data, starts, ends, codes[starts] == _QUOTE, backslashes)
