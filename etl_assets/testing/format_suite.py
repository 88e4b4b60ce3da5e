"""The contract of every Format as a suite: a test class derives from `FormatSuite` and provides samples."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import polars as pl
import pytest

from etl_assets.errors import DeliveryError
from etl_assets.model.delivery import MemberIndex
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.extract.base import Format
    from etl_assets.model.batch import RawBatch


READ_AHEAD = 64 * 1024
"""Number of bytes that a format may read to recognise a file."""


class OneWay(io.RawIOBase):
    """A stream that is not seekable and returns few bytes at a time, like a network."""

    def __init__(self, data: bytes, step: int = 7) -> None:
        super().__init__()
        self._data = io.BytesIO(data)
        self._step = step

    def readable(self) -> bool:
        return True

    @property
    def position(self) -> int:
        """Number of bytes that were read."""
        return self._data.tell()

    def readinto(self, buffer: Any, /) -> int:
        chunk = self._data.read(min(self._step, len(buffer)))
        buffer[: len(chunk)] = chunk
        return len(chunk)


def one_way(data: bytes, step: int = 7) -> BinaryIO:
    """Return a stream that is not seekable and returns few bytes at a time."""
    return cast("BinaryIO", OneWay(data, step))


def records_of(batch: RawBatch, names: Sequence[str]) -> tuple[list[Any], list[Any]]:
    """Return the well-formed and the malformed records of a batch, under names of which it may lack some."""
    lacking = [pl.lit(None, pl.String()).alias(name) for name in names if name not in batch.names]
    return batch.frame.with_columns(lacking).select(*names, RECORD_NO).rows(), batch.malformed.rows()


class FormatSuite:
    """Derive, and set the attributes.

    Attributes:
        format: Cuts ``sample`` into at least three batches.
        sample: A file of that format with well-formed and malformed records.
        records: How many records it holds.
        empty: A file without records that is not an empty file; None if the format has no such file.
        in_file: Whether the bytes of a record are a part of the file. If not, the format writes them itself.
        cuts: Number of places at which the sample is cut, and changed.
        uncertain: Number of records at the end of a file that was cut that may not be those of the whole file.
        marked: The sample with a byte order mark before it, if the format accepts one.
        foreign: A file in another encoding than the format reads, with characters that show it, if it has encodings.
        twins: A file with the same name twice, in the header or in a record, if names are in the file.
        huge: A file of one record that is larger than ``format.batch_bytes``.
        nul: A file of one record with a NUL character in a text, if the format can write one.
    """

    format: Format
    sample: bytes
    records: int
    empty: bytes | None = None
    in_file: bool = True
    cuts: int = 40
    uncertain: int = 1
    marked: bytes | None = None
    foreign: bytes | None = None
    twins: bytes | None = None
    huge: bytes | None = None
    nul: bytes | None = None

    def read(self, stream: BinaryIO | None = None, **arguments: Any) -> Sequence[RawBatch]:
        return list(self.format.read(stream or io.BytesIO(self.sample), "member", **arguments))

    def again(self, batches: Sequence[RawBatch], stream: BinaryIO | None = None) -> Sequence[RawBatch]:
        """Read batches again by their spans, as from a landed delivery."""
        return self.read(stream, index=MemberIndex("member", 0, self.names, tuple(batch.span for batch in batches)))

    def stream(self, data: bytes) -> BinaryIO:
        """Return a stream that cannot seek and returns few bytes at a time, if the format can read one."""
        return io.BytesIO(data) if self.format.seeks else one_way(data)

    @property
    def names(self) -> tuple[str, ...]:
        """All names that the sample publishes."""
        return tuple(dict.fromkeys(name for batch in self.read() for name in batch.names))

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

    def test_the_rules_that_malformed_records_break_are_stated(self) -> None:
        broken = {rule for batch in self.read() for rules in batch.malformed["rules"] for rule in rules}
        assert broken
        assert broken <= {rule.name for rule in self.format.rules}
        assert all(rule.name.startswith("record__") and rule.words for rule in self.format.rules)

    def test_the_frame_has_a_text_column_for_each_name_and_the_record_number_last(self) -> None:
        for batch in self.read():
            assert batch.frame.columns == [*batch.names, RECORD_NO]
            assert batch.frame.dtypes == [*[pl.String()] * len(batch.names), pl.Int64()]
            assert dict(batch.malformed.schema) == {"record_no": pl.Int64(), "rules": pl.List(pl.String())}

    def test_any_part_of_the_frame_can_be_asked_for(self) -> None:
        for batch in self.read():
            frame, names = batch.frame, batch.names[::-2]
            places = pl.Series(range(0, frame.height, 2), dtype=pl.UInt32).reverse()
            assert batch.texts(()).equals(frame.select(RECORD_NO))
            assert batch.texts(names).rows() == pl.DataFrame([frame[name] for name in (*names, RECORD_NO)]).rows()
            assert batch.texts(batch.names, places).equals(frame[places])
            assert batch.texts_of(frame[RECORD_NO].gather(places)).equals(frame[places.reverse()])

    def test_typed_values_are_of_the_records_of_the_frame_and_missing_where_the_text_is(self) -> None:
        for batch in self.read():
            assert set(batch.typed) <= set(batch.names)
            for name, values in batch.typed.items():
                assert values.dtype != pl.String
                assert values.is_null().to_list() == batch.frame[name].is_null().to_list()

    def test_batches_that_are_read_by_their_index_have_all_names_and_the_same_records(self) -> None:
        whole = self.read()
        again = self.again(whole)
        assert [batch.span for batch in again] == [batch.span for batch in whole]
        assert {batch.names for batch in again} == {self.names}
        assert [records_of(batch, self.names) for batch in again] == [records_of(batch, self.names) for batch in whole]

    def test_any_single_batch_can_be_read_by_its_span(self) -> None:
        for batch in self.read():
            (alone,) = self.again([batch])
            assert records_of(alone, self.names) == records_of(batch, self.names)

    def test_a_stream_that_is_not_seekable_yields_the_same_batches(self) -> None:
        whole = self.read()
        streamed = self.read(self.stream(self.sample))
        assert [(batch.span, *records_of(batch, batch.names)) for batch in streamed] == [
            (batch.span, *records_of(batch, batch.names)) for batch in whole
        ]

    def test_a_stream_that_is_not_seekable_can_be_resumed_after_a_span(self) -> None:
        wanted = self.read()[1:]
        resumed = self.again(wanted, self.stream(self.sample))
        assert [records_of(batch, self.names) for batch in resumed] == [
            records_of(batch, self.names) for batch in wanted
        ]

    def test_a_second_member_continues_the_numbers_of_the_first(self) -> None:
        first = self.read()
        second = self.read(after=first[-1].span)
        assert second[0].span.batch == len(first) + 1
        assert second[0].span.first_record == self.records + 1
        assert second[0].frame[RECORD_NO].to_list() == [n + self.records for n in first[0].frame[RECORD_NO].to_list()]

    def test_the_bytes_of_every_record_are_in_the_file_one_after_another(self) -> None:
        if not self.in_file:
            return
        position = 0
        for batch in self.read():
            for record_no in range(batch.span.first_record, batch.span.last_record + 1):
                raw = batch.raw(record_no)
                assert raw
                position = self.sample.find(raw, position) + len(raw)
                assert position >= len(raw)

    def test_every_record_has_its_own_location_which_names_the_member(self) -> None:
        places = [
            batch.location(record_no)
            for batch in self.read()
            for record_no in range(batch.span.first_record, batch.span.last_record + 1)
        ]
        assert len(set(places)) == self.records
        assert all(place.startswith("member") for place in places)

    def test_bytes_and_locations_of_many_records_are_those_of_each(self) -> None:
        for batch in self.read():
            every = range(batch.span.first_record, batch.span.last_record + 1)
            for numbers in (every, every[::2], every[::-1], every[:0]):
                raws, locations = batch.raws(numbers), batch.locations(numbers)
                assert (raws.dtype, locations.dtype) == (pl.Binary(), pl.String())
                assert raws.to_list() == [batch.raw(number) for number in numbers]
                assert locations.to_list() == [batch.location(number) for number in numbers]

    def test_a_record_of_another_batch_is_an_error(self) -> None:
        batch = self.read()[1]
        for number in (batch.span.first_record - 1, batch.span.last_record + 1):
            for many in (batch.raws, batch.locations):
                with pytest.raises(IndexError):
                    many([batch.span.first_record, number])

    def test_a_record_that_is_reread_from_its_bytes_is_the_same(self) -> None:
        for batch in self.again(self.read()):
            numbers = range(batch.span.first_record, batch.span.last_record + 1)
            records = {number: batch.raw(number) for number in numbers}
            reread = self.format.reread(self.names, records, batch.span.context)
            assert records_of(reread, self.names) == records_of(batch, self.names)
            assert (reread.decimal, reread.canonical, reread.types) == (batch.decimal, batch.canonical, batch.types)

    def test_the_names_follow_the_naming_of_the_format(self) -> None:
        names = [batch.names for batch in self.read()]
        if self.format.naming == "union":
            first = self.read()[0]
            (more,) = self.read(index=MemberIndex("member", 0, (*self.names, "surplus"), (first.span,)))
            assert more.frame["surplus"].null_count() == more.frame.height == first.frame.height
        else:
            assert set(names) == {self.names}

    def test_a_file_without_records_yields_one_batch(self) -> None:
        if self.empty is None:
            return
        (batch,) = self.read(io.BytesIO(self.empty))
        assert batch.names or self.format.naming == "union"
        assert batch.span.records == 0
        assert batch.frame.is_empty()
        assert batch.malformed.is_empty()

    def test_an_empty_file_is_refused(self) -> None:
        with pytest.raises(DeliveryError):
            self.read(io.BytesIO(b""))

    def test_a_file_that_is_cut_anywhere_is_refused_or_has_the_records_before_the_cut(self) -> None:
        whole = self.values(self.sample)
        for length in range(1, len(self.sample), max(1, len(self.sample) // self.cuts)):
            try:
                cut = self.values(self.sample[:length])
            except DeliveryError:
                continue
            certain = max(0, len(cut) - self.uncertain)
            assert cut[:certain] == whole[:certain]

    def test_a_file_with_a_changed_byte_raises_nothing_but_an_error_of_the_delivery(self) -> None:
        for place in range(0, len(self.sample), max(1, len(self.sample) // self.cuts)):
            for bits in (0x01, 0x80, 0xFF):
                changed = bytearray(self.sample)
                changed[place] ^= bits
                with suppress(DeliveryError):
                    self.values(bytes(changed))

    def test_a_byte_order_mark_is_no_part_of_the_first_record(self) -> None:
        if self.marked is not None:
            assert self.values(self.marked) == self.values(self.sample)

    def test_records_in_another_encoding_are_malformed_or_their_file_is_refused(self) -> None:
        if self.foreign is not None:
            assert self.is_refused_or_malformed(self.foreign)

    def test_a_name_that_occurs_twice_hides_no_value(self) -> None:
        if self.twins is not None:
            assert self.is_refused_or_malformed(self.twins)

    def test_a_record_larger_than_a_batch_is_malformed_or_its_file_is_refused_or_is_read(self) -> None:
        if self.huge is not None and not self.is_refused_or_malformed(self.huge):
            assert sum(batch.frame.height for batch in self.read(io.BytesIO(self.huge))) == 1

    def test_a_nul_is_kept_or_makes_its_record_malformed_and_cuts_no_text(self) -> None:
        if self.nul is not None and not self.is_refused_or_malformed(self.nul):
            texts = [str(value) for value in self.values(self.nul)]
            assert any("\\x00" in text for text in texts)

    def test_a_batch_is_yielded_before_much_more_than_the_next_one_is_read(self) -> None:
        if self.format.seeks:
            return
        stream = OneWay(self.sample)
        size = max(batch.span.length for batch in self.read())
        end = 0
        for batch in self.format.read(cast("BinaryIO", stream), "member"):
            end += batch.span.length
            assert stream.position <= end + 4 * size + READ_AHEAD

    def values(self, data: bytes) -> list[Any]:
        """Return for each record of a file its values that are not null, or the rules that it breaks."""
        values: dict[int, Any] = {}
        for batch in self.read(io.BytesIO(data)):
            for row in batch.frame.iter_rows(named=True):
                values[row[RECORD_NO]] = {name: value for name, value in row.items() if value is not None}
            values |= {number: sorted(rules) for number, rules in batch.malformed.iter_rows()}
        return [values[number] for number in sorted(values)]

    def is_refused_or_malformed(self, data: bytes) -> bool:
        """Return whether a file is refused, or any of its records is malformed."""
        try:
            return any(batch.malformed.height for batch in self.read(io.BytesIO(data)))
        except DeliveryError:
            return True
