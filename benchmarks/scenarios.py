"""What is measured: the scenarios, and a pair of loads (ours, then psql's) from the same starting state."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psycopg

from benchmarks import ingest_run, reference
from benchmarks.feed import files
from benchmarks.ingest_run import Report
from benchmarks.measure import measure
from benchmarks.server import digest, vacuum

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.feed import Variant
    from benchmarks.measure import Process
    from benchmarks.server import Databases


@dataclass(frozen=True)
class Scenario:
    """One thing that happens to a feed.

    Attributes:
        title: For people.
        variant: What is delivered.
        loaded: Whether the table holds the first variant already; it is empty otherwise.
        limit: Largest ratio of our seconds to psql's that is aimed at; None where nothing is.
    """

    title: str
    variant: Variant
    loaded: bool
    limit: float | None


SCENARIOS: Final = (
    Scenario("first load", "first", loaded=False, limit=0.6),
    Scenario("unchanged, in another order", "reordered", loaded=True, limit=0.3),
    Scenario("every row changed", "changed", loaded=True, limit=0.9),
)


@dataclass(frozen=True)
class Reference:
    """One load by psql: its process, the seconds of each statement, and the processor seconds of the server."""

    process: Process
    steps: dict[str, float]
    server_seconds: float


@dataclass(frozen=True)
class Ingest:
    """One load of ours: its process, what it said of itself, and the processor seconds of the server."""

    process: Process
    report: Report
    server_seconds: float


@dataclass(frozen=True)
class Pair:
    """One load each.

    Attributes:
        ours: None if only psql was measured.
        psql: The reference.
        same: Whether both tables hold the same rows and all other records were rejected, or only psql was measured.
    """

    ours: Ingest | None
    psql: Reference
    same: bool

    @property
    def ratio(self) -> float:
        """Our seconds inside the ingest over psql's seconds."""
        return self.ours.report.seconds / self.psql.process.seconds if self.ours else float("nan")

    @property
    def whole_ratio(self) -> float:
        """Our process's seconds, with its start, over psql's."""
        return self.ours.process.seconds / self.psql.process.seconds if self.ours else float("nan")


class Bench:
    """The measurements at one size.

    Args:
        databases: Where they are made.
        records: Number of records of the feed.
        work: Folder for files, landing stores and what processes write.
        with_ours: Whether our side is measured too.
    """

    def __init__(self, databases: Databases, records: int, work: Path, *, with_ours: bool = True) -> None:
        self.records = records
        self._databases = databases
        self._work = work
        self._feeds = work / "feeds"
        self._with_ours = with_ours

    def scenarios(self) -> tuple[Scenario, ...]:
        """Those that make sense at this size."""
        return SCENARIOS

    def prepare(self) -> None:
        """Make the files, and on each side the two states that a measurement starts from."""
        self._work.mkdir(parents=True, exist_ok=True)
        self._python("benchmarks.generate", str(self._feeds), str(self.records))
        with psycopg.connect(self._databases.create("bench_psql_empty")) as connection:
            connection.execute(reference.DDL)
        url = self._databases.create("bench_psql_loaded", "bench_psql_empty")
        reference.load(url, files(self._feeds, "first", self.records).clean, self._work)
        vacuum(url)
        if self._with_ours:
            self._task("prepare", self._databases.create("bench_ours_empty"), SCENARIOS[0])
            self._renew_landing(None)
            url = self._databases.create("bench_ours_loaded", "bench_ours_empty")
            self._task("run", url, SCENARIOS[0])
            vacuum(url)
            shutil.rmtree(self._work / "landing-loaded", ignore_errors=True)
            self._landing.rename(self._work / "landing-loaded")

    def pair(self, scenario: Scenario) -> Pair:
        """Measure one load each, and compare the tables."""
        state = "loaded" if scenario.loaded else "empty"
        ours = None
        if self._with_ours:
            ours_url = self._databases.create("bench_ours", f"bench_ours_{state}")
            self._renew_landing(self._work / "landing-loaded" if scenario.loaded else None)
            self._databases.checkpoint()
            before = self._databases.processor_seconds()
            process = self._task("run", ours_url, scenario)
            server_seconds = self._databases.processor_seconds() - before
            ours = Ingest(process, Report(**json.loads(process.output.splitlines()[-1])), server_seconds)
        psql_url = self._databases.create("bench_psql", f"bench_psql_{state}")
        self._databases.checkpoint()
        clean = files(self._feeds, scenario.variant, self.records).clean
        before = self._databases.processor_seconds()
        process, steps = reference.load(psql_url, clean, self._work)
        psql = Reference(process, steps, self._databases.processor_seconds() - before)
        same = True
        if ours is not None:
            rows, checksum = digest(psql_url, reference.TABLE)
            same = digest(ours_url, ingest_run.TABLE) == (rows, checksum)
            same &= ours.report.rejected == self.records - rows
        for name in ("bench_ours", "bench_psql"):
            self._databases.drop(name)
        return Pair(ours, psql, same)

    def client_parts(self) -> Report:
        """Measure what each part of the first variant's load costs the client."""
        self._renew_landing(None)
        feed = files(self._feeds, "first", self.records).feed
        process = self._python("benchmarks.client_parts", f"--location={feed}", f"--landing={self._landing}")
        return Report(**json.loads(process.output.splitlines()[-1]))

    def clean_up(self) -> None:
        """Drop the databases and the landing stores; the files stay for another time."""
        for side in ("ours", "psql"):
            for state in ("empty", "loaded"):
                self._databases.drop(f"bench_{side}_{state}")
        for folder in (self._landing, self._work / "landing-loaded"):
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def _landing(self) -> Path:
        return self._work / "landing"

    def _renew_landing(self, before: Path | None) -> None:
        """Give the next ingest a landing store that holds what an earlier delivery left, or nothing."""
        shutil.rmtree(self._landing, ignore_errors=True)
        if before is None:
            self._landing.mkdir()
        else:
            shutil.copytree(before, self._landing, copy_function=os.link)

    def _task(self, task: str, url: str, scenario: Scenario) -> Process:
        feed = files(self._feeds, scenario.variant, self.records).feed
        options = [f"--location={feed}", f"--landing={self._landing}"]
        return self._python("benchmarks.ingest_run", task, *options, url=url)

    def _python(self, module: str, *arguments: str, url: str = "") -> Process:
        environment = {"ETL_ASSETS_DATABASE_URL": url} if url else {}
        return measure([sys.executable, "-m", module, *arguments], environment=environment, work=self._work)
