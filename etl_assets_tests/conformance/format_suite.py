"""What every Format must do, whatever it reads. A test class derives from `FormatSuite` and gives samples."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import polars as pl
import pytest

from etl_assets.errors import DeliveryError
from etl_assets.model.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.extract.base import Format
    from etl_assets.model.batch import RawBatch


class OneWay(io.RawIOBase):
    """A stream that cannot be sought and hands out few bytes at a time, as a network does."""

    def __init__(self, data: bytes, step: int = 7) -> None:
        super().__init__()
        self._data = io.BytesIO(data)
        self._step = step

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        chunk = self._data.read(min(self._step, len(buffer)))
        buffer[: len(chunk)] = chunk
        return len(chunk)


def one_way(data: bytes) -> BinaryIO:
    return cast("BinaryIO", OneWay(data))


def said(batch: RawBatch) -> tuple[list[Any], list[Any]]:
    return batch.frame.rows(), batch.malformed.rows()


class FormatSuite:
    """Derive, and set the attributes.

    Attributes:
        format: Cuts ``sample`` into at least three batches.
        sample: A file of that format with well-formed and malformed records.
        records: How many records it holds.
        empty: A file that has column names and no records.
    """

    format: Format
    sample: bytes
    records: int
    empty: bytes

    def read(self, stream: BinaryIO | None = None, **arguments: Any) -> Sequence[RawBatch]:
        return list(self.format.read(stream or io.BytesIO(self.sample), "member", **arguments))

    def test_spans_number_every_batch_and_every_record_once_and_in_order(self) -> None:
        spans = [batch.span for batch in self.read()]
        assert len(spans) >= 3
        assert [span.batch for span in spans] == list(range(1, len(spans) + 1))
        assert [span.first_record for span in spans[1:]] == [span.last_record + 1 for span in spans[:-1]]
        assert spans[0].first_record == 1
        assert spans[-1].last_record == self.records

    def test_every_record_of_a_span_is_either_well_formed_or_malformed(self) -> None:
        for batch in self.read():
            numbers = [*batch.frame[RECORD_NO].to_list(), *batch.malformed["record_no"].to_list()]
            assert sorted(numbers) == list(range(batch.span.first_record, batch.span.last_record + 1))

    def test_the_frame_has_a_text_column_for_each_name_and_the_record_number_last(self) -> None:
        for batch in self.read():
            assert batch.frame.columns == [*batch.names, RECORD_NO]
            assert batch.frame.dtypes == [*[pl.String()] * len(batch.names), pl.Int64()]
            assert dict(batch.malformed.schema) == {"record_no": pl.Int64(), "rules": pl.List(pl.String())}

    def test_reading_by_spans_gives_what_reading_through_gives(self) -> None:
        whole = self.read()
        again = self.read(spans=[batch.span for batch in whole])
        assert [said(batch) for batch in again] == [said(batch) for batch in whole]
        assert [batch.span for batch in again] == [batch.span for batch in whole]

    def test_any_single_batch_can_be_read_by_its_span(self) -> None:
        for batch in self.read():
            (alone,) = self.read(spans=[batch.span])
            assert said(alone) == said(batch)

    def test_a_stream_that_cannot_be_sought_gives_the_same_batches(self) -> None:
        whole = self.read()
        streamed = self.read(one_way(self.sample))
        assert [(batch.span, *said(batch)) for batch in streamed] == [(batch.span, *said(batch)) for batch in whole]

    def test_a_stream_that_cannot_be_sought_can_be_resumed_after_a_span(self) -> None:
        wanted = self.read()[1:]
        resumed = self.read(one_way(self.sample), spans=[batch.span for batch in wanted])
        assert [said(batch) for batch in resumed] == [said(batch) for batch in wanted]

    def test_a_second_member_continues_the_numbers_of_the_first(self) -> None:
        first = self.read()
        second = self.read(after=first[-1].span)
        assert second[0].span.batch == len(first) + 1
        assert second[0].span.first_record == self.records + 1
        assert second[0].frame[RECORD_NO].to_list() == [n + self.records for n in first[0].frame[RECORD_NO].to_list()]

    def test_every_record_has_raw_bytes_and_a_place(self) -> None:
        for batch in self.read():
            for record_no in range(batch.span.first_record, batch.span.last_record + 1):
                assert isinstance(batch.raw(record_no), bytes)
                assert batch.location(record_no).startswith("member")

    def test_a_file_without_records_gives_one_batch_that_has_the_names(self) -> None:
        (batch,) = self.read(io.BytesIO(self.empty))
        assert batch.names
        assert batch.span.records == 0
        assert batch.frame.is_empty()
        assert batch.malformed.is_empty()

    def test_an_empty_file_is_refused(self) -> None:
        with pytest.raises(DeliveryError):
            self.read(io.BytesIO(b""))
