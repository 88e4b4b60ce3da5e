"""A batch of rows of a format whose file has values and not text: `Parquet`, `Sqlite`.

Such a file has no bytes of a single record. They are written here: a JSON object of its cells as text, from which the
record is read again.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

import polars as pl

from etl_assets.extract.formats.malformed import malformed_of
from etl_assets.extract.formats.reread import span_of
from etl_assets.extract.formats.span_records import index_of
from etl_assets.model.batch import RawBatch
from etl_assets.model.rule import RuleInfo
from etl_assets.schema import RECORD_NO
from etl_assets.schema.expressions import among

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from etl_assets.model.batch import PublishedType
    from etl_assets.model.delivery import Span

ENCODING: Final = "record__encoding"
OBJECT: Final = "record__object"
RULES: Final = (
    RuleInfo(ENCODING, "every text of the record is UTF-8"),
    RuleInfo(OBJECT, "the bytes in the quarantine are one JSON object of texts"),
)
"""The rules that a record can break."""
_ESCAPE: Final = "surrogateescape"
_LIKE_A_VALUE: Final = re.compile("-?(?:[0-9]|inf)|NaN|true|false")
"""Matches the start of each text that a value with a type becomes."""
_NO_TYPES: Final[Mapping[str, PublishedType]] = MappingProxyType({})


@dataclass(frozen=True)
class TypedCells:
    """The cells of a column that have a type in the file.

    Attributes:
        values: The values.
        texts: Returns the texts of the cells at some positions, or of all for None.
    """

    values: pl.Series
    texts: Callable[[pl.Series | None], pl.Series]


Cells: TypeAlias = pl.Series | TypedCells
"""The cells of a column: String, or Binary if some of them are not UTF-8; or values with a type."""


class RowBatch(RawBatch):
    """Rows whose cells are known as text, or as values that are written as text where it is needed.

    Args:
        span: Where the rows are in the delivery.
        names: The published names.
        cells: Returns the cells for each name.
        place: Returns the location of a row, by its position in the batch.
        null: Texts that mean no value.
        numbers: Numbers of the records; None for consecutive numbers from the span's first record on.
        broken: Numbers of further malformed records, with the rule that they break.
    """

    def __init__(
        self,
        span: Span,
        names: Sequence[str],
        cells: Callable[[], Sequence[Cells]],
        place: Callable[[int], str],
        *,
        null: tuple[str, ...] = (),
        numbers: Sequence[int] | None = None,
        broken: Mapping[int, str] = MappingProxyType({}),
    ) -> None:
        self.span = span
        self.names = tuple(names)
        self._read = cells
        self._place = place
        self._null = null
        self._numbers = span.numbers if numbers is None else numbers
        self._broken = broken

    @property
    def frame(self) -> pl.DataFrame:
        """The rows whose texts are UTF-8; see `RawBatch`."""
        return self.texts(self.names)

    @property
    def typed(self) -> Mapping[str, pl.Series]:
        """The values of cells with a type; none if one of them may be a null word. See `RawBatch.typed`."""
        if any(_LIKE_A_VALUE.match(word) for word in self._null):
            return {}
        kept = self._well_formed
        typed = {name: cells.values for name, cells in self._cells.items() if isinstance(cells, TypedCells)}
        return typed if kept is None else {name: values.gather(kept) for name, values in typed.items()}

    def texts(self, names: Sequence[str], places: pl.Series | None = None) -> pl.DataFrame:
        """Return the text of some columns; see `RawBatch.texts`."""
        rows = self._well_formed
        if places is not None:
            rows = places if rows is None else rows.gather(places)
        columns = {name: self._without_null(_texts_at(self._cells[name], rows).cast(pl.String)) for name in names}
        numbers = self._record_numbers if rows is None else self._record_numbers.gather(rows)
        return pl.DataFrame({**columns, RECORD_NO: numbers})

    @property
    def malformed(self) -> pl.DataFrame:
        """The other rows; see `RawBatch`."""
        return malformed_of((number, [rule]) for number, rule in sorted(self._malformed.items()))

    def raw(self, record_no: int) -> bytes:
        """Return a JSON object of the cells: each a text or null. A text that is not UTF-8 keeps its bytes."""
        return bytes(self.raws([record_no]).item())

    def raws(self, record_numbers: Sequence[int]) -> pl.Series:
        """Return what `raw` does, for many."""
        indices = pl.Series([self._index(number) for number in record_numbers], dtype=pl.UInt32)
        rows = zip(*(_texts_at(cells, indices) for cells in self._cells.values()), strict=True)
        return pl.Series([_json_of(self.names, row) for row in rows], dtype=pl.Binary)

    def location(self, record_no: int) -> str:
        """Return the place of a row in its file."""
        return self._place(self._index(record_no))

    def forget(self) -> None:
        """Free cells and texts; see `RawBatch.forget`."""
        self.__dict__.pop("_cells", None)
        self.__dict__.pop("_malformed", None)

    @cached_property
    def _cells(self) -> Mapping[str, Cells]:
        return dict(zip(self.names, self._read(), strict=True))

    @cached_property
    def _malformed(self) -> Mapping[int, str]:
        """The rule that each malformed record breaks, by its number."""
        rows = (
            index
            for cells in self._cells.values()
            if isinstance(cells, pl.Series) and cells.dtype == pl.Binary
            for index, cell in enumerate(cells)
            if cell is not None and not _is_utf8(cell)
        )
        return {self._numbers[index]: ENCODING for index in rows} | dict(self._broken)

    @property
    def _record_numbers(self) -> pl.Series:
        return pl.Series(RECORD_NO, self._numbers, dtype=pl.Int64)

    @property
    def _well_formed(self) -> pl.Series | None:
        """The positions of the well-formed rows; None if all rows are."""
        if not self._malformed:
            return None
        return (~self._record_numbers.is_in(list(self._malformed))).arg_true()

    def _without_null(self, texts: pl.Series) -> pl.Series:
        """Return texts without null words."""
        if not self._null:
            return texts
        cell = pl.col("cell")
        return texts.alias("cell").to_frame().select(pl.when(~among(cell, self._null)).then(cell)).to_series()

    def _index(self, record_no: int) -> int:
        return index_of(record_no, self.span, self._numbers)


def reread_rows(
    names: Sequence[str],
    records: Mapping[int, bytes],
    null: tuple[str, ...],
    *,
    canonical: bool = False,
    types: Mapping[str, PublishedType] = _NO_TYPES,
) -> RowBatch:
    """Read rows from what `RowBatch.raw` returned.

    Args:
        names: The published names of their delivery.
        records: Record number to bytes.
        null: Texts that mean no value.
        canonical: See `RawBatch`.
        types: See `RawBatch`.
    """
    rows = {number: _row_of(raw) for number, raw in records.items()}
    every = tuple(dict.fromkeys((*names, *(name for row in rows.values() for name in row or ()))))
    numbers = list(records)
    batch = RowBatch(
        span_of(records),
        every,
        lambda: [text_series([(row or {}).get(name) for row in rows.values()]) for name in every],
        lambda index: f"record {numbers[index]}",
        null=null,
        numbers=numbers,
        broken={number: OBJECT for number, row in rows.items() if row is None},
    )
    batch.canonical, batch.types = canonical, types
    return batch


def text_series(texts: Sequence[str | None]) -> pl.Series:
    """Return texts as String; as Binary if one has bytes that are not UTF-8, which Python writes as surrogates."""
    try:
        return pl.Series(texts, dtype=pl.String)
    except UnicodeEncodeError:
        return pl.Series([None if text is None else text.encode("utf-8", _ESCAPE) for text in texts], dtype=pl.Binary)


def joined_texts(parts: Sequence[pl.Series]) -> pl.Series:
    """Return several columns of text as one; as Binary if one of them is."""
    types = {part.dtype for part in parts}
    return pl.concat([part.cast(pl.Binary) for part in parts] if len(types) > 1 else list(parts))


def _texts_at(cells: Cells, rows: pl.Series | None) -> pl.Series:
    """Return the texts of the cells at some positions; of all cells for None."""
    if isinstance(cells, TypedCells):
        return cells.texts(rows)
    return cells if rows is None else cells.gather(rows)


def _json_of(names: Sequence[str], cells: Sequence[str | bytes | None]) -> bytes:
    texts = [cell.decode("utf-8", _ESCAPE) if isinstance(cell, bytes) else cell for cell in cells]
    return json.dumps(dict(zip(names, texts, strict=True)), ensure_ascii=False).encode("utf-8", _ESCAPE)


def _row_of(raw: bytes) -> dict[str, str | None] | None:
    """Return the cells of a record; None if its bytes are not of `_json_of`, as if another format wrote them."""
    try:
        row = json.loads(raw.decode("utf-8", _ESCAPE))
        json.dumps(row, ensure_ascii=False).encode("utf-8", _ESCAPE)
    except (ValueError, RecursionError):
        return None
    if isinstance(row, dict) and all(cell is None or isinstance(cell, str) for cell in row.values()):
        return row
    return None


def _is_utf8(cell: bytes) -> bool:
    try:
        cell.decode()
    except UnicodeDecodeError:
        return False
    return True
