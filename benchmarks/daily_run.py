"""Loads of the daily feed, as a process of its own.

It prepares, writes ``ready``, waits for a line on its standard input, loads, and ends with one line of JSON, a
`DailyReport`. Processes that are to load at once are released by one line each.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from benchmarks.daily_feed import Days, Keys
from benchmarks.measure import MAXRSS_UNIT
from etl_assets.ingest import land, load
from etl_assets.landing import LandingStore, Warehouse
from etl_assets.postgres.connection import connected
from etl_assets.postgres.migrations.migrate import migrate
from etl_assets.postgres.tables.ddl import ensure_table

if TYPE_CHECKING:
    from etl_assets.source import Source


@dataclass(frozen=True)
class DailyReport:
    """What a process loaded.

    Attributes:
        began: When it began to load, in seconds of the system's clock.
        ended: When the last batch was committed.
        read: Number of records loaded, each as often as it was.
        peak_bytes: Largest resident memory until the end.
    """

    began: float
    ended: float
    read: int
    peak_bytes: int


@click.command()
@click.argument("task", type=click.Choice(["prepare", "load", "reload"]))
@click.option("--folder", type=click.Path(path_type=Path), required=True)
@click.option("--landing", type=click.Path(path_type=Path), required=True)
@click.option("--days", type=int, required=True)
@click.option("--records", type=int, required=True)
@click.option("--keys", type=click.Choice(get_args(Keys)), required=True)
@click.option("--from", "start", type=int, default=0, help="First day to load, from 0.")
@click.option("--to", "stop", type=int, help="First day not to load; all by default.")
@click.option("--every", type=int, default=1, help="Load each so many days; negative from the newest to the oldest.")
def main(
    task: str,
    folder: Path,
    landing: Path,
    days: int,
    records: int,
    keys: Keys,
    start: int,
    stop: int | None,
    every: int,
) -> None:
    """Prepare a database, load days, or reload days that were loaded before."""
    url = os.environ["ETL_ASSETS_DATABASE_URL"]
    feed = Days(folder, days, records)
    source = feed.source(keys)
    if task == "prepare":
        migrate(url)
        with connected(url) as connection:
            ensure_table(connection, source.table, source.schema)
        return
    chosen = feed.partitions[start:stop][::every]
    click.echo("ready")
    sys.stdin.readline()
    began = time.time()
    warehouse = Warehouse(url, LandingStore(str(landing)))
    read = sum(_load(source, key, warehouse, force=task == "reload") for key in chosen)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_UNIT
    click.echo(json.dumps(asdict(DailyReport(began, time.time(), read, peak))))


def _load(source: Source, key: str, warehouse: Warehouse, *, force: bool) -> int:
    """Land and load one day; returns the number of records that were loaded."""
    landed = land(source, source.partition(key), warehouse)
    return load(source, landed.delivery, warehouse, "benchmark", force=force).counts.read


if __name__ == "__main__":
    main()
