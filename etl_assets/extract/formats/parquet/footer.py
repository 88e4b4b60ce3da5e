"""Opens a Parquet file, and refuses what cannot be read or was made to fill the memory, by its footer alone."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from etl_assets.errors import DeliveryError, DeliveryIncompleteError
from etl_assets.extract.formats.parquet.row_groups import row_groups_of
from etl_assets.extract.formats.published_names import check_names
from etl_assets.model.text import names_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.extract.formats.parquet.row_groups import RowGroup

BUFFERED: Final = 64 * 1024**2
"""Row groups with more bytes are read in parts."""
_MAGIC: Final = b"PAR1"
_ENCRYPTED: Final = b"PARE"
_TAIL: Final = 8
_BLOCK: Final = 4 * 1024**2
_SCANNED: Final = 64 * 1024
_SMALLEST_BUFFER: Final = 64 * 1024
_CELLS_A_BYTE: Final = 200
_TEXTS: Final = "BYTE_ARRAY"
_CELLS: Final = 10**8
"""A file may always claim so many cells, and more in proportion to its size."""
_BROKEN: Final = (pa.ArrowException, OSError, ValueError, OverflowError)
_SHOWN: Final = 200


@dataclass(frozen=True)
class Opened:
    """A file whose footer is sound.

    Attributes:
        file: Decodes texts to a dictionary and an index for each row, however often one occurs.
        schema: The types that the file has.
        row_groups: In order.
    """

    file: pq.ParquetFile
    schema: pa.Schema
    row_groups: Sequence[RowGroup]


@contextmanager
def refusing(where: str) -> Iterator[None]:
    """Raise a `DeliveryError` if a block cannot read the file."""
    try:
        yield
    except _BROKEN as error:
        if "crypt" in str(error):
            raise refused(where, "is encrypted", "Have the publisher send it without encryption") from None
        problem = " ".join(str(error).split())[:_SHOWN] if isinstance(error, OSError | pa.ArrowException) else ""
        raise refused(
            where,
            f"is damaged or cannot be read ({problem or type(error).__name__})",
            "Fetch it again; if that does not help, ask the publisher",
        ) from None


def refused(where: str, problem: str, remedy: str) -> DeliveryError:
    """Return the error that a file is not read."""
    return DeliveryError(f"{where} {problem}. Nothing of it was written. {remedy}.")


def open_file(stream: BinaryIO, where: str) -> Opened:
    """Open a file.

    Raises:
        DeliveryIncompleteError: If it has no footer.
        DeliveryError: If it is not Parquet, is encrypted, or claims more than its size makes credible.
    """
    size = _check_ends(stream, where)
    with refusing(where):
        metadata = pq.read_metadata(stream)
        row_groups = row_groups_of(_footer_of(stream, size))
        _check_claims(metadata, row_groups, size, where)
        schema = pq.ParquetFile(stream, metadata=metadata).schema_arrow
        names = list(schema.names)
    _check_names(names, where)
    with refusing(where):
        file = _with_dictionaries(stream, metadata, row_groups)
    _check_nested(file, row_groups, size, where)
    return Opened(file, schema, row_groups)


def _with_dictionaries(stream: BinaryIO, metadata: pq.FileMetaData, row_groups: Sequence[RowGroup]) -> pq.ParquetFile:
    columns = [metadata.schema.column(index) for index in range(metadata.num_columns)]
    return pq.ParquetFile(
        stream,
        metadata=metadata,
        read_dictionary=[column.path for column in columns if column.physical_type == _TEXTS],
        pre_buffer=False,
        buffer_size=_buffer_size(row_groups, len(columns)),
        page_checksum_verification=True,
    )


def _check_ends(stream: BinaryIO, where: str) -> int:
    """Check the first and the last bytes of a file, and return its size."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    head = stream.read(len(_MAGIC))
    if head == _ENCRYPTED:
        raise refused(where, "is encrypted", "Have the publisher send it without encryption")
    if head != _MAGIC:
        raise refused(where, "is not a Parquet file", "Check the feed, or declare the format that it has")
    stream.seek(max(size - _TAIL, 0))
    tail = stream.read(_TAIL)
    stream.seek(0)
    if size < len(_MAGIC) + _TAIL or tail[-len(_MAGIC) :] not in (_MAGIC, _ENCRYPTED):
        raise DeliveryIncompleteError(
            f"{where} has no footer: it is cut short. Nothing of it was written. "
            "Fetch it again once the publisher has finished it."
        )
    return size


def _footer_of(stream: BinaryIO, size: int) -> bytes:
    """Return the footer of a file of a size."""
    stream.seek(size - _TAIL)
    length = int.from_bytes(stream.read(_TAIL - len(_MAGIC)), "little")
    stream.seek(size - _TAIL - length)
    footer = stream.read(length)
    stream.seek(0)
    return footer


def _check_claims(metadata: pq.FileMetaData, row_groups: Sequence[RowGroup], size: int, where: str) -> None:
    """Refuse a file that contradicts itself, or claims more rows than its size makes credible."""
    columns = metadata.num_columns
    fit = all(len(group.columns) == columns and group.rows >= 0 for group in row_groups)
    fit = fit and all(column.values >= 0 for group in row_groups for column in group.columns)
    if not fit or len(row_groups) != metadata.num_row_groups:
        raise refused(where, "has a row group that does not fit its schema", "Check the file")
    _check_values(sum(group.rows for group in row_groups) * columns, size, where)


def _check_nested(file: pq.ParquetFile, row_groups: Sequence[RowGroup], size: int, where: str) -> None:
    """Refuse a file whose nested columns have more values than its size makes credible; a row can have any number."""
    schema = file.metadata.schema
    if all(schema.column(index).max_repetition_level == 0 for index in range(file.metadata.num_columns)):
        return
    with refusing(where):
        file.scan_contents(batch_size=_SCANNED)
    _check_values(sum(column.values for group in row_groups for column in group.columns), size, where)


def _check_values(values: int, size: int, where: str) -> None:
    if values > max(_CELLS, size * _CELLS_A_BYTE):
        problem = f"claims {values:,} values in only {size:,} bytes"
        raise refused(where, problem, "Check the file: it may be made to fill the memory")


def _buffer_size(row_groups: Sequence[RowGroup], columns: int) -> int:
    """Return 0 to read the values of a column of a row group at once; else in how large parts."""
    if max((group.size for group in row_groups), default=0) <= BUFFERED:
        return 0
    return max(_SMALLEST_BUFFER, min(_BLOCK, BUFFERED // max(columns, 1)))


def _check_names(names: list[str], where: str) -> None:
    if twice := {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set():
        raise refused(where, f"has two columns of one name: {names_text(sorted(twice))}", "Ask the publisher")
    if not names:
        raise refused(where, "has no columns", "Check the feed")
    check_names(names, where, "Ask the publisher for another name")
