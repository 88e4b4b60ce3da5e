"""What profiling costs: the batches of one delivery summed up and added up, as a process of its own.

Nothing is loaded; the batches are read as a load reads them. The output ends with one line of JSON, a `Report`, whose
seconds are those of profiling alone.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

import click

from benchmarks.feed import SCHEMA, source
from benchmarks.ingest_run import Report
from etl_assets.ingest import batches
from etl_assets.landing import LandingStore, land
from etl_assets.watch.profiles import merge, profile_batch


def run(*, location: Path, landing: Path) -> Report:
    """Profile one delivery.

    Args:
        location: The file to take as the delivery.
        landing: Folder of a landing store.
    """
    feed, store = source(location), LandingStore(str(landing))
    manifest = land(feed.extractor, feed.partition(None), store)
    parts: list[bytes] = []
    summed = 0.0
    for batch in batches(feed, "", manifest, store):
        began = time.perf_counter()
        parts.append(profile_batch(SCHEMA, batch.rows, len(manifest.spans)))
        summed += time.perf_counter() - began
    began = time.perf_counter()
    merge(SCHEMA, parts)
    added = time.perf_counter() - began
    return Report(summed + added, phases={"batches": summed, "merge": added})


@click.command()
@click.option("--location", type=click.Path(path_type=Path), required=True)
@click.option("--landing", type=click.Path(path_type=Path), required=True)
def main(location: Path, landing: Path) -> None:
    """Profile one delivery."""
    click.echo(json.dumps(asdict(run(location=location, landing=landing))))


if __name__ == "__main__":
    main()
