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
from etl_assets.extract.formats.parquet.cuts import check_dictionaries, rows_a_batch, rows_a_step
from etl_assets.extract.formats.parquet.footer import open_file, refused, refusing
from etl_assets.extract.formats.parquet.values import is_typed, values_of
from etl_assets.extract.formats.row_batch import RowBatch, TypedCells, joined_texts
from etl_assets.model.delivery import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

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
            for part in self._parts(group):
                if offset + part.num_rows > self._starts[group + 1]:
                    raise self._of_other_length(group)
                yield self._batch(self._span(number, offset, part.num_rows, record), [part], group)
                number, record, offset = number + 1, record + part.num_rows, offset + part.num_rows
            if offset != self._starts[group + 1]:
                raise self._of_other_length(group)
        if number == first:
            yield self._batch(self._span(number, 0, 0, record), [], 0)

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
            yield self._batch(spans[0], [], group)
            return
        steps, held, end = self._steps(group), list[tuple[int, pa.RecordBatch]](), self._starts[group]
        for span in spans:
            held = [(begin, step) for begin, step in held if begin + step.num_rows > span.offset]
            while end < span.offset + span.length:
                step = next(steps, None)
                if step is None:
                    raise self._of_other_length(group)
                if end + step.num_rows > span.offset:
                    held.append((end, step))
                end += step.num_rows
            parts = [_of_span(span, begin, step) for begin, step in held if begin < span.offset + span.length]
            yield self._batch(span, parts, group)

    def _open(self) -> None:
        opened = open_file(self._stream, self._where)
        self._file, self._schema, self._row_groups = opened.file, opened.schema, opened.row_groups
        self._starts = list(accumulate((group.rows for group in self._row_groups), initial=0))
        published = {field.name: published_type(field.type) for field in self._schema}
        self._types = {name: type_ for name, type_ in published.items() if type_ is not None}
        self._context = json.dumps(self._types, ensure_ascii=False)

    def _parts(self, group: int) -> Iterator[pa.RecordBatch]:
        """Decode a row group, and yield its batches."""
        for step in self._steps(group):
            rows = rows_a_batch(step, self._row_groups[group], self._size)
            for begin in range(0, step.num_rows, rows):
                yield step.slice(begin, rows)

    def _steps(self, group: int) -> Iterator[pa.RecordBatch]:
        """Decode a row group, so many rows at a time."""
        rows = rows_a_step(self._row_groups[group], self._size)
        with refusing(f"{self._where}, row group {group + 1},"):
            steps = self._file.iter_batches(rows, row_groups=[group])
        while True:
            with refusing(f"{self._where}, row group {group + 1},"):
                step = next(steps, None)
                if step is not None:
                    check_dictionaries(step)
            if step is None:
                return
            yield step

    def _span(self, number: int, offset: int, rows: int, record: int) -> Span:
        return Span(number, self._member, offset, rows, record, rows, offset + 1, context=self._context)

    def _batch(self, span: Span, parts: Sequence[pa.RecordBatch], group: int) -> RowBatch:
        names = self._schema.names
        cells = partial(_cells, self._schema, parts, self._binary, self._where)
        place = f"{self._member}:group {group + 1}:row "
        batch = RowBatch(span, names, cells, lambda row: f"{place}{span.first_line + row}", null=self._null)
        batch.canonical, batch.types = True, self._types
        return batch

    def _of_other_length(self, group: int) -> DeliveryIncompleteError:
        return DeliveryIncompleteError(
            f"{self._where}, row group {group + 1}, has another number of rows than its footer or its index says. "
            "Nothing more was written. Fetch it again; if that does not help, ask the publisher."
        )


def _of_span(span: Span, begin: int, step: pa.RecordBatch) -> pa.RecordBatch:
    """Return the rows of a step that are in a span, given how many rows of the file are before the step."""
    first = max(span.offset - begin, 0)
    return step.slice(first, span.offset + span.length - begin - first)


def _cells(schema: pa.Schema, parts: Sequence[pa.RecordBatch], binary: BinaryNotation, where: str) -> list[Cells]:
    return [
        _column(field.name, [part.column(index) for part in parts] or [pa.nulls(0, field.type)], binary, where)
        for index, field in enumerate(schema)
    ]


def _column(name: str, arrays: Sequence[Any], binary: BinaryNotation, where: str) -> Cells:
    if is_typed(arrays[0].type):
        array = pa.concat_arrays(arrays)
        values = values_of(array)
        if values is not None:
            return TypedCells(values, lambda rows: texts_of(_taken(array, rows), binary))
    try:
        return joined_texts([texts_of(array, binary) for array in arrays])
    except NotImplementedError as error:
        raise refused(where, f"has a column of the type {error}, {name!r}", "Ask the publisher for another") from None


def _taken(array: Any, rows: pl.Series | None) -> Any:
    return array if rows is None else array.take(rows.to_arrow())
