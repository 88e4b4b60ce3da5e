"""Reads row groups of a Parquet file as batches of rows, and computes their spans."""

from __future__ import annotations

import json
from bisect import bisect_right
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa

from etl_assets.errors import DeliveryIncompleteError
from etl_assets.extract.formats.parquet.cells import published_type, texts_of
from etl_assets.extract.formats.parquet.cuts import rows_a_batch
from etl_assets.extract.formats.parquet.footer import open_file, refused, refusing
from etl_assets.extract.formats.parquet.values import values_of
from etl_assets.extract.formats.row_batch import RowBatch, TypedCells
from etl_assets.model.delivery import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.extract.formats.parquet.cells import BinaryNotation
    from etl_assets.extract.formats.row_batch import Cells
    from etl_assets.model.delivery import MemberIndex


class ParquetReader:
    """Reads one file.

    Args:
        stream: At its start; seekable.
        member: Its name in the archive, or the empty text.
        null: Texts that mean no value.
        binary: How bytes are written.
        size: Largest size of a batch, in bytes of values in memory.
    """

    def __init__(self, stream: BinaryIO, member: str, null: tuple[str, ...], binary: BinaryNotation, size: int) -> None:
        self._stream = stream
        self._member = member
        self._where = member or "the file"
        self._null = null
        self._binary = binary
        self._size = size

    def through(self, after: Span | None) -> Iterator[RowBatch]:
        """Read all row groups, so that every page is decoded, and yield their batches."""
        self._open()
        number, record = (after.batch + 1, after.last_record + 1) if after else (1, 1)
        first = number
        for group, start in enumerate(self._starts[:-1]):
            offset = start
            for table in self._tables(group, self._rows_a_batch(group)):
                yield self._batch(self._span(number, offset, table.num_rows, record), table, group)
                number, record, offset = number + 1, record + table.num_rows, offset + table.num_rows
            if offset != self._starts[group + 1]:
                raise self._of_other_length(group)
        if number == first:
            yield self._batch(self._span(number, 0, 0, record), pa.Table.from_batches([], self._file.schema_arrow), 0)

    def indexed(self, index: MemberIndex) -> Iterator[RowBatch]:
        """Read the batches of an index; of a row group, only the rows up to the last one that is needed."""
        self._open()
        wanted: dict[int, list[Span]] = {}
        for span in index.spans:
            group = bisect_right(self._starts, span.offset) - 1 if span.length else 0
            wanted.setdefault(group, []).append(span)
        for group, spans in wanted.items():
            yield from self._of_group(group, spans)

    def _of_group(self, group: int, spans: Sequence[Span]) -> Iterator[RowBatch]:
        if not any(span.length for span in spans):
            yield self._batch(spans[0], pa.Table.from_batches([], self._file.schema_arrow), group)
            return
        tables = self._tables(group, max(span.length for span in spans))
        held, begin = pa.Table.from_batches([], self._file.schema_arrow), self._starts[group]
        for span in spans:
            while begin + held.num_rows < span.offset + span.length:
                following = next(tables, None)
                if following is None:
                    raise self._of_other_length(group)
                gone = min(max(span.offset - begin, 0), held.num_rows)
                parts = [*held.slice(gone).to_batches(), *following.to_batches()]
                held, begin = pa.Table.from_batches(parts, following.schema), begin + gone
            yield self._batch(span, held.slice(span.offset - begin, span.length), group)

    def _open(self) -> None:
        self._file = open_file(self._stream, self._where)
        metadata = self._file.metadata
        rows = (metadata.row_group(number).num_rows for number in range(metadata.num_row_groups))
        self._starts = list(accumulate(rows, initial=0))
        schema = self._file.schema_arrow
        published = {field.name: published_type(field.type) for field in schema}
        self._types = {name: type_ for name, type_ in published.items() if type_ is not None}
        self._context = json.dumps(self._types, ensure_ascii=False)

    def _rows_a_batch(self, group: int) -> int:
        with refusing(f"{self._where}, row group {group + 1},"):
            return rows_a_batch(self._stream, self._file.metadata, group, self._size)

    def _tables(self, group: int, rows: int) -> Iterator[pa.Table]:
        """Decode a row group, so many rows at a time."""
        with refusing(f"{self._where}, row group {group + 1},"):
            batches = self._file.iter_batches(rows, row_groups=[group])
        while True:
            with refusing(f"{self._where}, row group {group + 1},"):
                batch = next(batches, None)
            if batch is None:
                return
            yield pa.Table.from_batches([batch])

    def _span(self, number: int, offset: int, rows: int, record: int) -> Span:
        return Span(number, self._member, offset, rows, record, rows, offset + 1, context=self._context)

    def _batch(self, span: Span, table: pa.Table, group: int) -> RowBatch:
        names = self._file.schema_arrow.names
        cells = partial(_cells, table, self._binary, self._where)
        place = f"{self._member}:group {group + 1}:row "
        batch = RowBatch(span, names, cells, lambda row: f"{place}{span.first_line + row}", null=self._null)
        batch.canonical, batch.types = True, self._types
        return batch

    def _of_other_length(self, group: int) -> DeliveryIncompleteError:
        return DeliveryIncompleteError(
            f"{self._where}, row group {group + 1}, has another number of rows than its footer or its index says. "
            "Nothing more was written. Fetch it again; if that does not help, ask the publisher."
        )


def _cells(table: pa.Table, binary: BinaryNotation, where: str) -> list[Cells]:
    return [_column(name, table.column(name), binary, where) for name in table.column_names]


def _column(name: str, column: Any, binary: BinaryNotation, where: str) -> Cells:
    chunk = column.combine_chunks()
    if isinstance(chunk, pa.ChunkedArray):
        chunk = pa.concat_arrays(chunk.chunks)
    values = values_of(chunk)
    if values is not None:
        return TypedCells(values, lambda rows: texts_of(chunk if rows is None else chunk.take(rows.to_arrow()), binary))
    try:
        return texts_of(chunk, binary)
    except NotImplementedError as error:
        raise refused(where, f"has a column of the type {error}, {name!r}", "Ask the publisher for another") from None
