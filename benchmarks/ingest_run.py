"""One ingest of the benchmark's feed, as a process of its own: the only module that calls what is measured.

``prepare`` and ``run`` are the seam between the benchmark and the package. The rest is the process around them: it
takes the database from ``ETL_ASSETS_DATABASE_URL`` and the rest from its arguments, and ends its output with one line
of JSON, the `Report`.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import click

from benchmarks.feed import MODES, NAME, source
from benchmarks.measure import own_processor_seconds
from etl_assets.ingest import land, load
from etl_assets.landing import LandingStore, Warehouse
from etl_assets.postgres.connection import connected
from etl_assets.postgres.migrations.migrate import migrate

TABLE: Final = f"core.{NAME}"


@dataclass(frozen=True)
class Report:
    """What an ingest says of itself.

    The seconds of the whole process, from before its start to its end, and its peak memory are measured from outside
    (see ``measure``); they are not reported here.

    Attributes:
        seconds: Inside the ingest: from the call until the last batch is committed, so landing, validation and load;
            without the start of Python, imports and the making of the table.
        cpu_seconds: Processor seconds of this process in that time.
        phases: Seconds by phase, e.g. ``land``, ``parse``, ``validate``, ``copy``, ``upsert``, ``ledger``. Phases that
            run at the same time overlap, so the sum may exceed ``seconds``.
        rejected: Number of records of this delivery that went to the quarantine.
    """

    seconds: float
    cpu_seconds: float = 0.0
    phases: dict[str, float] = field(default_factory=dict)
    rejected: int = 0


def prepare(url: str, mode: str = "upsert") -> None:
    """Bring a new database to where a first delivery finds it: migrated, the table there and empty."""
    migrate(url)
    with connected(url) as connection:
        feed = source(Path(), mode)
        feed.writer.ensure_table(connection, TABLE, feed.row_schema)


def run(url: str, *, location: Path, landing: Path, mode: str = "upsert") -> Report:
    """Take in one delivery, from the file to the last commit.

    Args:
        url: The database, prepared; the table is empty or holds an earlier delivery.
        location: The file to take as the delivery.
        landing: Folder of the landing store; holds what earlier deliveries of this database left there.
        mode: Name of the write mode.

    Returns:
        What it took. Whole-process seconds and peak memory are the caller's to measure.
    """
    began, spent = time.perf_counter(), own_processor_seconds()
    feed = source(location, mode)
    warehouse = Warehouse(url, LandingStore(str(landing)))
    landed = land(feed, feed.partition(None), warehouse)
    after = time.perf_counter()
    report = load(feed, landed.delivery, warehouse, "benchmark")
    phases = {"land": after - began, **report.seconds}
    cpu_seconds = own_processor_seconds() - spent
    return Report(time.perf_counter() - began, cpu_seconds, phases, report.counts.rejected)


@click.command()
@click.argument("task", type=click.Choice(["prepare", "run"]))
@click.option("--location", type=click.Path(path_type=Path), required=True)
@click.option("--landing", type=click.Path(path_type=Path), required=True)
@click.option("--mode", type=click.Choice(list(MODES)), default="upsert")
def main(task: str, location: Path, landing: Path, mode: str) -> None:
    """Prepare a database, or take one delivery in."""
    url = os.environ["ETL_ASSETS_DATABASE_URL"]
    if task == "prepare":
        prepare(url, mode)
    else:
        click.echo(json.dumps(asdict(run(url, location=location, landing=landing, mode=mode))))


if __name__ == "__main__":
    main()
