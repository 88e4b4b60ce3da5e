"""A batch of records of a workbook: JSON arrays of cells, which are parsed when they are needed."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl

from etl_assets.model.batch import REJECTED_RECORD_NO, REJECTED_RULES, RawBatch
from etl_assets.model.rule import RuleInfo
from etl_assets.schema import RECORD_NO
from etl_assets.schema.expressions import among

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.model.delivery import Span

    Cell = str | dict[str, Any] | None

_RULES: Final = {
    "error": RuleInfo("record__error_cell", "no cell has an error such as #N/A"),
    "formula": RuleInfo("record__formula_cell", "every formula has a stored result"),
    "date": RuleInfo("record__date_cell", "every cell that is shown as a date is a date"),
    "damaged": RuleInfo("record__damaged_cell", "every cell is written as its type requires, without NUL"),
    "unnamed": RuleInfo("record__unnamed_cell", "no cell has a value in a column without a name"),
}
"""The rules that a record can break, by the key of the object that stands for such a cell."""
RULES: Final = tuple(_RULES.values())
_DECODER: Final = msgspec.json.Decoder(list[list[str | None | dict[str, Any]]])


class ExcelBatch(RawBatch):
    """Records of one sheet.

    Args:
        span: Where the records are in the delivery.
        names: The published names.
        data: The records as JSON arrays, each followed by a line feed.
        null: Texts that mean no value.
        numbers: Numbers of the records; None for consecutive numbers from the span's first record on.
        rows: The number of the row of each record in the sheet; None if only the numbers of the records are known.
    """

    canonical = True

    def __init__(
        self,
        span: Span,
        names: Sequence[str],
        data: bytes,
        *,
        null: tuple[str, ...],
        numbers: Sequence[int] | None = None,
        rows: Sequence[int] | None = None,
    ) -> None:
        self.span = span
        self.names = tuple(names)
        self._data = data
        self._null = null
        self._numbers = numbers or range(span.first_record, span.first_record + span.records)
        self._rows = rows

    @property
    def frame(self) -> pl.DataFrame:
        """The records that can be parsed; see `RawBatch`."""
        broken = self._broken
        records = [cells for place, cells in enumerate(self._records) if place not in broken]
        numbers = [number for place, number in enumerate(self._numbers) if place not in broken]
        columns = zip(*records, strict=True) if records else [()] * len(self.names)
        frame = pl.DataFrame(
            {name: pl.Series(column, dtype=pl.String) for name, column in zip(self.names, columns, strict=True)}
        )
        if self._null:
            frame = frame.with_columns(pl.when(~among(pl.col(name), self._null)).then(pl.col(name)) for name in self.names)
        return frame.with_columns(pl.Series(RECORD_NO, numbers, dtype=pl.Int64))

    @property
    def malformed(self) -> pl.DataFrame:
        """The other records; see `RawBatch`."""
        broken = [(self._numbers[place], rules) for place, rules in self._broken.items()]
        schema = {REJECTED_RECORD_NO: pl.Int64(), REJECTED_RULES: pl.List(pl.String())}
        return pl.DataFrame(broken, schema=schema, orient="row")

    def raw(self, record_no: int) -> bytes:
        """Return the cells of a record as JSON."""
        return self._lines[self._place(record_no)]

    def location(self, record_no: int) -> str:
        """Return member, sheet and row of a record."""
        place = self._place(record_no)
        if self._rows is None:
            return f"record {record_no}"
        return f"{self.span.member}!{self.span.context}:{self._rows[place]}"

    def forget(self) -> None:
        """Free the parsed records; see `RawBatch.forget`."""
        for name in ("_records", "_broken", "_lines"):
            self.__dict__.pop(name, None)

    def _place(self, record_no: int) -> int:
        try:
            return self._numbers.index(record_no)
        except ValueError:
            raise IndexError(f"record {record_no} is not in batch {self.span.batch}") from None

    @cached_property
    def _lines(self) -> list[bytes]:
        return self._data.split(b"\n")[:-1]

    @cached_property
    def _records(self) -> list[list[Cell]]:
        """The cells of each record; errors whose text is a null word have no value."""
        records = _DECODER.decode(b"[" + self._data[:-1].replace(b"\n", b",") + b"]")
        for cells in records if b'{"error"' in self._data else ():
            for place, cell in enumerate(cells):
                if isinstance(cell, dict) and cell.get("error") in self._null:
                    cells[place] = None
        return records

    @cached_property
    def _broken(self) -> dict[int, list[str]]:
        """The rules that records break, by their places."""
        if b"{" not in self._data:
            return {}
        broken: dict[int, list[str]] = {}
        for place, cells in enumerate(self._records):
            keys = {key for cell in cells if isinstance(cell, dict) for key in cell}
            if keys:
                broken[place] = sorted(_RULES[key].name for key in keys)
        return broken
