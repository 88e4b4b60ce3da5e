"""Decides how many rows are decoded at a time, and how many of them are a batch.

Packed values can be much smaller than what they mean: a dictionary has a long text once, and a bit for each row that
has it. So rows are decoded with dictionaries, which take as much memory as the page has bytes, and are cut into batches
by the lengths of the texts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.extract.formats.parquet.row_groups import RowGroup

_SMALLEST_CELL: Final = 8
_WORST: Final = 4
"""How many times larger than declared a batch may be if each of its cells is the longest of its column."""


def rows_a_step(group: RowGroup, size: int) -> int:
    """Return how many rows of a row group have about a size with dictionaries, in bytes in memory.

    Args:
        group: The row group.
        size: Of a batch.
    """
    return _equal_parts(group.rows, size / sum(packed for packed, _ in _columns(group)))


def rows_a_batch(step: pa.RecordBatch, group: RowGroup, size: int) -> int:
    """Return how many rows of a step have at most about a size without dictionaries, in bytes of values in memory.

    Args:
        step: Rows of the row group.
        group: The row group.
        size: Of a batch.
    """
    lengths = [_lengths_of(leaf) for column in step.columns for leaf in _leaves(column)]
    usual = longest = 1.0
    for (packed, values), (mean, most) in zip(_columns(group), lengths, strict=True):
        usual += max(packed, (mean + _SMALLEST_CELL) * values)
        longest += (most + _SMALLEST_CELL) * values
    return _equal_parts(step.num_rows, min(size / usual, size * _WORST / longest))


def check_dictionaries(step: pa.RecordBatch) -> None:
    """Check that each index of a dictionary is one of its places, which decoding does not.

    Raises:
        pyarrow.ArrowInvalid: If one is not.
    """
    for leaf in (leaf for column in step.columns for leaf in _leaves(column)):
        if pa.types.is_dictionary(leaf.type) and len(leaf) > leaf.null_count:
            extremes: Any = pc.min_max(leaf.indices)
            if not 0 <= extremes["min"].as_py() <= extremes["max"].as_py() < len(leaf.dictionary):
                raise pa.ArrowInvalid("an index is not in its dictionary")


def _equal_parts(rows: int, most: float) -> int:
    """Return the size of parts that have at most so many rows."""
    return math.ceil(rows / math.ceil(rows / max(1, int(most)))) if rows else 1


def _columns(group: RowGroup) -> Iterator[tuple[float, float]]:
    """Yield the bytes in memory of a row of each column, with dictionaries, and the number of its values."""
    rows = max(group.rows, 1)
    for column in group.columns:
        values = max(column.values / rows, 1)
        yield max(column.size / rows, _SMALLEST_CELL * values), values


def _leaves(array: Any) -> Iterator[Any]:
    """Yield the columns that a nested column is stored as."""
    if pa.types.is_struct(array.type):
        for index in range(array.type.num_fields):
            yield from _leaves(array.field(index))
    elif pa.types.is_map(array.type):
        yield from _leaves(array.keys)
        yield from _leaves(array.items)
    elif pa.types.is_nested(array.type):
        yield from _leaves(array.values)
    elif isinstance(array.type, pa.BaseExtensionType):
        yield from _leaves(array.storage)
    else:
        yield array


def _lengths_of(leaf: Any) -> tuple[float, int]:
    """Return the mean and the largest length of the texts in a dictionary, in bytes; 0 if there is none."""
    if not pa.types.is_dictionary(leaf.type) or not len(leaf.dictionary):
        return 0.0, 0
    lengths = pc.binary_length(leaf.dictionary)
    return pc.mean(lengths).as_py() or 0.0, pc.max(lengths).as_py() or 0
