"""Writes the records as blocks, one for each batch, in the framing that the parent process reads.

A message is the length of its head in 4 bytes, the head as JSON, and as many bytes of records as the head has under
``bytes``: a JSON array for each column, joined by line feeds. The last one has the cells in columns without a name.
"""

from __future__ import annotations

import json
import struct
from typing import IO, TYPE_CHECKING, Any

from etl_assets.extract.formats.excel.child import literals
from etl_assets.extract.formats.excel.child.refusal import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from etl_assets.extract.formats.excel.child.request import Request
    from etl_assets.extract.formats.excel.child.table import Table


class Block:
    """Records that follow one another.

    Args:
        offset: Number of the records before it in the workbook.

    Attributes:
        records: The cells of each record by the names.
    """

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.records: list[Sequence[str]] = []
        self._numbers: list[int] = []
        self._others: dict[int, str] = {}

    def add(self, number: int, cells: Sequence[str], others: str) -> None:
        """Add a record: the number of its row, its cells, and its cells in columns without a name."""
        if others != literals.NULL:
            self._others[len(self.records)] = others
        self.records.append(cells)
        self._numbers.append(number)

    @property
    def columns(self) -> Iterator[Iterable[str]]:
        """The cells of each column, and last those in columns without a name."""
        yield from zip(*self.records, strict=True)
        if self.records:
            yield [self._others.get(place, literals.NULL) for place in range(len(self.records))]

    @property
    def rows(self) -> list[list[int]]:
        """The numbers of the rows, as runs: the first number, and how many follow one another."""
        runs: list[list[int]] = []
        for number in self._numbers:
            if runs and sum(runs[-1]) == number:
                runs[-1][1] += 1
            else:
                runs.append([number, 1])
        return runs


class Writer:
    """Writes messages.

    Args:
        stream: Where to.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, head: dict[str, Any], columns: Iterable[Iterable[str]] = ()) -> None:
        """Write one message."""
        data = "\n".join([f"[{','.join(column)}]" for column in columns]).encode()
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
        self._held: tuple[str, Block] | None = None
        self._ordinal = self._skipped = 0

    @property
    def complete(self) -> bool:
        """Whether all batches that were asked for are written."""
        return self._spans is not None and self._span is None

    def add(self, table: Table, sheet: str) -> None:
        """Write the records of a sheet; a block never has records of two sheets."""
        counted = 0
        for block in self._by_size(table) if self._spans is None else self._by_spans(table):
            self._skipped += table.skipped - counted
            counted = table.skipped
            self._write_held()
            self._held = sheet, block
        self._skipped += table.skipped - counted

    def end(self, sheet: str) -> None:
        """Write the last block, with the rows after it that are no records; an empty one if there was none."""
        if self._held is None and self._spans is None:
            self._held = sheet, Block(0)
        self._write_held()

    def _write_held(self) -> None:
        if self._held is not None:
            sheet, block = self._held
            head = {"sheet": sheet, "offset": block.offset, "rows": block.rows, "skipped": self._skipped}
            self._writer.write(head, block.columns)
            self._skipped = 0

    def _by_size(self, table: Table) -> Iterator[Block]:
        most_records = max(1, self._request.batch_cells // len(table.names))
        most_bytes = self._request.batch_bytes
        overhead = 3 * (len(table.names) + 1)
        block, size = Block(self._ordinal), overhead
        for number, cells, others in table.records():
            whole = "".join(cells)
            length = (len(whole) if whole.isascii() else len(whole.encode())) + len(others.encode()) + len(cells) + 1
            if overhead + length > most_bytes:
                raise RefusalError(f"row {number} has more than {most_bytes} bytes", "Raise batch_bytes")
            if block.records and (size + length > most_bytes or len(block.records) >= most_records):
                yield block
                block, size = Block(self._ordinal), overhead
            block.add(number, cells, others)
            size += length
            self._ordinal += 1
        if block.records:
            yield block

    def _by_spans(self, table: Table) -> Iterator[Block]:
        block = Block(self._ordinal)
        for number, cells, others in table.records():
            if self._span is None:
                return
            offset, length = self._span
            if self._ordinal >= offset:
                block.add(number, cells, others)
            self._ordinal += 1
            if len(block.records) == length:
                yield block
                block, self._span = Block(self._ordinal), self._next_span()

    def _next_span(self) -> tuple[int, int] | None:
        return next(self._spans, None) if self._spans is not None else None
