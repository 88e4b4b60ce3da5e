"""Parquet: twelve columns of many types, in row groups of 100,000 rows, snappy, with checksums of pages.

The fastest library is the fastest that verifies the checksums; the case ``unverified`` compares with the one that does
not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.formats._records import read
from etl_assets.extract.formats.parquet import Parquet

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets.model.batch import RawBatch

CASES: Final = ("verified", "unverified")
_GROUP: Final = 100_000
_BYTES_A_GROUP: Final = 5_500_000


def write(path: Path, megabytes: int, _case: str) -> None:
    """Write a file of about a size."""
    generator = np.random.default_rng(1)
    first = _table(generator, 0)
    with pq.ParquetWriter(path, first.schema, write_page_checksum=True) as writer:
        for group in range(max(1, megabytes * 1_000_000 // _BYTES_A_GROUP)):
            writer.write_table(_table(generator, group))


def ours(path: Path, _case: str) -> int:
    """Read it by the format: the values, and texts where there are no others."""
    return read(Parquet(), path, _values)


def fastest(path: Path, case: str) -> int:
    """Read it into a frame by pyarrow, which verifies the checksums of pages, or by Polars, which does not."""
    if case == "unverified":
        return pl.read_parquet(path).height
    return pl.DataFrame(pl.from_arrow(pq.read_table(path, page_checksum_verification=True))).height


def _values(batch: RawBatch) -> pl.DataFrame:
    typed = batch.typed
    return batch.texts([name for name in batch.names if name not in typed])


def _table(generator: np.random.Generator, group: int) -> pa.Table:
    numbers = np.arange(group * _GROUP, (group + 1) * _GROUP)
    moments = pa.array(generator.integers(0, 2**50, _GROUP))
    columns: dict[str, pa.Array[pa.Scalar[pa.DataType]]] = {
        "id": pa.array(numbers),
        "code": pa.array([f"C{number % 977:05d}" for number in numbers]),
        "name": pa.array([f"name of {number}" for number in numbers]),
        "share": pa.array(generator.normal(size=_GROUP)),
        "quantity": pa.array(generator.integers(0, 1000, _GROUP).astype("int32")),
        "day": pa.array(generator.integers(0, 20_000, _GROUP).astype("int32")).cast(pa.date32()),
        "reading": moments.cast(pa.timestamp("us")),
        "instant": moments.cast(pa.timestamp("us", "UTC")),
        "is_new": pa.array(generator.integers(0, 2, _GROUP).astype(bool)),
        "price": pa.array(numbers % 1000).cast(pa.decimal128(21, 2)),
        "note": pa.array([None if number % 3 else "x" * 20 for number in numbers]),
        "whole": pa.array(np.floor(generator.normal(size=_GROUP) * 100)),
    }
    return pa.table(columns)
