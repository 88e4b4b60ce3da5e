"""One batch of a dump: the records of the declared table as a frame, and those that cannot be parsed."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from etl_assets.extract.formats.bits import find_all
from etl_assets.extract.formats.encoding import UTF8, encode_record
from etl_assets.extract.formats.malformed import malformed_of
from etl_assets.extract.formats.span_records import check_records, index_of
from etl_assets.extract.formats.sql_dump import columns
from etl_assets.extract.formats.sql_dump.cutting import BrokenError, Cut, cut_copy, cut_insert
from etl_assets.extract.formats.sql_dump.grammar import grammar
from etl_assets.extract.formats.sql_dump.literals import ExpressionError, fields_of, values_of
from etl_assets.extract.formats.utf8 import is_utf8
from etl_assets.model.batch import RawBatch
from etl_assets.model.rule import RuleInfo
from etl_assets.schema import RECORD_NO
from etl_assets.schema.expressions import among, named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.extract.formats.bits import Positions
    from etl_assets.extract.formats.sql_dump.layout import Layout
    from etl_assets.model.delivery import Span

ENCODING: Final = "record__encoding"
EXPRESSION: Final = "record__expression"
FIELD_COUNT: Final = "record__field_count"
ESCAPE: Final = "record__escape"
RULES: Final = (
    RuleInfo(FIELD_COUNT, "the record has a value for each column"),
    RuleInfo(ENCODING, "the record is in the declared encoding"),
    RuleInfo(EXPRESSION, "each value of the record is a literal, which needs no database to compute it"),
    RuleInfo(ESCAPE, "the line of a COPY has its special characters as escapes"),
)
"""The rules that a record of a dump can break."""


class DumpBatch(RawBatch):
    """Records of one table.

    Args:
        span: Where they are in the delivery.
        layout: How they are written.
        names: The published names, in order; the layout has the same in any order.
        null: Texts that mean no value.
        codec: Encoding of the bytes.
        original: Encoding to which `raw` encodes them again; None if they are as delivered.
        data: The bytes of the span.
        cut: The records of these bytes, if already known.
        numbers: Numbers of the records; None for consecutive ones from the span's first record on.
    """

    def __init__(
        self,
        span: Span,
        layout: Layout,
        *,
        names: tuple[str, ...],
        null: tuple[str, ...],
        codec: str,
        original: str | None = None,
        data: bytes = b"",
        cut: Cut | None = None,
        numbers: Sequence[int] | None = None,
    ) -> None:
        self.span = span
        self.names = names
        self._layout = layout
        self._null = null
        self._codec = codec
        self._original = original
        self._data = data
        self._known = cut
        self._numbers = numbers

    @property
    def frame(self) -> pl.DataFrame:
        """The records of literals; see `RawBatch`."""
        return self._parsed[0]

    @property
    def malformed(self) -> pl.DataFrame:
        """The other records; see `RawBatch`."""
        return self._parsed[1]

    def raw(self, record_no: int) -> bytes:
        """Return the round brackets of a record with what they contain, or the line of a COPY."""
        record = self._cut.records[self._index(record_no)]
        return encode_record(record, self._original) if self._original else record

    def location(self, record_no: int) -> str:
        """Return member and line on which a record begins; and its first byte, if a line may have many records."""
        return self._places([self._index(record_no)])[0]

    def locations(self, record_numbers: Sequence[int]) -> pl.Series:
        """Return the places of some records, as `location` does."""
        return pl.Series(self._places([self._index(number) for number in record_numbers]), dtype=pl.String)

    def forget(self) -> None:
        """Free the parsed records; see `RawBatch.forget`."""
        for name in ("_parsed", "_cut", "_feeds") if self._data else ("_parsed",):
            self.__dict__.pop(name, None)

    def _index(self, record_no: int) -> int:
        return index_of(record_no, self.span, self._numbers)

    def _places(self, indices: Sequence[int]) -> list[str]:
        if self._numbers is not None:
            return [f"record {self._numbers[index]}" for index in indices]
        starts, span = self._cut.starts, self.span
        places = []
        for index in indices:
            line = span.first_line + int(np.searchsorted(self._feeds, starts[index])) - self._before
            byte = "" if self._layout.kind == "copy" else f", byte {span.offset + starts[index]}"
            places.append(f"{span.member}:{line}{byte}")
        return places

    @cached_property
    def _feeds(self) -> Positions:
        """The positions of the line feeds."""
        return find_all(np.frombuffer(self._data, np.uint8), ord("\n"))

    @property
    def _before(self) -> int:
        """The number of lines before the first record."""
        return int(np.searchsorted(self._feeds, self._cut.starts[0]))

    @cached_property
    def _cut(self) -> Cut:
        """The records in the bytes."""
        cut, self._known = self._known, None
        if cut is None:
            try:
                cut = cut_of(self._data, self._layout, len(self._data))
            except BrokenError:
                cut = Cut()
        check_records(len(cut.records), self.span)
        return cut

    @cached_property
    def _parsed(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        first = self.span.first_record
        numbers = np.arange(first, first + self.span.records)
        if self._numbers is not None:
            numbers = np.asarray(self._numbers, np.int64)
        frame, broken = self._whole_table(numbers) or self._of_records(numbers)
        if self._null:
            known = [pl.when(~among(named(name), self._null)).then(named(name)) for name in self.names]
            frame = frame.with_columns(known)
        listed = sorted((int(numbers[index]), [rule]) for index, rule in broken.items())
        return frame[[*self.names, RECORD_NO]], malformed_of(listed)

    def _whole_table(self, numbers: Positions) -> tuple[pl.DataFrame, dict[int, str]] | None:
        """Read the lines of a COPY without cutting them, if all are well-formed; None if any may not be."""
        data, layout = self._data, self._layout
        height, width = self.span.records, len(layout.columns)
        if layout.kind != "copy" or not data or not columns.is_table(data, height, width):
            return None
        if not data.isascii() and not (self._codec == UTF8 and is_utf8(data)):
            return None
        found = columns.of_table(data, height, width)
        return (_frame(layout.columns, found.values, numbers), {}) if found.usual.all() else None

    def _of_records(self, numbers: Positions) -> tuple[pl.DataFrame, dict[int, str]]:
        """Read each record that can be read, and return the rules that the others break, by their index."""
        texts, broken = _as_utf8(self._cut.records, self._codec)
        frame, rules = _read(texts, self._cut.odd, numbers, self._layout)
        return frame, broken | rules


def cut_of(data: bytes, layout: Layout, size: int) -> Cut:
    """Cut the records of a span."""
    return cut_copy(data, layout) if layout.kind == "copy" else cut_insert(data + b"\n", 0, layout, size, final=True)


def _as_utf8(records: Sequence[bytes], codec: str) -> tuple[dict[int, bytes], dict[int, str]]:
    """Return the records that can be decoded as UTF-8, and the rule that the others break, by their index."""
    whole = b"\n".join(records)
    if whole.isascii() or (codec == UTF8 and is_utf8(whole)):
        return dict(enumerate(records)), {}
    texts: dict[int, bytes] = {}
    broken: dict[int, str] = {}
    for index, record in enumerate(records):
        try:
            texts[index] = record.decode(codec).encode(UTF8)
        except UnicodeError:
            broken[index] = ENCODING
    return texts, broken


def _read(
    texts: dict[int, bytes], odd: set[int], numbers: Positions, layout: Layout
) -> tuple[pl.DataFrame, dict[int, str]]:
    """Read records of UTF-8: many at once, then those that are unusual one by one."""
    suspects = odd & texts.keys()
    plain = {index: text for index, text in texts.items() if index not in suspects} if suspects else texts
    indices = np.fromiter(plain, np.int64, len(plain))
    frame = _frame(layout.columns, [pl.Series([], dtype=pl.String)] * len(layout.columns), numbers[:0])
    if plain:
        found = _columns(list(plain.values()), layout)
        frame = _frame(layout.columns, found.values, numbers[indices[found.usual]])
        suspects |= set(indices[~found.usual].tolist())
    if not suspects:
        return frame, {}
    rows, broken = _one_by_one({index: texts[index] for index in sorted(suspects)}, layout)
    values = [pl.Series([row[place] for row in rows.values()], dtype=pl.String) for place in range(len(layout.columns))]
    slow = _frame(layout.columns, values, numbers[list(rows)] if rows else numbers[:0])
    return pl.concat([frame, slow]).sort(RECORD_NO), broken


def _columns(texts: Sequence[bytes], layout: Layout) -> columns.Columns:
    width = len(layout.columns)
    if layout.kind == "copy":
        return columns.of_lines(texts, width)
    return columns.of_inserts(texts, width, backslash=grammar(layout.dialect).backslash)


def _one_by_one(texts: dict[int, bytes], layout: Layout) -> tuple[dict[int, Sequence[str | None]], dict[int, str]]:
    """Return the values of the records that have them, and the rule that each of the others breaks."""
    rows: dict[int, Sequence[str | None]] = {}
    broken: dict[int, str] = {}
    for index, text in texts.items():
        try:
            values = values_of(text, layout.dialect) if layout.kind == "insert" else fields_of(text)
            row = [None if value is None else value.decode() for value in values]
        except ExpressionError:
            broken[index] = EXPRESSION if layout.kind == "insert" else ESCAPE
        except UnicodeDecodeError:
            broken[index] = ENCODING
        else:
            if len(row) == len(layout.columns):
                rows[index] = row
            else:
                broken[index] = FIELD_COUNT
    return rows, broken


def _frame(names: Sequence[str], values: Sequence[pl.Series], numbers: Positions) -> pl.DataFrame:
    return pl.DataFrame({**dict(zip(names, values, strict=True)), RECORD_NO: pl.Series(numbers, dtype=pl.Int64)})
