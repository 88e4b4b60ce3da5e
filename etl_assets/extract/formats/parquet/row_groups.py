"""What the footer of a Parquet file says of its row groups.

pyarrow ends the process where it is asked for the metadata of a column that is encrypted or contradicts itself, so it
is never asked. A footer is a `FileMetaData` of parquet.thrift, in the compact protocol of Thrift.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Field = tuple[int, int]

_INTEGER: Final = 6
_BINARY: Final = 8
_LIST: Final = 9
_SET: Final = 10
_MAP: Final = 11
_STRUCT: Final = 12
_SMALL_INTEGERS: Final = (4, 5)
_FIXED_SIZES: Final = {1: 0, 2: 0, 3: 1, 7: 8}
"""The sizes of true, false, a byte and a double; a field of a truth has it in its head."""
_TRUTHS: Final = (1, 2)
_BYTE: Final = 3
_COUNT_FOLLOWS: Final = 15
_LAST_FIELD: Final = 32_767
_CONTINUED: Final = 0x80

_ROW_GROUPS: Final = (4, _LIST)
_COLUMNS_OF_GROUP: Final = (1, _LIST)
_SIZE_OF_GROUP: Final = (2, _INTEGER)
_ROWS_OF_GROUP: Final = (3, _INTEGER)
_METADATA_OF_COLUMN: Final = (3, _STRUCT)
_ENCRYPTION_OF_COLUMN: Final = ((8, _STRUCT), (9, _BINARY))
_VALUES_OF_COLUMN: Final = (5, _INTEGER)
_SIZE_OF_COLUMN: Final = (6, _INTEGER)
"""Fields, each by its number and type."""


class Column(NamedTuple):
    """A column of a row group.

    Attributes:
        values: Number of its values, with nulls.
        size: Of its pages in bytes, unpacked.
    """

    values: int
    size: int


class RowGroup(NamedTuple):
    """A row group.

    Attributes:
        rows: Number of its rows.
        size: Of all of its pages in bytes, unpacked.
        columns: Those that are stored: of a nested column, all that it consists of.
    """

    rows: int
    size: int
    columns: Sequence[Column]


def row_groups_of(footer: bytes) -> list[RowGroup]:
    """Return the row groups of a footer.

    Raises:
        pyarrow.ArrowInvalid: If a column is encrypted, or the footer is not written in the protocol.
    """
    try:
        return _Footer(footer).row_groups()
    except (IndexError, RecursionError):
        raise pa.ArrowInvalid("the footer is not written in the compact protocol") from None


class _Footer:
    """Reads the values of a footer, one after another."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def row_groups(self) -> list[RowGroup]:
        row_groups: list[RowGroup] = []
        for field in self._fields():
            if field == _ROW_GROUPS:
                row_groups = [self._row_group() for _ in self._elements()]
            else:
                self._skip(field[1])
        return row_groups

    def _row_group(self) -> RowGroup:
        rows, size, columns = 0, 0, list[Column]()
        for field in self._fields():
            if field == _COLUMNS_OF_GROUP:
                columns = [self._column() for _ in self._elements()]
            elif field == _SIZE_OF_GROUP:
                size = self._integer()
            elif field == _ROWS_OF_GROUP:
                rows = self._integer()
            else:
                self._skip(field[1])
        return RowGroup(rows, size, columns)

    def _column(self) -> Column:
        column: Column | None = None
        for field in self._fields():
            if field in _ENCRYPTION_OF_COLUMN:
                raise pa.ArrowInvalid("a column is encrypted")
            if field == _METADATA_OF_COLUMN:
                column = self._metadata()
            else:
                self._skip(field[1])
        if column is None:
            raise pa.ArrowInvalid("a column of a row group has no metadata")
        return column

    def _metadata(self) -> Column:
        values = size = 0
        for field in self._fields():
            if field == _VALUES_OF_COLUMN:
                values = self._integer()
            elif field == _SIZE_OF_COLUMN:
                size = self._integer()
            else:
                self._skip(field[1])
        return Column(values, size)

    def _fields(self) -> Iterator[Field]:
        """Yield the fields of a struct; the value of each is read before the next one.

        All writers write each field once, in ascending order. pyarrow takes other numbers modulo 65,536.
        """
        last = 0
        while head := self._byte():
            number = last + (head >> 4) if head >> 4 else self._integer()
            if not last < number <= _LAST_FIELD:
                raise pa.ArrowInvalid("the fields of the footer do not ascend")
            yield number, head & 15
            last = number

    def _elements(self) -> Iterator[int]:
        """Yield the type of each element of a list; the element is read before the next one."""
        head = self._byte()
        count = self._count() if head >> 4 == _COUNT_FOLLOWS else head >> 4
        for _ in range(count):
            yield head & 15

    def _skip(self, type_: int) -> None:
        """Read the value of a field."""
        if type_ in _FIXED_SIZES:
            self._at += _FIXED_SIZES[type_]
        elif type_ == _INTEGER or type_ in _SMALL_INTEGERS:
            self._count()
        elif type_ == _BINARY:
            length = self._count()
            self._at += length
        elif type_ == _STRUCT:
            for _, of_field in self._fields():
                self._skip(of_field)
        elif type_ in (_LIST, _SET):
            for of_element in self._elements():
                self._skip_element(of_element)
        elif type_ == _MAP:
            self._skip_map()
        else:
            raise pa.ArrowInvalid(f"the footer has a value of the unknown type {type_}")

    def _skip_element(self, type_: int) -> None:
        self._skip(_BYTE if type_ in _TRUTHS else type_)

    def _skip_map(self) -> None:
        count = self._count()
        types = self._byte() if count else 0
        for _ in range(count):
            self._skip_element(types >> 4)
            self._skip_element(types & 15)

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _count(self) -> int:
        """Return a number without a sign."""
        number = shift = 0
        while (byte := self._byte()) & _CONTINUED:
            number |= (byte ^ _CONTINUED) << shift
            shift += 7
        return number | byte << shift

    def _integer(self) -> int:
        """Return a number with a sign, which its last bit has."""
        number = self._count()
        return number >> 1 ^ -(number & 1)
