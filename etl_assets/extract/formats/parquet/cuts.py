"""Decides how many rows of a row group fit into a batch, before its values are decoded.

Packed values can be much smaller than what they mean: a dictionary has a long text once, and a bit for each row that
has it. So the dictionaries are read first.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterator

_TEXTS: Final = "BYTE_ARRAY"
_SMALLEST_CELL: Final = 8
_WORST: Final = 4
"""How many times larger than declared a batch may be if each of its cells is the longest of its column."""


def rows_a_batch(stream: BinaryIO, metadata: pq.FileMetaData, group: int, size: int) -> int:
    """Return how many rows of a row group have at most about a size, in bytes of values in memory.

    Args:
        stream: The file.
        metadata: Its footer.
        group: The row group, from 0.
        size: Of a batch.
    """
    lengths = _lengths(stream, metadata, group)
    chunks = metadata.row_group(group)
    rows = max(chunks.num_rows, 1)
    columns = [chunks.column(index) for index in range(chunks.num_columns)] if lengths else []
    usual = longest = 1.0
    for column, (mean, most) in zip(columns, lengths, strict=True):
        values = max(column.num_values / rows, 1)
        usual += max(column.total_uncompressed_size / rows, (mean + _SMALLEST_CELL) * values)
        longest += (most + _SMALLEST_CELL) * values
    most_rows = max(1, int(min(size / usual, size * _WORST / longest)))
    return math.ceil(rows / math.ceil(rows / most_rows))


def _lengths(stream: BinaryIO, metadata: pq.FileMetaData, group: int) -> list[tuple[float, int]]:
    """Return the mean and the largest length of the texts in the dictionary of each column, in bytes; 0 for others.

    It reads the first row, with all columns, and nothing if there is none.
    """
    columns = [metadata.schema.column(index) for index in range(metadata.num_columns)]
    texts = [column.path for column in columns if column.physical_type == _TEXTS]
    file = pq.ParquetFile(
        stream, metadata=metadata, read_dictionary=texts, pre_buffer=False, page_checksum_verification=True
    )
    first = next(file.iter_batches(1, row_groups=[group]), None)
    if first is None:
        return []
    return [_lengths_of(leaf) for column in first.columns for leaf in _leaves(column)]


def _leaves(array: Any) -> Iterator[pa.Array[Any]]:
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
    if not pa.types.is_dictionary(leaf.type) or not len(leaf.dictionary):
        return 0.0, 0
    lengths = pc.binary_length(leaf.dictionary)
    return pc.mean(lengths).as_py() or 0.0, pc.max(lengths).as_py() or 0
