"""A published batch in memory, given as columns, for tests of the validator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from etl_assets.model.batch import REJECTED_RECORD_NO, REJECTED_RULES, RawBatch
from etl_assets.model.delivery import Span
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REJECTED_SCHEMA = pl.Schema({REJECTED_RECORD_NO: pl.Int64(), REJECTED_RULES: pl.List(pl.String)})


class PublishedBatch(RawBatch):
    """Cells by published name. Malformed records are given by number; the other records get the free numbers."""

    def __init__(
        self,
        cells: Mapping[str, Sequence[str | None]] | pl.DataFrame,
        *,
        malformed: Mapping[int, Sequence[str]] | None = None,
        first: int = 1,
        decimal: str = ".",
    ) -> None:
        if isinstance(cells, pl.DataFrame):
            frame = cells
        else:
            frame = pl.DataFrame([pl.Series(name, list(column), dtype=pl.String) for name, column in cells.items()])
        broken = dict(malformed or {})
        records = frame.height + len(broken)
        free = [number for number in range(first, first + records) if number not in broken]
        self.span = Span(1, "", 0, 0, first, records, first + 1)
        self.names = tuple(frame.columns)
        self.decimal = decimal
        self._frame = frame.with_columns(pl.Series(RECORD_NO, free, dtype=pl.Int64))
        self._malformed = pl.DataFrame(
            {REJECTED_RECORD_NO: list(broken), REJECTED_RULES: [list(rules) for rules in broken.values()]},
            schema=REJECTED_SCHEMA,
        )

    @property
    def frame(self) -> pl.DataFrame:
        return self._frame

    @property
    def malformed(self) -> pl.DataFrame:
        return self._malformed

    def raw(self, record_no: int) -> bytes:
        return f"record {record_no}".encode()

    def location(self, record_no: int) -> str:
        return f":{record_no + 1}"
