"""Copies the table by dlt's ``sql_database``: ``python -m benchmarks.copying.by_dlt SOURCE TARGET FOLDER``."""

from __future__ import annotations

import os
import sys


def main(of: str, to: str, folder: str) -> None:
    """Run a pipeline with the Arrow backend, which replaces the table ``core.things``."""
    os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "DLT_DATA_DIR": folder}
    import dlt
    from dlt.sources.sql_database import sql_table

    things = sql_table(
        of.replace("postgresql://", "postgresql+psycopg2://"),
        table="things",
        schema="public",
        backend="pyarrow",
        chunk_size=50_000,
        reflection_level="full_with_precision",
    )
    pipeline = dlt.pipeline(
        "things", destination=dlt.destinations.postgres(to), dataset_name="core", pipelines_dir=folder
    )
    pipeline.run(things, write_disposition="replace")


if __name__ == "__main__":
    main(*sys.argv[1:])
