"""One batch of delimited text: where its records are in the delivery, with their bytes and their lines.

`parse` makes a frame of its well-formed records.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from etl_assets.extract.formats.bits import find_all
from etl_assets.extract.formats.csv.found import FoundRecords
from etl_assets.extract.formats.csv.parse import Parser
from etl_assets.extract.formats.csv.plain import plain_text
from etl_assets.extract.formats.csv.records import find_records
from etl_assets.extract.formats.csv.repeated_header import repeated_headers
from etl_assets.extract.formats.encoding import encode_record
from etl_assets.extract.formats.malformed import any_broken, malformed_by_rule
from etl_assets.extract.formats.slices import slices
from etl_assets.extract.formats.span_records import check_records, index_of, indices_of
from etl_assets.model.batch import RawBatch
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.extract.formats.bits import Positions
    from etl_assets.extract.formats.csv.options import CsvOptions
    from etl_assets.extract.formats.csv.plain import PlainText
    from etl_assets.extract.formats.csv.records import Records
    from etl_assets.model.delivery import Span


class CsvBatch(RawBatch):
    """Records of delimited text."""

    def __init__(
        self,
        format_: CsvOptions,
        span: Span,
        names: tuple[str, ...],
        data: bytes,
        scanned: tuple[PlainText, Records] | None = None,
        found: FoundRecords | None = None,
    ) -> None:
        """Keep the bytes of a batch, unparsed.

        Args:
            format_: How the bytes are written.
            span: Where the bytes are in the delivery.
            names: The published names.
            data: The bytes of the span; bytes after its length are ignored.
            scanned: The bytes in the plain layout, and where the records begin and end in them, if already known.
            found: What landing found out about the bytes, if it is still known.
        """
        self.span = span
        self.names = names
        self.decimal = format_.decimal
        self.on_unterminated = format_.unterminated
        self._format = format_
        self._bytes = data
        self._known = scanned
        self._found = found

    @property
    def unterminated(self) -> int | None:
        """The last record, if the bytes end with it; see `RawBatch`."""
        text, records = self._at_hand
        ends_with_record = len(records) > 0 and int(records.stops[-1]) > text.size
        return self.span.last_record if ends_with_record else None

    @property
    def found(self) -> FoundRecords | None:
        """See `RawBatch.found`."""
        if self._format.short_records or self._format.long_records != "reject":
            return None
        text, records = self._at_hand
        return None if records.consumed < self.span.length else FoundRecords.of(text, records, len(self.names))

    @property
    def free_of_nul(self) -> bool:
        """See `RawBatch`: a record with a NUL byte is not well-formed."""
        return self._scanned[0].rewriting is None

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
        index = index_of(record_no, self.span)
        starts, ends = self._places
        record = self._data[int(starts[index]) : int(ends[index])]
        if not self._format.transcoded:
            return record
        return encode_record(record, self._format.codec)

    def location(self, record_no: int) -> str:
        """Return member and line of a record."""
        return f"{self.span.member}:{self._lines[index_of(record_no, self.span)]}"

    def raws(self, record_numbers: Sequence[int]) -> pl.Series:
        """Return the bytes of some records; they are not copied, unless the file was transcoded."""
        if self._format.transcoded:
            return super().raws(record_numbers)
        indices = indices_of(record_numbers, self.span)
        starts, ends = self._places
        if (np.diff(indices) > 0).all():
            return slices(self._data, starts[indices], ends[indices])
        return slices(self._data, starts, ends).gather(indices)

    def locations(self, record_numbers: Sequence[int]) -> pl.Series:
        """Return member and line of some records."""
        lines = pl.Series(self._lines[indices_of(record_numbers, self.span)], dtype=pl.Int64)
        return f"{self.span.member}:" + lines.cast(pl.String)

    @cached_property
    def _data(self) -> bytes:
        """The bytes of the span alone; what follows is cut off on first use."""
        data, self._bytes = self._bytes[: self.span.length], b""
        return data

    @property
    def _at_hand(self) -> tuple[PlainText, Records]:
        """As `_scanned`, but the text may go on after the span; it is not copied for that."""
        return self._scanned if self._known is None else self._known

    @cached_property
    def _scanned(self) -> tuple[PlainText, Records]:
        """The bytes in the plain layout, and where the records begin and end in them."""
        if self._known is None:
            text, records = self._scan()
        else:
            text, records = self._known
            self._known = None
            is_plain = text.rewriting is None  # it then shares the bytes of the span
            text = plain_text(self._data, text.layout, final=True) if is_plain else text.upto(records.consumed)
        check_records(len(records), self.span)
        return text, records

    def _scan(self) -> tuple[PlainText, Records]:
        """Find the records, or have them found by landing."""
        if self._found is not None:
            text = plain_text(self._data, self._format.layout, final=True)
            records = self._found.records_of(text)
            if records is not None:
                return text, records
        return scan(self._data, self._format, self.names, final=True)

    @cached_property
    def _places(self) -> tuple[Positions, Positions]:
        """Where each record begins and ends in the bytes."""
        text, records = self._scanned
        return text.origins(records.starts), text.origins(records.ends)

    @cached_property
    def _lines(self) -> Positions:
        """The line on which each record begins."""
        starts, _ = self._places
        if not len(starts):
            return starts
        text, records = self._scanned
        if records.gapless and records.lines == len(records) and not text.hides_line_ends:
            return np.arange(len(starts)) + self.span.first_line  # each record ends with one
        line_ends = find_all(np.frombuffer(self._data, np.uint8), ord(self._format.line_end))
        passed = np.searchsorted(line_ends, starts)
        lines: Positions = passed - passed[0] + self.span.first_line
        return lines

    def forget(self) -> None:
        """Free the parsed records; see `RawBatch.forget`."""
        self.__dict__.pop("_parsed", None)

    @cached_property
    def _parsed(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        frame, broken = Parser(self._format, self.names, *self._scanned).parse()
        bad = any_broken(broken, self.span.records)
        numbers = np.arange(len(bad), dtype=np.int64) + self.span.first_record
        return frame.with_columns(pl.Series(RECORD_NO, numbers[~bad])), malformed_by_rule(numbers, bad, broken)


def scan(data: bytes, format_: CsvOptions, names: Sequence[str], *, final: bool) -> tuple[PlainText, Records]:
    """Find the records in some bytes.

    Args:
        data: Bytes that begin with a record.
        format_: How they are written.
        names: The published names.
        final: Whether no more bytes follow.

    Returns:
        The bytes in the plain layout, and where the records begin and end in them.
    """
    text = plain_text(data, format_.layout, final=final)
    records = find_records(text.data, text.layout, final=final)
    if format_.repeated_header == "skip":
        records = records.without(repeated_headers(text, records, names, format_.read_codec))
    return text, records
