"""Where the scenarios of `benchmarks.costs` are measured: a home, two databases and declarations, all new."""

from __future__ import annotations

import json
import shutil
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import psycopg

from benchmarks.cost import Cost
from benchmarks.dagster_run import Run
from benchmarks.measure import FailedProcessError, measure
from benchmarks.server import vacuum

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.measure import Process
    from benchmarks.server import Databases

_NAME: Final = "bench_costs"
_CLI: Final = "from etl_assets.cli import main; main()"
_MB: Final = 1_000_000
_UNSET: Final = ("DAGSTER_HOME", "ETL_ASSETS_DAGSTER_URL", "ETL_ASSETS_LANDING_URL", "ETL_ASSETS_PORT")
"""Variables that would let a process work elsewhere."""


class Lab:
    """A warehouse of a scenario's own, and the processes that work on it.

    Attributes:
        databases: The server.
        work: Folder that stays; generated files may be kept there.
        folder: Folder of this scenario alone.
        declared: Folder of the declarations.
        url: Address of the warehouse.
        say: Tells the person who waits.
    """

    def __init__(self, databases: Databases, work: Path, say: Callable[[str], None]) -> None:
        self.databases = databases
        self.work = work
        self.folder = work / "costs"
        self.declared = self.folder / "declared"
        self.url = ""
        self.say = say

    @contextmanager
    def open(self) -> Iterator[Lab]:
        """Make everything new for the length of a block; nothing is left after it, whatever happens in it."""
        try:
            self._remove()
            self.declared.mkdir(parents=True)
            self.url = self.databases.create(_NAME)
            self.command("migrate")
            yield self
        finally:
            self._remove()

    def command(self, *arguments: str) -> tuple[Cost, str]:
        """Run ``etl-assets``, as a process of its own; return what it took and what it wrote.

        Raises:
            FailedProcessError: If it ends with anything but 0.
        """
        return self.measured(sys.executable, "-P", "-c", _CLI, *arguments)

    def runs(self, *requested: str) -> list[tuple[Cost, Run]]:
        """Run partitions through Dagster in one process, one after the other, while no autovacuum starts.

        Args:
            requested: ``name``, or ``name@key`` for a partition.

        Raises:
            FailedProcessError: If a run fails.
        """
        self.databases.checkpoint()
        with self.databases.without_autovacuum():
            _, output = self.measured(sys.executable, "-m", "benchmarks.dagster_runs", *requested)
        made = [Run(**json.loads(line)) for line in output.splitlines() if line.startswith("{")]
        for what, run in zip(requested, made, strict=True):
            self.require(not run.error, f"The run of {what} failed. {run.error}")
        return [(Cost(run.seconds, run.client, run.server, run.counts), run) for run in made]

    def ingest(self, *requested: str) -> None:
        """Land and load partitions without Dagster, as what earlier days have left."""
        self.measured(sys.executable, "-m", "benchmarks.dagster_runs", "--ingest", *requested)

    def measured(self, *command: str, url: str | None = None) -> tuple[Cost, str]:
        """Run a process to its end; return what it took, and what it wrote.

        Args:
            command: Program and arguments.
            url: Address of the database, if it is not the warehouse.
        """
        environment = dict.fromkeys(_UNSET, "") | {
            "ETL_ASSETS_HOME": str(self.folder / "home"),
            "ETL_ASSETS_DATABASE_URL": url or self.url,
            "ETL_ASSETS_SOURCES": str(self.declared),
        }
        before = self.databases.processor_seconds()
        process = measure(command, environment=environment, work=self.folder)
        return _cost(process, self.databases.processor_seconds() - before), process.output

    def rows(self, source: str) -> int:
        """Return the number of rows of a source's table."""
        with psycopg.connect(self.url) as connection:
            row = connection.execute(f"SELECT count(*) FROM core.{source}".encode()).fetchone()
        return int(row[0]) if row else 0

    def settle(self) -> None:
        """Leave the warehouse as autovacuum would in time, and let nothing written before burden what follows."""
        vacuum(self.url)
        self.databases.checkpoint()

    def require(self, holds: bool, sentence: str) -> None:  # noqa: FBT001 -- as an assertion
        """Raise unless what was measured did what it should.

        Raises:
            FailedProcessError: With the sentence.
        """
        if not holds:
            raise FailedProcessError(sentence)

    def _remove(self) -> None:
        for name in (_NAME, f"{_NAME}_dagster"):
            self.databases.drop(name)
        shutil.rmtree(self.folder, ignore_errors=True)


def _cost(process: Process, server: float) -> Cost:
    return Cost(process.seconds, process.cpu_seconds, server, {"MB at most": process.peak_bytes / _MB})
