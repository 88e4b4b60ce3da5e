"""Reads a workbook through a child process: makes batches of its messages, and counts records."""

from __future__ import annotations

from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING, Any

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.excel.batch import ExcelBatch
from etl_assets.extract.formats.excel.child.request import Request
from etl_assets.extract.formats.excel.process import messages
from etl_assets.extract.formats.published_names import check_names
from etl_assets.extract.spool import file_of
from etl_assets.model.delivery import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from etl_assets.extract.formats.excel.options import ExcelOptions
    from etl_assets.model.delivery import MemberIndex

BATCH_CELLS = 1_000_000
"""The largest number of cells of a batch."""


class ExcelReader:
    """Reads one workbook.

    Args:
        options: How it is declared.
        stream: Its bytes, at their start.
        member: Its name in the archive, or the empty text.
    """

    def __init__(self, options: ExcelOptions, stream: BinaryIO, member: str) -> None:
        self._options = options
        self._stream = stream
        self._member = member
        self._where = member or "The workbook"

    def through(self, after: Span | None) -> Iterator[ExcelBatch]:
        """Read the whole workbook."""
        number, record = (after.batch + 1, after.last_record + 1) if after else (1, 1)
        with file_of(self._stream) as path, closing(messages(self._request(path, None), self._where)) as received:
            names: list[str] = []
            for head, data in received:
                if "names" in head:
                    names = head["names"]
                    check_names(names, self._where, "Ask the publisher for another name, or declare them with header=")
                    continue
                batch = self._batch(head, data, names, number, record)
                yield batch
                number, record = number + 1, record + batch.span.records

    def indexed(self, index: MemberIndex) -> Iterator[ExcelBatch]:
        """Read the batches of an index."""
        filled = sorted((span for span in index.spans if span.records), key=lambda span: span.offset)
        for span in index.spans:
            if not span.records:
                yield ExcelBatch(span, index.names, (), null=self._options.null, rows=())
        if not filled:
            return
        with file_of(self._stream) as path, closing(messages(self._request(path, filled), self._where)) as received:
            wanted = iter(filled)
            for head, data in received:
                if "names" in head:
                    if sorted(head["names"]) != sorted(index.names):
                        raise self._changed()
                    continue
                span = next(wanted)
                rows = _numbers(head["rows"])
                yield ExcelBatch(span, index.names, _columns(data), null=self._options.null, rows=rows)
            if next(wanted, None) is not None:
                raise self._changed()

    def _batch(self, head: dict[str, Any], data: bytes, names: Sequence[str], number: int, record: int) -> ExcelBatch:
        rows = _numbers(head["rows"])
        span = Span(
            number,
            self._member,
            head["offset"],
            len(rows),
            record,
            len(rows),
            rows[0] if rows else 1,
            head["skipped"],
            head["sheet"],
        )
        return ExcelBatch(span, names, _columns(data), null=self._options.null, rows=rows)

    def _request(self, path: Path, spans: Sequence[Span] | None) -> Request:
        options = self._options
        declared = None if options.header is True else list(options.header)
        return Request(
            path=str(path),
            sheet=options.sheet,
            hidden_sheets=options.hidden_sheets,
            header=declared,
            header_row=options.header_row,
            header_rows=options.header_rows if declared is None else 0,
            footer=options.footer,
            ends_at_blank_row=options.ends_at_blank_row,
            columns=options.column_range,
            hidden_rows=options.hidden_rows,
            percentages=options.percentages,
            password=options.password.read() if options.password is not None else None,
            batch_bytes=options.batch_bytes,
            batch_cells=BATCH_CELLS,
            most_cells=options.most_cells,
            memory_bytes=options.memory_bytes,
            seconds=options.seconds,
            spans=None if spans is None else [(span.offset, span.length) for span in spans],
        )

    def _changed(self) -> DeliveryError:
        return DeliveryError(
            f"{self._where} does not have the batches of its index. Nothing more was written. Land the delivery again: "
            "its index belongs to other bytes."
        )


def _columns(data: bytes) -> Sequence[bytes]:
    return data.split(b"\n") if data else ()


def _numbers(runs: Sequence[tuple[int, int]]) -> Sequence[int]:
    """Return the numbers of rows, from runs: the first number, and how many follow one another."""
    if len(runs) == 1:
        first, count = runs[0]
        return range(first, first + count)
    return list(chain.from_iterable(range(first, first + count) for first, count in runs))
