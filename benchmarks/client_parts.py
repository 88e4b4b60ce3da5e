"""What a delivery costs the client, part by part, without a database: processor seconds of one process.

The batches are read, validated, profiled and encoded as a load does it, but one part after the other. The output ends
with one line of JSON, a `Report`, whose phases are processor seconds.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from time import process_time
from typing import Final

import click

from benchmarks.feed import SCHEMA, source
from benchmarks.ingest_run import Report
from etl_assets import landing as frozen
from etl_assets.ingest.batch import transform
from etl_assets.ingest.freed_memory import keep_freed_memory
from etl_assets.ingest.loading import target_of
from etl_assets.landing import LandingStore, Warehouse, land
from etl_assets.load.loader import stopwatch
from etl_assets.load.prepare import hash_seed, prepare
from etl_assets.postgres.tables.copy import encode, table_columns, wire_frame
from etl_assets.watch.cell_samples import observe
from etl_assets.watch.profiles import merge, profile_batch

LAND: Final = "freeze and index"
READ: Final = "verify and read"
SPLIT: Final = "split into texts"
VALIDATE: Final = "rules and types"
PROFILE: Final = "profile of columns"
MERGE: Final = "merge profiles"
CELLS: Final = "sample of cells"
PREPARE: Final = "sort, hash, rejected"
ENCODE: Final = "encode"


def run(*, location: Path, store: Path) -> Report:
    """Do all that a load does before it writes.

    Args:
        location: The file to take as the delivery.
        store: Folder of a landing store.
    """
    keep_freed_memory()
    feed, warehouse = source(location), Warehouse("", LandingStore(str(store)))
    target, seed, seconds = target_of(feed, warehouse), hash_seed(SCHEMA), defaultdict[str, float](float)
    with stopwatch(seconds, LAND, process_time):
        manifest = land(feed.extractor, feed.partition(None), warehouse.store)
    with stopwatch(seconds, READ, process_time):  # all of them first, because a thread reads ahead
        batches = list(frozen.batches(feed.extractor, warehouse.store, manifest))
    number, parts = len(batches), []
    for raw in batches:
        with stopwatch(seconds, SPLIT, process_time):
            raw.texts(raw.names)
        with stopwatch(seconds, VALIDATE, process_time):
            batch = transform(feed, "", raw, feed.validator.validate(raw, SCHEMA))
        with stopwatch(seconds, PROFILE, process_time):
            parts.append(profile_batch(SCHEMA, batch.rows, number))
        with stopwatch(seconds, CELLS, process_time):
            observe(SCHEMA, raw, number)
        with stopwatch(seconds, PREPARE, process_time):
            rows = prepare(batch, target, 1, seed).rows
        with stopwatch(seconds, ENCODE, process_time):
            encode(wire_frame(rows.select(table_columns(SCHEMA)), SCHEMA))
    with stopwatch(seconds, MERGE, process_time):
        merge(SCHEMA, parts)
    spent = sum(seconds.values())
    return Report(spent, spent, dict(seconds))


@click.command()
@click.option("--location", type=click.Path(path_type=Path), required=True)
@click.option("--landing", "store", type=click.Path(path_type=Path), required=True)
def main(location: Path, store: Path) -> None:
    """Do all that a load does before it writes, and say what each part took."""
    click.echo(json.dumps(asdict(run(location=location, store=store))))


if __name__ == "__main__":
    main()
