"""A batch of records of a workbook: a JSON array of cells for each column, which are parsed when they are needed."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl

from etl_assets.extract.formats.malformed import malformed_of
from etl_assets.extract.formats.span_records import index_of
from etl_assets.model.batch import RawBatch
from etl_assets.model.rule import RuleInfo
from etl_assets.schema import RECORD_NO
from etl_assets.schema.expressions import among, named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.model.delivery import Span


_RULES: Final = {
    "error": RuleInfo("record__error_cell", "no cell has an error such as #N/A"),
    "formula": RuleInfo("record__formula_cell", "every formula has a stored result"),
    "date": RuleInfo("record__date_cell", "every cell that is shown as a date is a date"),
    "damaged": RuleInfo("record__damaged_cell", "every cell is written as its type requires, without NUL"),
    "unnamed": RuleInfo("record__unnamed_cell", "no cell has a value in a column without a name"),
}
"""The rules that a record can break, by the key of the object that stands for such a cell."""
RULES: Final = tuple(_RULES.values())
_DECODER: Final = msgspec.json.Decoder(list[str | dict[str, Any] | None])
_LITERALS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_NULL: Final = msgspec.Raw(b"null")


class ExcelBatch(RawBatch):
    """Records of one sheet.

    Args:
        span: Where the records are in the delivery.
        names: The published names.
        columns: For each name a JSON array with the cells of its column, and one with those in columns without a name;
            nothing if there are no records.
        null: Texts that mean no value.
        numbers: Numbers of the records; None for consecutive numbers from the span's first record on.
        rows: The number of the row of each record in the sheet; None if only the numbers of the records are known.
    """

    canonical = True

    def __init__(
        self,
        span: Span,
        names: Sequence[str],
        columns: Sequence[bytes],
        *,
        null: tuple[str, ...],
        numbers: Sequence[int] | None = None,
        rows: Sequence[int] | None = None,
    ) -> None:
        self.span = span
        self.names = tuple(names)
        self._columns = columns or [b"[]"] * (len(self.names) + 1)
        self._null = null
        self._numbers = numbers or span.numbers
        self._rows = rows

    @property
    def frame(self) -> pl.DataFrame:
        """The records that can be parsed; see `RawBatch`."""
        columns = zip(self.names, self._columns[:-1], strict=True)
        frame = pl.DataFrame({name: self._column(column) for name, column in columns})
        if self._null:
            kept = [pl.when(~among(named(name), self._null)).then(named(name)) for name in self.names]
            frame = frame.with_columns(kept)
        frame = frame.with_columns(pl.Series(RECORD_NO, self._numbers, dtype=pl.Int64))
        return frame.filter(~pl.int_range(pl.len()).is_in(list(self._broken))) if self._broken else frame

    @property
    def malformed(self) -> pl.DataFrame:
        """The other records; see `RawBatch`."""
        return malformed_of((self._numbers[place], sorted(rules)) for place, rules in sorted(self._broken.items()))

    def raw(self, record_no: int) -> bytes:
        """Return the cells of a record as a JSON array; the last one has those in columns without a name, if any."""
        place = self._place(record_no)
        *cells, others = (column[place] for column in self._literals)
        return b"[" + b",".join(cells if others == _NULL else [*cells, others]) + b"]"

    def location(self, record_no: int) -> str:
        """Return member, sheet and row of a record."""
        place = self._place(record_no)
        if self._rows is None:
            return f"record {record_no}"
        return f"{self.span.member}!{self.span.context}:{self._rows[place]}"

    def forget(self) -> None:
        """Free the parsed records; see `RawBatch.forget`."""
        for name in ("_broken", "_literals"):
            self.__dict__.pop(name, None)

    def _place(self, record_no: int) -> int:
        return index_of(record_no, self.span, self._numbers)

    def _column(self, column: bytes) -> pl.Series:
        """Return the texts of a column; null for a cell that has none."""
        cells = _DECODER.decode(column)
        if b"{" in column:
            cells = [None if isinstance(cell, dict) else cell for cell in cells]
        return pl.Series(cells, dtype=pl.String)

    @cached_property
    def _literals(self) -> list[list[msgspec.Raw]]:
        return [_LITERALS.decode(column) for column in self._columns]

    @cached_property
    def _broken(self) -> dict[int, set[str]]:
        """The rules that records break, by their places; an error whose text is a null word breaks none."""
        broken: dict[int, set[str]] = {}
        for column in self._columns:
            if b"{" in column:
                for place, cell in enumerate(_DECODER.decode(column)):
                    if isinstance(cell, dict) and cell.get("error") not in self._null:
                        broken.setdefault(place, set()).update(_RULES[key].name for key in cell)
        return broken


def columns_of(records: Sequence[bytes], width: int) -> list[bytes]:
    """Return the columns of records that `ExcelBatch.raw` returned.

    Args:
        records: The cells of each record.
        width: Number of published names.
    """
    rows = [[*cells, _NULL][: width + 1] for cells in map(_LITERALS.decode, records)]
    return [b"[" + b",".join(column) + b"]" for column in zip(*rows, strict=True)]
