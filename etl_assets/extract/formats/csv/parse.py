"""Parses the records of a piece of delimited text: a frame of the well-formed ones, and which rules the others break.

Polars splits the well-formed records. The records are found and their fields are counted before that, so that a lenient
parser cannot change the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from etl_assets.extract.formats.bits import find_all
from etl_assets.extract.formats.csv.records import (
    CARRIAGE_RETURN,
    field_counts,
    field_spans,
    find_delimiters,
    find_records,
    split_fields,
)
from etl_assets.extract.formats.encoding import UTF8, decodes
from etl_assets.extract.formats.misread import MISREAD_STARTS
from etl_assets.extract.formats.utf8 import invalid_utf8
from etl_assets.model.rule import UNTERMINATED, RuleInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.extract.formats.bits import Flags, Positions
    from etl_assets.extract.formats.csv.options import CsvOptions
    from etl_assets.extract.formats.csv.plain import PlainText
    from etl_assets.extract.formats.csv.records import Delimiters, Layout, Records

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


@dataclass(frozen=True)
class Parser:
    """Parses the records of a piece of text.

    Attributes:
        options: How the text is written.
        names: The published names.
        text: The text, rewritten.
        records: Where its records begin and end.
    """

    options: CsvOptions
    names: tuple[str, ...]
    text: PlainText
    records: Records

    def parse(self) -> tuple[pl.DataFrame, dict[str, Flags]]:
        """Return a frame of the well-formed records, and for each rule that any record breaks, which records break it.

        The frame has a String column for each name; a value that is empty, or is a null word, is null.
        """
        delimiters = counts = None
        if self.records.miscounted is None:
            delimiters = find_delimiters(self.text.data, self.records, self.text.layout.delimiter)
            counts = field_counts(delimiters.outer, self.records, len(self.names))
        broken = self._broken(counts)
        bad = np.zeros(len(self.records), bool)
        for flags in broken.values():
            bad |= flags
        good = ~bad if broken else None
        body, codec = self._body(good, counts), self.options.read_codec
        if codec != UTF8 and not body.isascii():
            body = body.decode(codec).encode(UTF8)
        frame = self._split(body, len(bad) - int(np.count_nonzero(bad)))
        if self.text.rewriting is not None and delimiters is not None and frame.height:
            rows = (np.ones(len(bad), bool) if good is None else good).cumsum() - 1
            signed = self._signed(delimiters, good)
            if counts is not None and self.options.long_records == "join":  # their signs are in the body alone
                signed[len(self.names) - 1] = np.flatnonzero(~bad)
            frame = self.text.meanings(frame, {self.names[column]: rows[found] for column, found in signed.items()})
        return frame, broken

    def _signed(self, delimiters: Delimiters, good: Flags | None) -> dict[int, Positions]:
        """Return, for each column with signs in its values, the indices of their records, which are well-formed."""
        starts, signs = self.records.starts, self.text.signs(delimiters.quoted)
        indices = np.searchsorted(starts, signs, side="right") - 1
        kept = (indices >= 0) & (signs < self.records.ends[indices])
        if good is not None:
            kept &= good[indices]
        indices, signs = indices[kept], signs[kept]
        outer = delimiters.outer
        columns = np.minimum(outer.upto(signs) - outer.upto(starts[indices]), len(self.names) - 1)
        return {column: _once(indices[columns == column]) for column in np.flatnonzero(np.bincount(columns)).tolist()}

    def _broken(self, counts: Positions | None) -> dict[str, Flags]:
        """Return, for each rule that any record breaks, which records break it."""
        records, data = self.records, self.text.data
        broken = {QUOTING: records.misquoted} if records.misquoted.any() else {}
        wrong = records.miscounted
        if counts is not None:
            wrong = self._miscounted(counts) & ~records.misquoted
        if wrong is not None and wrong.any():
            broken[FIELD_COUNT] = wrong
        if b"\0" in data:
            positions = find_all(np.frombuffer(data, np.uint8), 0)
            broken[NUL] = _flags(records.holding(positions), len(records))
        if not data.isascii() and not decodes(data, self.options.read_codec):
            broken[ENCODING] = self._undecodable()
        return broken

    def _miscounted(self, counts: Positions) -> Flags:
        """Return which records have a number of fields that is not accepted."""
        expected, accepted = len(self.names), self.options.long_records
        wrong: Flags = counts > expected if self.options.short_records else counts != expected
        if accepted == "join":
            wrong &= counts < expected
        elif accepted == "trim":
            for index in np.flatnonzero(wrong & (counts > expected)).tolist():
                surplus = self.text.layout.delimiter * int(counts[index] - expected)
                end = int(self.records.ends[index])
                wrong[index] = not self.text.data.endswith(surplus, int(self.records.starts[index]), end)
        return wrong

    def _undecodable(self) -> Flags:
        """Return which records contain bytes that cannot be decoded."""
        records, data, codec = self.records, self.text.data, self.options.read_codec
        if codec == UTF8:
            return _flags(records.holding(invalid_utf8(data)), len(records))
        ends = zip(records.starts.tolist(), records.ends.tolist(), strict=True)
        return np.array([not decodes(data[start:end], codec) for start, end in ends], bool)

    def _body(self, good: Flags | None, counts: Positions | None) -> bytes:
        """Return the lines of the well-formed records, each with all its delimiters."""
        records, data = self.records, self.text.data
        ragged = counts is not None and (self.options.short_records or self.options.long_records != "reject")
        if good is None and records.gapless and not ragged:
            return data
        chosen = np.flatnonzero(good) if good is not None else np.arange(len(records))
        if not len(chosen):
            return b""
        if ragged and counts is not None:
            missing = (len(self.names) - counts[chosen]).tolist()
            ends = zip(records.starts[chosen].tolist(), records.ends[chosen].tolist(), missing, strict=True)
            return b"".join(self._whole(data[start:end], lacking) for start, end, lacking in ends)
        starts, stops = records.starts[chosen], records.stops[chosen]
        breaks = np.flatnonzero(starts[1:] != stops[:-1])
        begins = np.concatenate((starts[:1], starts[1:][breaks])).tolist()
        stopped = np.concatenate((stops[:-1][breaks], stops[-1:])).tolist()
        view = memoryview(data)
        return b"".join([view[begin:end] for begin, end in zip(begins, stopped, strict=True)])

    def _whole(self, record: bytes, missing: int) -> bytes:
        """Return the line of a record with a delimiter for each missing field, or without what is too much."""
        delimiter = self.text.layout.delimiter
        if missing >= 0:
            return record + delimiter * missing + self.text.layout.line_end
        if self.options.long_records == "trim":
            return record[:missing] + self.text.layout.line_end
        *_, (last, _) = (span for span, _ in zip(field_spans(record, self.text.layout), self.names, strict=False))
        return record[:last] + self.text.literal(record[last:]) + self.text.layout.line_end

    def _split(self, body: bytes, height: int) -> pl.DataFrame:
        """Split complete UTF-8 records, each with as many fields as there are names."""
        layout = self.text.layout
        schema = dict.fromkeys(self.names, pl.String())
        if not body:
            return pl.DataFrame(schema=schema)
        words = list(dict.fromkeys(("", *map(self.text.rewritten, self.options.null))))
        if not _is_misread(body, layout):
            frame = pl.read_csv(
                body,
                has_header=False,
                schema=schema,
                separator=layout.delimiter.decode(),
                quote_char=self.options.quote if layout.quote in body else None,
                null_values=words if len(words) > 1 else words[0],  # a list of one is slower
                eol_char=layout.line_end.decode(),
            )
            if frame.height == height:
                return frame
        rows = [
            [None if (text := field.decode(UTF8)) in words else text for field in split_fields(record, layout)]
            for record in _records_of(body, layout)
        ]
        return pl.DataFrame(rows, schema=schema, orient="row")


def _is_misread(body: bytes, layout: Layout) -> bool:
    """Return whether Polars would not read all bytes as they are: see `misread`; it drops a CR before a delimiter."""
    if body.startswith(MISREAD_STARTS) or not layout.takes_crlf or b"\r" not in body:
        return body.startswith(MISREAD_STARTS)
    codes = np.frombuffer(body, np.uint8)
    return bool((codes[find_all(codes, CARRIAGE_RETURN) + 1] == layout.delimiter[0]).any())


def _records_of(body: bytes, layout: Layout) -> Iterator[bytes]:
    records = find_records(body, layout, final=True)
    for start, end in zip(records.starts.tolist(), records.ends.tolist(), strict=True):
        yield body[start:end]


def _once(ascending: Positions) -> Positions:
    """Return each of some positions once."""
    once: Positions = ascending[np.append(True, ascending[1:] != ascending[:-1])]
    return once


def _flags(indices: Positions, length: int) -> Flags:
    flags = np.zeros(length, bool)
    flags[indices] = True
    return flags
