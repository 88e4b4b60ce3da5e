"""Reads cursors of DB-API: so many rows at a time that a batch has about a size, whatever the rows are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

_FIRST: Final = 64
_MOST_ROWS: Final = 32_768
_BATCH_BYTES: Final = 8 * 1024**2
_GROWTH: Final = 8


def batches_of(
    take: Callable[[int], Sequence[Sequence[Any]]],
    convert: Callable[[Sequence[Sequence[Any]]], Sequence[Any]],
    names: Sequence[str],
) -> Generator[pa.RecordBatch]:
    """Yield the rows of a cursor.

    Args:
        take: Returns at most so many rows; none at the end alone.
        convert: Returns the columns of rows as Arrow arrays.
        names: Of the columns.
    """
    count = _FIRST
    while rows := take(count):
        batch = pa.record_batch(list(convert(list(zip(*rows, strict=True)))), list(names))
        yield batch
        fitting = _BATCH_BYTES * batch.num_rows // max(batch.nbytes, 1)
        count = max(1, min(fitting, count * _GROWTH, _MOST_ROWS))
