"""Cuts frozen pages into batches: runs of small pages, and parts of large ones."""

from __future__ import annotations

import io
from itertools import groupby
from typing import TYPE_CHECKING, BinaryIO, cast

from etl_assets.errors import DeliveryError
from etl_assets.extract.base import BATCH_BYTES
from etl_assets.extract.formats.blocks import Blocks
from etl_assets.extract.pages.batch import PagesBatch, Part
from etl_assets.extract.pages.container import pages, pages_from
from etl_assets.extract.pages.context import Context
from etl_assets.model.delivery import MemberIndex, Span
from etl_assets.model.text import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.extract.base import Format
    from etl_assets.extract.pages.container import Page
    from etl_assets.model.batch import RawBatch


class PagesReader:
    """Reads the pages of one delivery.

    Args:
        stream: At its start.
        member: Its name in an archive, or the empty text.
        format_: The format of a page.
        columns: Those of the records that pages were requested for.
    """

    def __init__(self, stream: BinaryIO, member: str, format_: Format, columns: Sequence[str]) -> None:
        self._stream = stream
        self._member = member
        self._format = format_
        self._columns = columns
        self._batch_bytes: int = getattr(format_, "batch_bytes", BATCH_BYTES)
        self._number = self._record = 1
        self._run: list[tuple[Page, list[RawBatch]]] = []
        self._size = 0

    def through(self, after: Span | None) -> Iterator[PagesBatch]:
        """Cut all pages into batches, each with the names that its own records have."""
        if after is not None:
            self._number, self._record = after.batch + 1, after.last_record + 1
        first = self._number
        for page in pages(self._stream):
            batches = self._of_page(page, self._record)
            is_large = sum(batch.span.records > 0 for batch in batches) > 1
            if self._run and (is_large or self._size + page.length > self._batch_bytes):
                yield self._end_run()
            self._record += sum(batch.span.records for batch in batches)
            if is_large:
                for batch in batches:
                    yield self._part_of(page, batch)
            else:
                self._run.append((page, batches))
                self._size += page.length
        if self._run or self._number == first:
            yield self._end_run()

    def indexed(self, index: MemberIndex) -> Iterator[PagesBatch]:
        """Read the batches of an index."""
        names = tuple(name for name in index.names if name not in self._columns)
        runs = [list(run) for _, run in groupby(index.spans, key=lambda span: (span.offset, span.length))]
        blocks = Blocks(self._stream, self._member or "The file").of([run[0] for run in runs], seekable=True)
        for run, (place, data) in zip(runs, blocks, strict=True):  # the parts of one page have the same place
            found = list(pages_from(cast("BinaryIO", io.BytesIO(data)), place.offset))
            for span in run:
                yield PagesBatch(span, self._parts(span, found, names), index.names, self._columns)

    def _parts(self, span: Span, found: Sequence[Page], names: tuple[str, ...]) -> list[Part]:
        """Return the batches of the pages of a span."""
        context, record = Context.read(span.context), span.first_record
        parts: list[Part] = []
        for page in found:
            if context.cut is None:
                batches = self._of_page(page, record)
            else:
                whole = MemberIndex(page.label, page.head.size, names, (context.span_in_page(span, page.label),))
                batches = list(self._format.read(_stream(page), page.label, index=whole))
            parts += [Part(batch, page.head.values, page.label) for batch in batches]
            record += sum(batch.span.records for batch in batches)
        return parts

    def _of_page(self, page: Page, record: int) -> list[RawBatch]:
        """Return the batches of a page, whose records are numbered from one on."""
        before = Span(0, page.label, 0, 0, record, 0, 1)
        batches = list(self._format.read(_stream(page), page.label, after=before))
        taken = {name for batch in batches for name in batch.names} & page.head.values.keys()
        if taken:
            raise DeliveryError(
                f"The records of {page.label} have {quoted(min(taken))} themselves, which is declared as a column of "
                "the parent, too. Nothing was written. Give the parent's column another name."
            )
        return batches

    def _end_run(self) -> PagesBatch:
        """Return the pages of the run as a batch, and begin the next run."""
        parts = [Part(batch, page.head.values, page.label) for page, batches in self._run for batch in batches]
        first, length, page_no = (
            (self._run[0][0].offset, self._size, self._run[0][0].head.page) if self._run else (0, 0, 1)
        )
        self._run, self._size = [], 0
        return self._batch(parts, first, length, page_no, Context.of(parts, cut=False))

    def _part_of(self, page: Page, batch: RawBatch) -> PagesBatch:
        parts = [Part(batch, page.head.values, page.label)]
        return self._batch(parts, page.offset, page.length, page.head.page, Context.of(parts, cut=True))

    def _batch(self, parts: Sequence[Part], offset: int, length: int, page_no: int, context: Context) -> PagesBatch:
        records = sum(part.batch.span.records for part in parts)
        skipped = sum(part.batch.span.skipped for part in parts)
        first = next((part.batch.span.first_record for part in parts if part.batch.span.records), self._record)
        span = Span(self._number, self._member, offset, length, first, records, page_no, skipped, context.text)
        self._number += 1
        return PagesBatch(span, parts, None, self._columns)


def _stream(page: Page) -> BinaryIO:
    return cast("BinaryIO", io.BytesIO(page.body))
