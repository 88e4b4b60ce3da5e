"""One batch of lines, and single lines of the quarantine: parsed on first use."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from etl_assets.extract.formats.encoding import decode_record, encode_record
from etl_assets.extract.formats.lines.lines import LineKind, Lines, find_lines, separate_lines
from etl_assets.extract.formats.lines.parsed import parse
from etl_assets.extract.formats.reread import RereadBatch
from etl_assets.extract.formats.span_records import check_records, index_of, indices_of
from etl_assets.model.batch import RawBatch
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.extract.formats.lines.format import LineFormat
    from etl_assets.model.delivery import Span


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
        line = self._records.line(index_of(record_no, self.span))
        return encode_record(line, self._format.codec) if self._format.transcoded else line

    def location(self, record_no: int) -> str:
        """Return member and line of a record."""
        return self._records.location(index_of(record_no, self.span))

    def raws(self, record_numbers: Sequence[int]) -> pl.Series:
        """Return the bytes of some records; they are not copied, unless the file was transcoded."""
        indices = indices_of(record_numbers, self.span)
        return super().raws(record_numbers) if self._format.transcoded else self._records.raws.gather(indices)

    def locations(self, record_numbers: Sequence[int]) -> pl.Series:
        """Return member and line of some records."""
        numbers = pl.Series(self._records.numbers[indices_of(record_numbers, self.span)], dtype=pl.Int64)
        return self._records.prefix + numbers.cast(pl.String)

    def forget(self) -> None:
        """Free the parsed records; see `RawBatch.forget`."""
        self.__dict__.pop("_parsed", None)

    @cached_property
    def _records(self) -> Lines:
        format_, span = self._format, self.span
        lines = find_lines(self._data, format_.text_codec, format_.line_end.encode())
        records = lines.select(format_.kinds(lines) == LineKind.RECORD)
        check_records(len(records), span)
        ahead = span.first_line - int(records.numbers[0]) if len(records) else 0
        return Lines(lines.data, lines.codec, records.starts, records.ends, records.numbers + ahead, f"{span.member}:")

    @cached_property
    def _parsed(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        numbers = np.arange(self.span.records, dtype=np.int64) + self.span.first_record
        return parse(self._format, self._records, numbers, self.span.context)


def reread(format_: LineFormat, names: Sequence[str], records: Mapping[int, bytes], context: str) -> RereadBatch:
    """Return a batch of single records; see `Format.reread`. Names that the format no longer has are null.

    Args:
        format_: The format.
        names: The published names.
        records: Record number to bytes, as `LineBatch.raw` returned them.
        context: The context of the span that they are from.
    """
    transcoded = format_.transcoded
    raws = [decode_record(raw, format_.codec) if transcoded else raw for raw in records.values()]
    lines = separate_lines(raws, format_.text_codec, list(records), "record ")
    frame, malformed = parse(format_, lines, lines.numbers, context)
    every = tuple(dict.fromkeys((*names, *format_.names)))
    lacking = [pl.lit(None, pl.String).alias(name) for name in every if name not in frame.columns]
    frame = frame.with_columns(lacking)[[*every, RECORD_NO]]
    return RereadBatch(records, every, frame, malformed, decimal=format_.decimal, context=context)
