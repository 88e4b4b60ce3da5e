"""JSON objects as records: their keys and values as published, and the records that are malformed.

msgspec splits the objects and keeps each value as its published bytes. It does not report a key that occurs twice.
So the quotes of each record are counted, and a record whose quotes do not add up is parsed again by a slower parser.
"""

from __future__ import annotations

import json
from functools import cached_property
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa

from etl_assets.extract.formats.utf8 import is_utf8
from etl_assets.model.batch import REJECTED_RECORD_NO, REJECTED_RULES, RawBatch
from etl_assets.model.rule import RuleInfo
from etl_assets.schema import RECORD_NO
from etl_assets.schema.expressions import among

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.model.delivery import Span

    Object: TypeAlias = Mapping[str, msgspec.Raw]

ENCODING: Final = "record__encoding"
OBJECT: Final = "record__object"
TWICE: Final = "record__key_twice"
RULES: Final = (
    RuleInfo(ENCODING, "the record is in UTF-8"),
    RuleInfo(OBJECT, "the record is one JSON object"),
    RuleInfo(TWICE, "no key stands twice in the record"),
)
"""The rules that a record can break."""
_NULL: Final = msgspec.Raw(b"null")
_DECODER: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class NdjsonBatch(RawBatch):
    """Records of one JSON object each.

    Args:
        span: Where the records are in the delivery.
        records: The bytes of each record, without its line end.
        null: Texts that mean no value.
        numbers: Numbers of the records; None for consecutive numbers from the span's first record on.
        names: Names of the columns; None for those that the records have.
        places: Location of each record, for people; None if only the numbers are known.
    """

    def __init__(
        self,
        span: Span,
        records: Sequence[bytes],
        *,
        null: tuple[str, ...],
        numbers: Sequence[int] | None = None,
        names: tuple[str, ...] | None = None,
        places: Sequence[str] | None = None,
    ) -> None:
        self.span = span
        self._records = records
        self._null = null
        self._numbers = numbers or range(span.first_record, span.first_record + len(records))
        self._places = places
        self.names = names or tuple(dict.fromkeys(name for object_ in self._objects for name in object_ or ()))

    @property
    def frame(self) -> pl.DataFrame:
        """The records that are objects; see `RawBatch`."""
        objects = [object_ for object_ in self._objects if object_ is not None]
        numbers = [number for number, object_ in zip(self._numbers, self._objects, strict=True) if object_ is not None]
        present = frozenset(chain.from_iterable(objects))
        columns = {
            name: _column([object_.get(name, _NULL) for object_ in objects], self._null)
            for name in self.names
            if name in present
        }
        frame = pl.DataFrame({**columns, RECORD_NO: pl.Series(numbers, dtype=pl.Int64)})
        absent = [pl.lit(None, pl.String()).alias(name) for name in self.names if name not in present]
        return frame.with_columns(absent)[[*self.names, RECORD_NO]]

    @property
    def malformed(self) -> pl.DataFrame:
        """The other records; see `RawBatch`."""
        broken = [
            (number, [_broken_rule(record)])
            for number, record, object_ in zip(self._numbers, self._records, self._objects, strict=True)
            if object_ is None
        ]
        schema = {REJECTED_RECORD_NO: pl.Int64(), REJECTED_RULES: pl.List(pl.String())}
        return pl.DataFrame(broken, schema=schema, orient="row")

    def raw(self, record_no: int) -> bytes:
        """Return the bytes of a record."""
        return self._records[self._index(record_no)]

    def location(self, record_no: int) -> str:
        """Return member and line of a record."""
        index = self._index(record_no)
        return f"record {record_no}" if self._places is None else self._places[index]

    def forget(self) -> None:
        """Free the parsed records; see `RawBatch.forget`."""
        self.__dict__.pop("_objects", None)

    def _index(self, record_no: int) -> int:
        try:
            return self._numbers.index(record_no)
        except ValueError:
            raise IndexError(f"record {record_no} is not in batch {self.span.batch}") from None

    @cached_property
    def _objects(self) -> list[Object | None]:
        """The values of each record by key; None for a malformed record."""
        all_utf8 = is_utf8(b"\n".join(self._records))
        return [_object(record) if all_utf8 or is_utf8(record) else None for record in self._records]


def _object(record: bytes) -> Object | None:
    """Return the values of a record, as published, by key; None if it is no object, or has a key twice."""
    try:
        values = _DECODER.decode(record)
    except (msgspec.DecodeError, RecursionError):
        return None
    quotes = 2 * len(values) + b"".join(values.values()).count(b'"')
    return values if record.count(b'"') == quotes or not _has_key_twice(record) else None


def _has_key_twice(record: bytes) -> bool:
    pairs = json.loads(record, object_pairs_hook=list, parse_int=str, parse_float=str)
    return len({key for key, _ in pairs}) < len(pairs)


def _broken_rule(record: bytes) -> str:
    """Return the rule that a malformed record breaks."""
    if not is_utf8(record):
        return ENCODING
    try:
        _DECODER.decode(record)
    except (msgspec.DecodeError, RecursionError):
        return OBJECT
    return TWICE


def _column(values: Sequence[msgspec.Raw], null: tuple[str, ...]) -> pl.Series:
    """Return values as text: texts without quotes and escapes, null as no value, everything else as published."""
    offsets = np.fromiter(accumulate(map(len, values), initial=0), dtype=np.int64, count=len(values) + 1)
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(b"".join(values))]
    published = cast("pl.Series", pl.from_arrow(pa.Array.from_buffers(pa.large_string(), len(values), buffers)))
    cell = pl.col("cell")
    is_text = cell.str.starts_with('"')
    text = cell.str.strip_prefix('"').str.strip_suffix('"')
    frame = published.alias("cell").to_frame()
    texts = frame.select(
        pl.when(is_text).then(text).when(cell != "null").then(cell),
        escaped=is_text & cell.str.contains("\\", literal=True),
    )
    cells = texts.get_column("cell")
    if texts.get_column("escaped").any():
        indices = texts.get_column("escaped").arg_true()
        decoded: list[Any] = [msgspec.json.decode(value) for value in published.gather(indices)]
        cells = cells.scatter(indices, pl.Series(decoded, dtype=pl.String))
    if null:
        cells = cells.to_frame().select(pl.when(~among(cell, null)).then(cell)).to_series()
    return cells
