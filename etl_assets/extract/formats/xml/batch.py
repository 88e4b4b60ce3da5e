"""One batch of XML: its records as a frame, and the records that are malformed."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from etl_assets.extract.formats.encoding import encode_record
from etl_assets.extract.formats.malformed import malformed_of
from etl_assets.extract.formats.span_records import check_records, index_of
from etl_assets.extract.formats.xml.document import Document
from etl_assets.extract.formats.xml.found import end_of
from etl_assets.extract.formats.xml.tags import Context, around, encoded
from etl_assets.model.batch import RawBatch
from etl_assets.model.rule import RuleInfo
from etl_assets.schema import RECORD_NO
from etl_assets.schema.expressions import among

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from etl_assets.extract.formats.xml.found import Record
    from etl_assets.extract.formats.xml.options import XmlOptions
    from etl_assets.model.delivery import Span

TWICE: Final = "record__element_twice"
WELL_FORMED: Final = "record__well_formed"
RULES: Final = (
    RuleInfo(TWICE, "no element that is not declared as repeated occurs twice in the record"),
    RuleInfo(WELL_FORMED, "the record is one well-formed element with the declared path"),
)
"""The rules that a record can break; a document that is not well-formed is refused as a whole."""


class XmlBatch(RawBatch):
    """Records that are elements of a document.

    Args:
        options: How the document is read.
        span: Where the records are in the delivery.
        names: The published names.
        data: The bytes of the span, as the parser takes them.
        records: The records, if already parsed.
    """

    def __init__(
        self,
        options: XmlOptions,
        span: Span,
        names: tuple[str, ...],
        data: bytes,
        records: Sequence[Record] | None = None,
    ) -> None:
        self.span = span
        self.names = names
        self._options = options
        self._data = data
        self._context = Context.of(span.context)
        if records is not None:
            self.__dict__["_records"] = records

    @property
    def frame(self) -> pl.DataFrame:
        """The well-formed records; see `RawBatch`."""
        rows = {number: record.cells for number, record in enumerate(self._records, self.span.first_record)}
        return frame_of(rows, self.names, self._options.null)

    @property
    def malformed(self) -> pl.DataFrame:
        """The other records; see `RawBatch`."""
        numbered = enumerate(self._records, self.span.first_record)
        return malformed_of((number, [TWICE]) for number, record in numbered if record.cells is None)

    def raw(self, record_no: int) -> bytes:
        """Return the bytes of a record, after the start tags around it that have attributes; see `around`."""
        record = self._records[index_of(record_no, self.span)]
        origin, codec = self.span.offset, self._context.codec
        element = self._data[record.start - origin : end_of(record, self._data, origin, codec) - origin]
        raw = encoded(around(record.ancestors), codec) + element
        return encode_record(raw, self._options.transcoded) if self._options.transcoded else raw

    def location(self, record_no: int) -> str:
        """Return member and path of a record, with its number among the records of the member."""
        number = self.span.first_line + index_of(record_no, self.span)
        return f"{self.span.member}:{self._options.record}[{number}]"

    def forget(self) -> None:
        """Free the parsed records; see `RawBatch.forget`."""
        self.__dict__.pop("_records", None)

    @cached_property
    def _records(self) -> Sequence[Record]:
        """The records of the span."""
        where = self.span.member or "the file"
        head = self._context.head
        document = Document(self._options, where, self._context.codec, self.span.offset - len(head))
        document.feed(head)
        document.feed(self._data)
        records = document.take()
        check_records(len(records), self.span)
        return records


def frame_of(
    rows: Mapping[int, Mapping[str, Any] | None], names: Collection[str], null: tuple[str, ...]
) -> pl.DataFrame:
    """Return the frame of some records; see `RawBatch.frame`.

    Args:
        rows: Record number to the cells by name; None for a malformed record.
        names: The names of the columns.
        null: Texts that mean no value.
    """
    cells = [row for row in rows.values() if row is not None]
    numbers = pl.Series(RECORD_NO, [number for number, row in rows.items() if row is not None], dtype=pl.Int64)
    columns = [pl.Series(name, [row.get(name) for row in cells], dtype=pl.String) for name in names]
    frame = pl.DataFrame(columns)
    if null:
        frame = frame.select(pl.when(~among(pl.col(name), null)).then(pl.col(name)).alias(name) for name in names)
    return frame.with_columns(numbers) if columns else numbers.to_frame()
