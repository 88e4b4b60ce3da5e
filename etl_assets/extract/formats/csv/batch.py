"""One batch of delimited text: its well-formed records as a frame, and the records that cannot be parsed.

Polars splits the well-formed records. The records are found and their fields are counted before that, so that a lenient
parser cannot change the result.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import polars as pl
import pyarrow as pa

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.csv.records import field_counts, find_records, split_fields
from etl_assets.extract.formats.encoding import UTF8, encode_record
from etl_assets.extract.formats.utf8 import invalid_utf8, is_utf8
from etl_assets.model.batch import REJECTED_RECORD_NO, REJECTED_RULES, RawBatch
from etl_assets.model.rule import UNTERMINATED, RuleInfo
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.extract.formats.csv.bits import Flags, Positions
    from etl_assets.extract.formats.csv.options import CsvOptions
    from etl_assets.extract.formats.csv.records import Layout, Records
    from etl_assets.model.delivery import Span

QUOTING: Final = "record__quoting"
FIELD_COUNT: Final = "record__field_count"
NUL: Final = "record__nul"
ENCODING: Final = "record__encoding"
RULES: Final = (
    RuleInfo(FIELD_COUNT, "the record has as many fields as the header"),
    RuleInfo(ENCODING, "the record is in the declared encoding"),
    RuleInfo(NUL, "the record holds no NUL byte"),
    RuleInfo(QUOTING, "the record's quotes are opened and closed as declared"),
    RuleInfo(UNTERMINATED, "the record ends with a line end, so that it was not cut"),
)
"""The rules that a record of delimited text can break."""
_MARK: Final = b"\xef\xbb\xbf"


class CsvBatch(RawBatch):
    """Records of delimited text."""

    def __init__(
        self, format_: CsvOptions, span: Span, names: tuple[str, ...], data: bytes, records: Records | None = None
    ) -> None:
        """Keep the bytes of a batch, unparsed.

        Args:
            format_: How the bytes are written.
            span: Where the bytes are in the delivery.
            names: The published names.
            data: The bytes of the span; bytes after its length are ignored.
            records: Where the records begin and end, if already known.
        """
        self.span = span
        self.names = names
        self.decimal = format_.decimal
        self.on_unterminated = format_.unterminated
        self._format = format_
        self._layout = format_.layout
        self._codec = UTF8 if format_.transcoded else format_.codec
        self._bytes = data
        self._known = records

    @property
    def unterminated(self) -> int | None:
        """The last record, if the bytes end with it; see `RawBatch`."""
        ends_with_record = len(self._records) > 0 and int(self._records.stops[-1]) > self.span.length
        return self.span.last_record if ends_with_record else None

    @property
    def frame(self) -> pl.DataFrame:
        """The well-formed records; see `RawBatch`."""
        return self._parsed[0]

    @property
    def malformed(self) -> pl.DataFrame:
        """The other records; see `RawBatch`."""
        return self._parsed[1]

    def raw(self, record_no: int) -> bytes:
        """Return the bytes of a record, in the encoding of the file; UTF-16 and UTF-32 in little-endian order."""
        index = self._index(record_no)
        record = self._data[int(self._records.starts[index]) : int(self._records.ends[index])]
        if not self._format.transcoded:
            return record
        return encode_record(record, self._format.codec)

    def location(self, record_no: int) -> str:
        """Return member and line of a record."""
        return f"{self.span.member}:{self._lines[self._index(record_no)]}"

    def raws(self, record_numbers: Sequence[int]) -> pl.Series:
        """Return the bytes of some records; they are not copied, unless the file was transcoded."""
        if self._format.transcoded:
            return super().raws(record_numbers)
        return _slices(self._data, self._records.starts, self._records.ends).gather(self._indices(record_numbers))

    def locations(self, record_numbers: Sequence[int]) -> pl.Series:
        """Return member and line of some records."""
        lines = pl.Series(self._lines[self._indices(record_numbers)], dtype=pl.Int64)
        return f"{self.span.member}:" + lines.cast(pl.String)

    def _indices(self, record_numbers: Sequence[int]) -> Positions:
        indices: Positions = np.asarray(record_numbers, np.int64) - self.span.first_record
        if len(indices):
            self._index(int(indices.min()) + self.span.first_record)
            self._index(int(indices.max()) + self.span.first_record)
        return indices

    def _index(self, record_no: int) -> int:
        index = record_no - self.span.first_record
        if not 0 <= index < self.span.records:
            raise IndexError(f"record {record_no} is not in batch {self.span.batch}")
        return index

    @cached_property
    def _data(self) -> bytes:
        """The bytes of the span alone; what follows is cut off on first use."""
        data, self._bytes = self._bytes[: self.span.length], b""
        return ended_by_line_feed(data)

    @cached_property
    def _records(self) -> Records:
        records = self._known or find_records(self._data, self._layout, final=True)
        if len(records) != self.span.records:
            raise DeliveryError(
                f"Batch {self.span.batch} of {self.span.member or 'the file'} has {len(records)} records, its index "
                f"says {self.span.records}. The batch was not written. Index the delivery again: its format changed."
            )
        return records

    @cached_property
    def _lines(self) -> Positions:
        """The line on which each record begins."""
        if not len(self._records):
            return self._records.starts
        line_feeds = np.flatnonzero(np.frombuffer(self._data, np.uint8) == ord("\n"))
        passed = np.searchsorted(line_feeds, self._records.starts)
        lines: Positions = passed - passed[0] + self.span.first_line
        return lines

    def forget(self) -> None:
        """Free the parsed records; see `RawBatch.forget`."""
        self.__dict__.pop("_parsed", None)

    @cached_property
    def _parsed(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        counts = field_counts(self._data, self._records, self._layout.delimiter, len(self.names))
        broken = self._broken(counts)
        bad = np.zeros(len(self._records), bool)
        for flags in broken.values():
            bad |= flags
        numbers = np.arange(len(bad), dtype=np.int64) + self.span.first_record
        body, codec = self._body(~bad if broken else None, counts), self._codec
        if codec != UTF8 and not body.isascii():
            body = body.decode(codec).encode(UTF8)
        frame = self._split(body, len(bad) - int(np.count_nonzero(bad)))
        return frame.with_columns(pl.Series(RECORD_NO, numbers[~bad])), _malformed(numbers, bad, broken)

    def _broken(self, counts: Positions | None) -> dict[str, Flags]:
        """Return, for each rule that any record breaks, which records break it."""
        records, data = self._records, self._data
        broken = {QUOTING: records.misquoted} if records.misquoted.any() else {}
        if counts is not None:
            wrong = counts > len(self.names) if self._format.short_records else counts != len(self.names)
            wrong &= ~records.misquoted
            if wrong.any():
                broken[FIELD_COUNT] = wrong
        if b"\0" in data:
            positions = np.flatnonzero(np.frombuffer(data, np.uint8) == 0)
            broken[NUL] = _flags(records.holding(positions), len(records))
        if not data.isascii() and not _decodes(data, self._codec):
            broken[ENCODING] = self._undecodable()
        return broken

    def _undecodable(self) -> Flags:
        """Return which records contain bytes that cannot be decoded."""
        records, data = self._records, self._data
        if self._codec == UTF8:
            return _flags(records.holding(invalid_utf8(data)), len(records))
        ends = zip(records.starts.tolist(), records.ends.tolist(), strict=True)
        return np.array([not _decodes(data[start:end], self._codec) for start, end in ends], bool)

    def _body(self, good: Flags | None, counts: Positions | None) -> bytes:
        """Return the lines of the well-formed records, each with all its delimiters."""
        records, data = self._records, self._data
        short = counts is not None and self._format.short_records
        if good is None and records.gapless and not short:
            return data
        chosen = np.flatnonzero(good) if good is not None else np.arange(len(records))
        if not len(chosen):
            return b""
        if short and counts is not None:
            missing = len(self.names) - counts[chosen]
            return b"".join(
                data[start:end] + self._layout.delimiter * lacking + b"\n"
                for start, end, lacking in zip(
                    records.starts[chosen].tolist(), records.ends[chosen].tolist(), missing.tolist(), strict=True
                )
            )
        starts, stops = records.starts[chosen], records.stops[chosen]
        breaks = np.flatnonzero(starts[1:] != stops[:-1])
        begins = np.concatenate((starts[:1], starts[1:][breaks])).tolist()
        ends = np.concatenate((stops[:-1][breaks], stops[-1:])).tolist()
        return b"".join(data[begin:end] for begin, end in zip(begins, ends, strict=True))

    def _split(self, body: bytes, height: int) -> pl.DataFrame:
        """Split complete UTF-8 records, each with as many fields as there are names."""
        schema = dict.fromkeys(self.names, pl.String())
        if not body:
            return pl.DataFrame(schema=schema)
        words = list(dict.fromkeys(("", *self._format.null)))
        if not body.startswith(_MARK):
            frame = pl.read_csv(
                body,
                has_header=False,
                schema=schema,
                separator=self._format.delimiter,
                quote_char=self._format.quote if self._layout.quote in body else None,
                null_values=words,
            )
            if frame.height == height:
                return frame
        rows = [
            [None if (text := field.decode(UTF8)) in words else text for field in split_fields(record, self._layout)]
            for record in _records_of(body, self._layout)
        ]
        return pl.DataFrame(rows, schema=schema, orient="row")


def ended_by_line_feed(data: bytes) -> bytes:
    """Return the bytes with a line feed at their end."""
    return data if not data or data.endswith(b"\n") else data + b"\n"


def _slices(data: bytes, starts: Positions, ends: Positions) -> pl.Series:
    """Return ascending parts of some bytes that do not overlap, as Binary that refers to the bytes."""
    offsets = np.column_stack((starts, ends)).astype(np.int64, copy=False)
    # every second value of the array is what lies between two parts
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(data)]
    parts = pa.Array.from_buffers(pa.large_binary(), max(offsets.size - 1, 0), buffers)
    return cast("pl.Series", pl.from_arrow(parts)).gather_every(2)


def _records_of(body: bytes, layout: Layout) -> Iterator[bytes]:
    records = find_records(body, layout, final=True)
    for start, end in zip(records.starts.tolist(), records.ends.tolist(), strict=True):
        yield body[start:end]


def _flags(indices: Positions, length: int) -> Flags:
    flags = np.zeros(length, bool)
    flags[indices] = True
    return flags


def _decodes(data: bytes, codec: str) -> bool:
    if codec == UTF8:
        return is_utf8(data)
    try:
        data.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def _malformed(numbers: Positions, bad: Flags, broken: dict[str, Flags]) -> pl.DataFrame:
    if not broken:
        return pl.DataFrame(schema={REJECTED_RECORD_NO: pl.Int64(), REJECTED_RULES: pl.List(pl.String())})
    frame = pl.DataFrame({REJECTED_RECORD_NO: numbers[bad], **{rule: flags[bad] for rule, flags in broken.items()}})
    rules = pl.concat_list([pl.when(pl.col(rule)).then(pl.lit(rule)) for rule in broken])
    return frame.select(REJECTED_RECORD_NO, rules.list.drop_nulls().alias(REJECTED_RULES))
