"""Writes the records as blocks, one for each batch, in the framing that the parent process reads.

A message is the length of its head in 4 bytes, the head as JSON, and as many bytes of records as the head has under
``bytes``: a JSON array for each column, joined by line feeds. The last one has the cells in columns without a name.
"""

from __future__ import annotations

import json
import struct
from typing import IO, TYPE_CHECKING, Any

from etl_assets.extract.formats.excel.child.refusal import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.extract.formats.excel.child.request import Request
    from etl_assets.extract.formats.excel.child.table import Table

    Rows = list[list[int]]
    """The numbers of the rows of a block, as runs: the first number, and how many follow one another."""


class Writer:
    """Writes messages.

    Args:
        stream: Where to.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, head: dict[str, Any], records: Sequence[Sequence[str]] = ()) -> None:
        """Write one message."""
        data = "\n".join([f"[{','.join(column)}]" for column in zip(*records, strict=True)]).encode()
        encoded = json.dumps({**head, "bytes": len(data)}).encode()
        self._stream.write(struct.pack(">I", len(encoded)) + encoded + data)
        self._stream.flush()


class Blocks:
    """Collects records until a batch is full.

    Args:
        writer: Writes the blocks.
        request: The largest batch, or the batches to read.
    """

    def __init__(self, writer: Writer, request: Request) -> None:
        self._writer = writer
        self._request = request
        self._spans = iter(request.spans) if request.spans is not None else None
        self._span = self._next_span()
        self._held: tuple[dict[str, Any], list[Sequence[str]]] | None = None
        self._ordinal = self._skipped = 0

    @property
    def complete(self) -> bool:
        """Whether all batches that were asked for are written."""
        return self._spans is not None and self._span is None

    def add(self, table: Table, sheet: str) -> None:
        """Write the records of a sheet; a block never has records of two sheets."""
        counted = 0
        for rows, records, offset in self._cut(table):
            self._skipped += table.skipped - counted
            counted = table.skipped
            self._hold({"sheet": sheet, "offset": offset, "rows": rows}, records)
        self._skipped += table.skipped - counted

    def end(self, sheet: str) -> None:
        """Write the last block, with the rows after it that are no records; an empty one if there was none."""
        if self._held is None and self._spans is None:
            self._held = {"sheet": sheet, "offset": 0, "rows": []}, []
        self._hold(None, [])

    def _hold(self, head: dict[str, Any] | None, records: list[Sequence[str]]) -> None:
        if self._held is not None:
            held_head, held_records = self._held
            self._writer.write({**held_head, "skipped": self._skipped}, held_records)
            self._skipped = 0
        self._held = (head, records) if head is not None else None

    def _cut(self, table: Table) -> Iterator[tuple[Rows, list[Sequence[str]], int]]:
        if self._spans is None:
            return self._by_size(table)
        return self._by_spans(table)

    def _by_size(self, table: Table) -> Iterator[tuple[Rows, list[Sequence[str]], int]]:
        most_records = max(1, self._request.batch_cells // len(table.names))
        rows: Rows = []
        records: list[Sequence[str]] = []
        size = overhead = 3 * (len(table.names) + 1)
        for number, cells, others in table.records():
            whole = "".join(cells)
            length = (len(whole) if whole.isascii() else len(whole.encode())) + len(others.encode()) + len(cells) + 1
            if overhead + length > self._request.batch_bytes:
                raise RefusalError(f"row {number} has more than {self._request.batch_bytes} bytes", "Raise batch_bytes")
            if records and (size + length > self._request.batch_bytes or len(records) >= most_records):
                yield rows, records, self._ordinal - len(records)
                rows, records, size = [], [], overhead
            _append(rows, number)
            records.append((*cells, others))
            size += length
            self._ordinal += 1
        if records:
            yield rows, records, self._ordinal - len(records)

    def _by_spans(self, table: Table) -> Iterator[tuple[Rows, list[Sequence[str]], int]]:
        rows: Rows = []
        records: list[Sequence[str]] = []
        for number, cells, others in table.records():
            if self._span is None:
                return
            offset, length = self._span
            if self._ordinal >= offset:
                _append(rows, number)
                records.append((*cells, others))
            self._ordinal += 1
            if len(records) == length:
                yield rows, records, offset
                rows, records = [], []
                self._span = self._next_span()

    def _next_span(self) -> tuple[int, int] | None:
        return next(self._spans, None) if self._spans is not None else None


def _append(rows: Rows, number: int) -> None:
    """Add the number of a row to the runs."""
    if rows and sum(rows[-1]) == number:
        rows[-1][1] += 1
    else:
        rows.append([number, 1])
