"""Measures the copies: ``python -m benchmarks.copying``. Ends with 1 if the tables ever held different rows."""

from __future__ import annotations

import shutil
import statistics
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import psycopg
from rich.console import Console

from benchmarks.copying.things import COLUMNS, DIGEST, FILL, SCHEMA
from benchmarks.measure import measure
from benchmarks.outcome import Grid, machine, markdown, show
from benchmarks.server import Databases, psql, psql_environment
from etl_assets.local import EmbeddedServer
from etl_assets.postgres.connection import connected
from etl_assets.postgres.migrations.migrate import migrate
from etl_assets.postgres.tables.ddl import ensure_table

if TYPE_CHECKING:
    from benchmarks.measure import Process

RESULTS: Final = Path(__file__).parents[1] / "COPYING.md"
LIMIT: Final = 0.5
"""The largest ratio of our seconds to dlt's that is aimed at."""
_WAYS: Final = ("etl_assets", "dlt", "psql")
_ABOUT: Final = """# How fast a table is copied

Written by `python -m benchmarks.copying`; do not edit.

A table of {rows:,} rows and twelve columns is copied from one database of a server to another: by `DatabaseExtractor`
into its table, frozen, indexed, validated, profiled and upserted; by the source `sql_database` of dlt with the Arrow
backend `pyarrow`, which replaces its table; and by `psql -c "copy … to stdout" | psql -c "copy … from stdin"` into an
empty table with the primary key. Each is a whole process, from its start to its end, into a new database; the ways take
turns. Afterwards the three tables are compared.
"""


@click.command()
@click.option("--rows", type=click.IntRange(min=1), default=1_000_000, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--work", type=click.Path(path_type=Path), default=Path(".etl_assets/benchmarks"), show_default=True)
def main(rows: int, rounds: int, work: Path) -> None:
    """Copy a table three ways, and write the results."""
    console = Console(width=None if sys.stdout.isatty() else 150)
    work = work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    taken: dict[str, list[Process]] = {way: [] for way in _WAYS}
    same = True
    with EmbeddedServer.start(work) as server:
        databases = Databases(server.superuser_url())
        of = databases.create("copy_source")
        _execute(of, f"create table public.things ({COLUMNS})", FILL.format(rows=rows), "vacuum (analyze)")
        for number in range(1, rounds + 1):
            digests = set()
            for way in _WAYS:
                process, digest = _copy(databases, way, of, work)
                taken[way].append(process)
                digests.add(digest)
                console.print(f"round {number}: {way} {process.seconds:.2f} s", highlight=False)
            same &= len(digests) == 1
        facts = [*machine(), databases.facts()]
    grid = _grid(taken)
    show(console, [grid], facts)
    good, bad = "After every copy the tables held the same rows.", "**After some copy the tables differed.**"
    RESULTS.write_text(markdown(_ABOUT.format(rows=rows), facts, good if same else bad, [grid]))
    sys.exit(0 if same else 1)


def _copy(databases: Databases, way: str, of: str, work: Path) -> tuple[Process, str]:
    """Copy the table one way, and return what it took and a digest of the target."""
    to = databases.create(f"copy_{way}")
    folder = work / f"copying-{way}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    run = partial(measure, work=work)
    if way == "etl_assets":
        migrate(to)
        with connected(to) as connection:
            ensure_table(connection, "core.things", SCHEMA)
    elif way == "psql":
        _execute(to, "create schema core", f"create table core.things ({COLUMNS})")
    databases.checkpoint()
    if way == "psql":
        copy = '"$0" -c "copy public.things to stdout" | PGDATABASE=copy_psql "$0" -c "copy core.things from stdin"'
        process = run(["sh", "-c", copy, str(psql())], environment=psql_environment(of))
    else:
        module = f"benchmarks.copying.by_{way}"
        process = run([sys.executable, "-m", module, of, to, str(folder)], environment={})
    with psycopg.connect(to, options="-c timezone=UTC") as connection:
        digest = str(connection.execute(DIGEST.format(table="core.things").encode()).fetchone())
    databases.drop(f"copy_{way}")
    shutil.rmtree(folder)
    return process, digest


def _execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def _grid(taken: dict[str, list[Process]]) -> Grid:
    medians = {way: statistics.median(process.seconds for process in processes) for way, processes in taken.items()}
    rows = [
        (
            way,
            f"{medians[way]:.2f}",
            f"{statistics.median(process.cpu_seconds for process in taken[way]):.2f}",
            f"{max(process.peak_bytes for process in taken[way]) / 1e6:.0f}",
            f"{medians[way] / medians['dlt']:.2f}",
            f"{LIMIT:.2f}" if way == "etl_assets" else "",
        )
        for way in _WAYS
    ]
    heads = ("way", "s", "client CPU s", "peak MB", "of dlt's time", "limit")
    return Grid(f"Whole processes, medians of {len(taken['dlt'])} rounds", heads, tuple(rows))


if __name__ == "__main__":
    main()
