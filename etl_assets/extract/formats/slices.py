"""Parts of bytes as a column, without copying them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import polars as pl
import pyarrow as pa

if TYPE_CHECKING:
    from etl_assets.extract.formats.bits import Positions


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
