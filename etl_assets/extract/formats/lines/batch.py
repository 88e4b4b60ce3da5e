"""One batch of lines, and single lines of the quarantine: parsed on first use."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.encoding import decode_record, encode_record
from etl_assets.extract.formats.lines.lines import LineKind, Lines, find_lines, separate_lines
from etl_assets.extract.formats.lines.parsed import parse
from etl_assets.model.batch import RawBatch
from etl_assets.model.delivery import Span
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.extract.formats.lines.format import LineFormat
    from etl_assets.extract.formats.lines.lines import Positions


class LineBatch(RawBatch):
    """Records of one line each.

    Args:
        format_: The format.
        span: Where the bytes are in the delivery.
        data: The bytes of the span.
        records: The lines of the records, if already known.
    """

    def __init__(self, format_: LineFormat, span: Span, data: bytes, records: Lines | None = None) -> None:
        self.span = span
        self.names = format_.names
        self.decimal = format_.decimal
        self.on_unterminated = format_.unterminated
        self._format = format_
        self._data = data
        if records is not None:
            self._records = records

    @property
    def unterminated(self) -> int | None:
        """The last record, if the bytes end with it; see `RawBatch`."""
        records = self._records
        if not len(records) or self._data.find(self._format.line_end.encode(), int(records.starts[-1])) >= 0:
            return None
        line = records.line(-1).decode(records.codec, "replace")
        return None if self._format.is_whole(line) else self.span.last_record

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
        line = self._records.line(self._index(record_no))
        return encode_record(line, self._format.codec) if self._format.transcoded else line

    def location(self, record_no: int) -> str:
        """Return member and line of a record."""
        return self._records.location(self._index(record_no))

    def raws(self, record_numbers: Sequence[int]) -> pl.Series:
        """Return the bytes of some records; they are not copied, unless the file was transcoded."""
        indices = self._indices(record_numbers)
        return super().raws(record_numbers) if self._format.transcoded else self._records.raws.gather(indices)

    def locations(self, record_numbers: Sequence[int]) -> pl.Series:
        """Return member and line of some records."""
        numbers = pl.Series(self._records.numbers[self._indices(record_numbers)], dtype=pl.Int64)
        return self._records.prefix + numbers.cast(pl.String)

    def forget(self) -> None:
        """Free the parsed records; see `RawBatch.forget`."""
        self.__dict__.pop("_parsed", None)

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
    def _records(self) -> Lines:
        format_, span = self._format, self.span
        lines = find_lines(self._data, format_.text_codec, format_.line_end.encode())
        records = lines.select(format_.kinds(lines) == LineKind.RECORD)
        if len(records) != span.records:
            raise DeliveryError(
                f"Batch {span.batch} of {span.member or 'the file'} has {len(records)} records, its index says "
                f"{span.records}. The batch was not written. Index the delivery again: its format changed."
            )
        ahead = span.first_line - int(records.numbers[0]) if len(records) else 0
        return Lines(lines.data, lines.codec, records.starts, records.ends, records.numbers + ahead, f"{span.member}:")

    @cached_property
    def _parsed(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        numbers = np.arange(self.span.records, dtype=np.int64) + self.span.first_record
        return parse(self._format, self._records, numbers, self.span.context)


class RereadLines(RawBatch):
    """Records by number, as they were in the quarantine.

    Args:
        format_: The format.
        names: The published names.
        records: Record number to bytes, as `LineBatch.raw` returned them.
        context: The context of the span that they are from.
    """

    def __init__(self, format_: LineFormat, names: Sequence[str], records: Mapping[int, bytes], context: str) -> None:
        self.span = Span(0, "", 0, 0, min(records, default=1), len(records), 0, context=context)
        self.names = tuple(dict.fromkeys((*names, *format_.names)))
        self.decimal = format_.decimal
        self._bytes = records
        transcoded = format_.transcoded
        raws = [decode_record(raw, format_.codec) if transcoded else raw for raw in records.values()]
        lines = separate_lines(raws, format_.text_codec, list(records), "record ")
        self._parsed = parse(format_, lines, lines.numbers, context)

    @property
    def frame(self) -> pl.DataFrame:
        """The well-formed records. See `RawBatch.frame`. Names that the format no longer has are null."""
        frame = self._parsed[0]
        lacking = [pl.lit(None, pl.String).alias(name) for name in self.names if name not in frame.columns]
        return frame.with_columns(lacking)[[*self.names, RECORD_NO]]

    @property
    def malformed(self) -> pl.DataFrame:
        """The other records. See `RawBatch.malformed`."""
        return self._parsed[1]

    def raw(self, record_no: int) -> bytes:
        """Return the bytes of a record, as given."""
        return self._bytes[record_no]

    def location(self, record_no: int) -> str:
        """Return the number of a record; its member and line are not known here."""
        return f"record {record_no}"
