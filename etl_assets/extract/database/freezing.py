"""Freezes rows as Parquet: the same rows in the same order, and the same catalogue, give the same bytes."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from errno import errorcode
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from etl_assets.errors import DeliveryError, EnvironmentFaultError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.extract.database.reading import Reading

_GROUP_BYTES: Final = 32 * 1024**2
"""Rows of about so many bytes in memory are a row group."""
_LEVEL: Final = 1
_CATALOGUE_TYPE: Final = "etl_assets:type"
_NULLABLE: Final = "etl_assets:nullable"


class ParquetFile:
    """Writes row groups of bounded size to a file. A block that fails leaves it as it is, without what was held.

    Args:
        file: Empty.
        readings: Of the columns.
        most: The largest number of bytes of the file.
    """

    def __init__(self, file: BinaryIO, readings: Sequence[Reading], most: int) -> None:
        self._file = file
        self._most = most
        self._schema = schema_of(readings)
        with _writable():
            self._writer = pq.ParquetWriter(
                file,
                self._schema,
                compression="zstd",
                compression_level=_LEVEL,
                use_dictionary=False,
                write_page_checksum=True,
            )
        self._held: list[pa.RecordBatch] = []
        self._held_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, type_: type[BaseException] | None, *_: object) -> None:
        if type_ is not None:
            with suppress(pa.ArrowException, OSError):  # of a file that is thrown away
                self._writer.close()

    def add(self, batch: pa.RecordBatch) -> None:
        """Write rows, at the latest when the file is finished.

        Raises:
            DeliveryError: If the file becomes larger than it may.
        """
        self._held.append(batch)
        self._held_bytes += batch.nbytes
        if self._held_bytes >= _GROUP_BYTES:
            self._write_group()

    def finish(self) -> int:
        """Write what is left, and the footer; return the size of the file."""
        if self._held:
            self._write_group()
        with _writable():
            self._writer.close()
            self._file.flush()
        self._check_size()
        return self._file.tell()

    def _write_group(self) -> None:
        with _writable():
            self._writer.write_table(pa.Table.from_batches(self._held, schema=self._schema), row_group_size=2**31)
        self._held, self._held_bytes = [], 0
        self._check_size()

    def _check_size(self) -> None:
        if self._file.tell() > self._most:
            raise DeliveryError(
                f"The rows need more than {self._most:,} bytes. Nothing was written. Raise max_bytes of "
                "access=Database(…), or fetch less: by partitions, incrementally, or fewer columns."
            )


@contextmanager
def _writable() -> Iterator[None]:
    """Raise an `EnvironmentFaultError` if the file cannot be written, which is no fault of the database."""
    try:
        yield
    except OSError as error:
        raise EnvironmentFaultError(
            f"The temporary file of the rows cannot be written ({errorcode.get(error.errno or 0, 'OSError')}). Nothing "
            "was loaded. Free space where temporary files are (TMPDIR), or fetch less."
        ) from None


def schema_of(readings: Sequence[Reading]) -> pa.Schema:
    """Return the schema of the file; the metadata of each field has what the catalogue says."""
    return pa.schema([_field(reading) for reading in readings])


def _field(reading: Reading) -> pa.Field[Any]:
    metadata = {_CATALOGUE_TYPE: reading.column.type}
    if reading.column.nullable is not None:
        metadata[_NULLABLE] = str(reading.column.nullable).lower()
    return pa.field(reading.column.name, reading.type, metadata=metadata)
