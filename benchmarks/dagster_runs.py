"""Runs of sources through Dagster in one process, each measured.

Only this module calls the functions of the command line. Each argument is the name of a source, or ``name@key`` for a
partition. The settings come from the environment, as those of ``etl-assets``. For each run one line of JSON is written,
a `Run`. With ``--ingest`` deliveries are landed and loaded without Dagster, which is a fast way to earlier deliveries,
and nothing is measured.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
import psycopg
from sqlalchemy import event
from sqlalchemy.engine import Engine

from benchmarks.dagster_run import Run
from benchmarks.measure import own_processor_seconds, processor_seconds
from benchmarks.server import postmaster
from etl_assets.cli.environment import declared, environment
from etl_assets.ingest import land, load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.cli.environment import Environment


class Meter:
    """Reads clocks and counters.

    Args:
        dagster_url: Dagster's database.
    """

    def __init__(self, dagster_url: str) -> None:
        self._connection = psycopg.connect(dagster_url, autocommit=True)
        self._postmaster = postmaster(self._connection)
        self._statements = 0
        event.listen(Engine, "before_cursor_execute", self._count)

    def clocks(self) -> tuple[float, float, float]:
        """Seconds, and processor seconds of client and server so far."""
        return time.perf_counter(), own_processor_seconds(), processor_seconds(self._postmaster)

    def counters(self) -> tuple[int, int]:
        """Events and statements of Dagster so far. Reading them takes time of the server."""
        row = self._connection.execute("SELECT count(*) FROM event_logs").fetchone()
        return int(row[0]) if row else 0, self._statements

    def _count(self, connection: object, *_: object) -> None:
        """Count a statement if it goes to Dagster's database."""
        engine = getattr(connection, "engine", None)
        if engine is not None and engine.url.database == self._connection.info.dbname:
            self._statements += 1


def run_all(env: Environment, requested: Sequence[tuple[str, str]]) -> None:
    """Run partitions one after the other, and write what each took.

    Args:
        env: The settings and databases.
        requested: Names of sources, and keys of partitions; the empty text where there are none.
    """
    from etl_assets.cli.orchestration import orchestration  # noqa: PLC0415 -- loads Dagster
    from etl_assets.cli.run_options import RunOptions  # noqa: PLC0415

    sources, meter = declared(env.settings).sources, Meter(env.databases.dagster_url)
    with orchestration(env, verbose=False) as dagster:
        for name, key in requested:
            counted, began = meter.counters(), meter.clocks()
            (outcome,) = dagster.run(sources[name], [key], RunOptions())
            seconds, client, server = (now - then for now, then in zip(meter.clocks(), began, strict=True))
            events, statements = (now - then for now, then in zip(meter.counters(), counted, strict=True))
            run = Run(
                seconds=seconds,
                client=client,
                server=server,
                events=events,
                statements=statements,
                status=outcome.status,
                read=outcome.counts.read,
                rejected=outcome.counts.rejected,
                error=f"{outcome.error.name}: {outcome.error.message}" if outcome.error else "",
            )
            click.echo(json.dumps(asdict(run)))


def ingest_all(env: Environment, requested: Sequence[tuple[str, str]]) -> None:
    """Land and load partitions one after the other, without Dagster."""
    sources = declared(env.settings).sources
    for name, key in requested:
        source = sources[name]
        load(source, land(source, source.partition(key or None), env.warehouse).delivery, env.warehouse, "benchmark")


@click.command()
@click.argument("runs", nargs=-1, required=True)
@click.option("--ingest", is_flag=True, help="Land and load, without Dagster.")
def main(runs: tuple[str, ...], *, ingest: bool) -> None:
    """Run partitions of sources in this process."""
    requested = [(name, key) for name, _, key in (run.partition("@") for run in runs)]
    with environment() as env:
        (ingest_all if ingest else run_all)(env, requested)


if __name__ == "__main__":
    main()
