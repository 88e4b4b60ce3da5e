"""Parts of bytes, as a sequence and as a column, without copying them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast, overload

import numpy as np
import polars as pl
import pyarrow as pa

if TYPE_CHECKING:
    from etl_assets.extract.formats.bits import Positions


@dataclass(frozen=True)
class Slices(Sequence[bytes]):
    """Parts of some bytes, each copied when it is asked for.

    Attributes:
        data: The bytes.
        starts: Where each part begins; the parts ascend and do not overlap.
        ends: Where each part ends.
    """

    data: bytes
    starts: Positions
    ends: Positions

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Slices: ...
    def __getitem__(self, index: int | slice) -> bytes | Slices:
        if isinstance(index, slice):
            return Slices(self.data, self.starts[index], self.ends[index])
        return self.data[int(self.starts[index]) : int(self.ends[index])]


def binary_column(parts: Sequence[bytes]) -> pl.Series:
    """Return parts of bytes as a Binary column; `Slices` are not copied."""
    if isinstance(parts, Slices):
        return slices(parts.data, parts.starts, parts.ends)
    return pl.Series(parts, dtype=pl.Binary())


def slices(data: bytes, starts: Positions, ends: Positions, type_: pa.DataType | None = None) -> pl.Series:
    """Return parts of some bytes, as a column that refers to the bytes.

    Args:
        data: The bytes.
        starts: Where each part begins; the parts ascend and do not overlap.
        ends: Where each part ends.
        type_: ``large_string()`` if every part is UTF-8; ``large_binary()`` by default.
    """
    offsets = np.column_stack((starts, ends)).astype(np.int64, copy=False)
    # every second value of the array is what lies between two parts
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(data)]
    parts = pa.Array.from_buffers(type_ or pa.large_binary(), max(offsets.size - 1, 0), buffers)
    return cast("pl.Series", pl.from_arrow(parts)).gather_every(2)
