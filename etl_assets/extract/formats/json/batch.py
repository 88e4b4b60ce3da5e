"""One batch of JSON objects: its well-formed records as a frame, and the records that are malformed."""

from __future__ import annotations

from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Final, TypeVar

import polars as pl

from etl_assets.extract.formats.json.alike import alike
from etl_assets.extract.formats.json.columns import table
from etl_assets.extract.formats.json.explode import (
    MOST_REPEATED,
    Element,
    columns_of,
    elements_of,
    names_of,
    raw_of,
    repeated,
)
from etl_assets.extract.formats.json.objects import flattened, members_of, objects_of
from etl_assets.extract.formats.malformed import malformed_of
from etl_assets.extract.formats.span_records import index_of
from etl_assets.model.batch import RawBatch
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from etl_assets.extract.formats.json.alike import Alike
    from etl_assets.extract.formats.json.explode import Element
    from etl_assets.extract.formats.json.objects import Object
    from etl_assets.extract.formats.json.options import ObjectOptions
    from etl_assets.model.delivery import Span

_T = TypeVar("_T")
MOST_CELLS: Final = 5_000_000
"""The largest number of records times keys of a batch: a batch whose records have few of many keys is cut further."""


class JsonBatch(RawBatch):
    """Records of one JSON object each; or, if an array is exploded, of one element of an object's array each.

    Args:
        span: Where the records are in the delivery.
        objects: The bytes of each object; or of each member of an object, if its key is published.
        options: How objects become records.
        key_name: The name under which the key of a member is published.
        numbers: Numbers of the records, one for each object; None for consecutive numbers from the span's first on.
        names: Names of the columns; None for those that the records have.
        place: Returns the location of an object by its index, for people; None if only the numbers are known.
    """

    def __init__(
        self,
        span: Span,
        objects: Sequence[bytes],
        options: ObjectOptions,
        *,
        key_name: str | None = None,
        numbers: Sequence[int] | None = None,
        names: tuple[str, ...] | None = None,
        place: Callable[[int], str] | None = None,
    ) -> None:
        self.span = span
        self._bytes = objects
        self._options = options
        self._key_name = key_name
        self._given_numbers = numbers
        self._place = place
        self.names = names or self._published

    @property
    def records(self) -> int:
        """Number of records, which is found by parsing if an array is exploded."""
        return len(self._bytes) if self._options.explode is None else len(self._elements)

    @property
    def empty(self) -> int:
        """Number of objects that give no record, for the array that is exploded is empty or null."""
        explodes = self._options.explode is not None
        return len(self._bytes) - len({element.parent for element in self._elements}) if explodes else 0

    @property
    def too_large(self) -> bool:
        """Whether the batch must be cut further, for it has more cells than its bytes suggest."""
        explode = self._options.explode
        cells = self.records * len(self.names)
        return cells > MOST_CELLS or (
            explode is not None and repeated(self._flat, self._elements, explode) > MOST_REPEATED
        )

    @property
    def frame(self) -> pl.DataFrame:
        """The well-formed records; see `RawBatch`."""
        if self._alike is None:
            return self._parsed
        numbers = pl.Series(self._numbers, dtype=pl.Int64()).filter(self._alike.matched)
        absent = pl.repeat(None, len(numbers), dtype=pl.String(), eager=True)
        cells = {name: self._alike.columns.get(name, absent) for name in self.names}
        frame = pl.DataFrame({**cells, RECORD_NO: numbers})
        return pl.concat((frame, self._parsed)).sort(RECORD_NO) if self._flat else frame

    @property
    def malformed(self) -> pl.DataFrame:
        """The other records; see `RawBatch`."""
        return malformed_of((number, [record]) for number, record in self._numbered if isinstance(record, str))

    def raw(self, record_no: int) -> bytes:
        """Return the bytes of a record; of an element, those of its object with this element alone in the array."""
        index = self._index(record_no)
        if self._options.explode is None:
            return self._bytes[index]
        element = self._elements[index]
        object_ = self._objects[element.parent]
        if element.value is None or isinstance(object_, str):
            return self._bytes[element.parent]
        return raw_of(object_, element.value, self._options.explode, self._key_name)

    def location(self, record_no: int) -> str:
        """Return the place of a record: member and line, or member and path."""
        index = self._index(record_no)
        if self._place is None:
            return f"record {record_no}"
        if self._options.explode is None:
            return self._place(index)
        element = self._elements[index]
        place = self._place(element.parent)
        return place if element.value is None else f"{place}.{self._options.explode}[{element.place}]"

    def forget(self) -> None:
        """Free the parsed records; see `RawBatch.forget`."""
        for parsed in ("_alike", "_objects", "_flat", "_elements"):
            self.__dict__.pop(parsed, None)

    def _index(self, record_no: int) -> int:
        return index_of(record_no, self.span, self._numbers)

    @property
    def _numbers(self) -> Sequence[int]:
        first = self.span.first_record
        return self._given_numbers or range(first, first + self.records)

    @property
    def _published(self) -> tuple[str, ...]:
        """The names that the records have."""
        explode = self._options.explode
        if explode is not None:
            return names_of(self._flat, self._elements, explode)
        parsed = (record for record in self._flat if not isinstance(record, str))
        return tuple(dict.fromkeys(chain(self._alike.columns if self._alike else (), *parsed)))

    @property
    def _parsed(self) -> pl.DataFrame:
        """The well-formed records that are parsed alone."""
        good = [(number, record) for number, record in self._numbered if not isinstance(record, str)]
        if self._options.explode is None:
            cells = table([record for _, record in good], self.names, self._options.null)
        else:
            cells = columns_of(self._flat, self._elements, self.names, self._options)
        numbers = pl.Series([number for number, _ in good], dtype=pl.Int64())
        return pl.DataFrame({**dict(zip(self.names, cells, strict=True)), RECORD_NO: numbers})

    @property
    def _numbered(self) -> Iterator[tuple[int, Object | str]]:
        """The number and the fields of each record that is parsed alone, or the rule that it breaks.

        The fields of an element lack those that are repeated.
        """
        if self._options.explode is not None:
            return zip(self._numbers, (element.fields for element in self._elements), strict=True)
        return zip(self._alone(self._numbers), self._flat, strict=True)

    @cached_property
    def _alike(self) -> Alike | None:
        """The records that are written alike, if none is taken apart further."""
        options = self._options
        if options.flatten or options.explode is not None or self._key_name is not None:
            return None
        return alike(self._bytes, options.null)

    @cached_property
    def _objects(self) -> list[Object | str]:
        """The values by key of each object that is parsed alone; or the rule that a malformed one breaks."""
        records = self._alone(self._bytes)
        return objects_of(records) if self._key_name is None else members_of(records, self._key_name)

    @cached_property
    def _flat(self) -> list[Object | str]:
        """The same after nested objects became columns."""
        if not self._options.flatten:
            return self._objects
        return [object_ if isinstance(object_, str) else flattened(object_, self._options) for object_ in self._objects]

    @cached_property
    def _elements(self) -> list[Element]:
        alone = self._given_numbers is not None
        sizes = [len(object_) for object_ in self._bytes]
        return list(elements_of(self._flat, sizes, self._options, one_each=alone))

    def _alone(self, each: Sequence[_T]) -> Sequence[_T]:
        """Return what belongs to the objects that are parsed alone, of what belongs to each object."""
        return each if self._alike is None else [each[index] for index in (~self._alike.matched).arg_true()]
