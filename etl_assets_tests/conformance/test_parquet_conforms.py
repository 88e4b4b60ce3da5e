"""The format Parquet conforms to the contract of formats."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from etl_assets.extract.formats.parquet import Parquet
from etl_assets.testing.format_suite import FormatSuite

RECORDS: Final = 40
_NUMBERS: Final = range(RECORDS)
_COLUMNS: Final[dict[str, Any]] = {
    "number": pa.array(_NUMBERS, pa.int32()),
    "word": pa.array([b"w\xff" if n in (7, 25) else f'é"{n}'.encode() for n in _NUMBERS]).view(pa.string()),
    "price": pa.array([None if n % 3 else Decimal(n).scaleb(-2) for n in _NUMBERS], pa.decimal128(9, 2)),
    "share": pa.array([n / 3 for n in _NUMBERS]),
    "kind": pa.array(["a" if n % 2 else None for n in _NUMBERS]).dictionary_encode(),
    "day": pa.array([date(2024, 2, 1 + n % 28) for n in _NUMBERS]),
    "moment": pa.array([datetime(2024, 1, 1, 0, 0, n, 500, UTC) for n in _NUMBERS]),
    "clock": pa.array([time(1, n) for n in _NUMBERS]),
    "list": pa.array([[n, None] if n % 2 else None for n in _NUMBERS]),
    "object": pa.array([{"a": str(n), "b": [1.5]} for n in _NUMBERS]),
    "nothing": pa.array([None] * RECORDS),
}


def parquet(table: pa.Table, **options: Any) -> bytes:
    """Return a table as the bytes of a file."""
    file = io.BytesIO()
    pq.write_table(table, file, **{"write_page_checksum": True} | options)
    return file.getvalue()


TABLE: Final = pa.table(_COLUMNS)


class TestParquetConforms(FormatSuite):
    format = Parquet(batch_bytes=2000)
    sample = parquet(TABLE, row_group_size=16)
    records = RECORDS
    empty = parquet(TABLE.slice(0, 0))
    in_file = False


class TestParquetWithBytesAndNullWordsConforms(FormatSuite):
    format = Parquet(null=("é", "3"), binary="hex", batch_bytes=100)
    sample = parquet(
        pa.table({"x": [b"\xff", b"", None] * 5, "é": pa.array([b"3", b"\xff", None] * 5).view(pa.string())}),
        compression="zstd",
        data_page_version="2.0",
    )
    records = 15
    in_file = False
