"""Merges the clean rows of the benchmark's feed by dlt over Arrow: ``python -m benchmarks.dlt_merge URL FILE FOLDER``.

Nothing is validated. What dlt remembers of earlier loads is in the folder.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

import pyarrow as pa
from pyarrow import csv

from benchmarks.feed import KEY, NAME, SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator

DATASET: Final = "dlt_merge"
_TYPES: Final = {
    "text": pa.string(),
    "integer": pa.int64(),
    "float": pa.float64(),
    "decimal": pa.decimal128(12, 2),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}
_BLOCK: Final = 16 << 20
"""Bytes of the file that are parsed at once."""


def main(url: str, file: str, folder: str) -> None:
    """Run a pipeline that upserts the rows of a file by their key."""
    os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR", "DLT_DATA_DIR": folder}
    import dlt

    types = {column.name: _TYPES[column.type.name] for column in SCHEMA.columns}
    types["changed_at"] = pa.timestamp("us", "UTC")

    def tables() -> Iterator[pa.Table]:
        parse = csv.ParseOptions(newlines_in_values=True)
        convert = csv.ConvertOptions(column_types=types, strings_can_be_null=True, null_values=[""])
        for batch in csv.open_csv(file, csv.ReadOptions(block_size=_BLOCK), parse, convert):
            yield pa.Table.from_batches([batch])

    resource = dlt.resource(
        tables,
        name=NAME,
        write_disposition={"disposition": "merge", "strategy": "upsert"},
        primary_key=KEY,
        columns={
            "price": {"data_type": "decimal", "precision": 12, "scale": 2},
            "counted_at": {"data_type": "timestamp", "timezone": False},
        },
    )
    pipeline = dlt.pipeline(
        NAME, destination=dlt.destinations.postgres(url), dataset_name=DATASET, pipelines_dir=folder
    )
    pipeline.run(resource, loader_file_format="csv").raise_on_failed_jobs()


if __name__ == "__main__":
    main(*sys.argv[1:])
