"""What partitions cost: days loaded in any order, a whole year reloaded, several days loaded at once.

Our side alone, since a psql load knows no order. Every figure is a ratio of two of the same run: of more days to fewer,
which is 1 where the time of a record does not depend on how many days there are, or of several processes to one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.daily_feed import Days
from benchmarks.daily_run import DailyReport
from benchmarks.measure import FailedProcessError
from benchmarks.server import vacuum

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.daily_feed import Keys
    from benchmarks.server import Databases

PROCESSES: Final = (1, 2, 4)
CORRECTIONS: Final = 5
"""How often a day is corrected; the median counts."""


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        days: Numbers of days of the feeds that are compared.
        records: Number of records of each of their days.
        parallel_days: Number of days that are loaded at once.
        parallel_records: Number of records of each of these.
    """

    days: tuple[int, ...]
    records: int
    parallel_days: int
    parallel_records: int


FULL: Final = Plan((91, 182, 365), 2_000, 8, 100_000)
QUICK: Final = Plan((7, 14), 500, 4, 5_000)


@dataclass(frozen=True)
class Loads:
    """What one or several processes loaded between them.

    Attributes:
        title: Of what was done.
        keys: Which keys the partitions can have.
        days: Number of days of the feed.
        processes: Number of processes.
        seconds: From the first beginning to the last end.
        read: Number of records loaded.
        peak_bytes: Largest resident memory of any process.
    """

    title: str
    keys: Keys
    days: int
    processes: int
    seconds: float
    read: int
    peak_bytes: int

    @property
    def microseconds(self) -> float:
        """Of each record."""
        return 1e6 * self.seconds / self.read


class PartitionBench:
    """The measurements over a feed of daily partitions.

    Args:
        databases: Where they are made.
        work: Folder for files and landing stores.
        plan: How much is measured.
    """

    def __init__(self, databases: Databases, work: Path, plan: Plan) -> None:
        self.plan = plan
        self._databases = databases
        self._work = work
        self._landing = work / "landing-days"

    def orders(self, days: int, keys: Keys) -> Iterator[Loads]:
        """Load so many days newest first, reload them all twice, then load corrections of the oldest day.

        The second time reloads what the first confirmed: each row of a day might have been confirmed by a newer day.
        """
        feed = Days(self._work / f"days-{days}", days, self.plan.records)
        feed.write()
        url = self._prepare(feed, keys)
        yield self._load("first load, newest first", feed, keys, url, "load", ["--every=-1"])
        vacuum(url)
        self._load("reload", feed, keys, url, "reload")
        yield self._load("second reload", feed, keys, url, "reload")
        corrections = []
        for number in range(CORRECTIONS):
            feed.publish(0, feed.partitions[0], warmer=1.0 + number)
            corrections.append(self._load("a corrected oldest day", feed, keys, url, "load", ["--to=1"]))
        yield sorted(corrections, key=lambda loads: loads.seconds)[CORRECTIONS // 2]
        self._clean_up(feed)

    def at_once(self, keys: Keys) -> Iterator[Loads]:
        """Load the same days in one process, and in several that share them."""
        feed = Days(self._work / "days-at-once", self.plan.parallel_days, self.plan.parallel_records)
        feed.write()
        for processes in PROCESSES:
            url = self._prepare(feed, keys)
            shares = [[f"--from={number}", f"--every={processes}"] for number in range(processes)]
            yield self._load("days loaded at once", feed, keys, url, "load", *shares)
        self._clean_up(feed)

    def _prepare(self, feed: Days, keys: Keys) -> str:
        """An empty database and landing store for a feed; returns the database's address."""
        url = self._databases.create("bench_days")
        shutil.rmtree(self._landing, ignore_errors=True)
        self._landing.mkdir(parents=True)
        _finish(self._start(feed, keys, url, "prepare"))
        self._databases.checkpoint()
        return url

    def _load(self, title: str, feed: Days, keys: Keys, url: str, task: str, *shares: Sequence[str]) -> Loads:
        """Let one process load each share of the days, all at once."""
        processes = [self._start(feed, keys, url, task, *share) for share in shares or [[]]]
        for process in processes:
            _wait_until_ready(process)
        for process in processes:
            _release(process)
        reports = [DailyReport(**json.loads(_finish(process).splitlines()[-1])) for process in processes]
        return Loads(
            title,
            keys,
            feed.days,
            len(processes),
            max(report.ended for report in reports) - min(report.began for report in reports),
            sum(report.read for report in reports),
            max(report.peak_bytes for report in reports),
        )

    def _start(self, feed: Days, keys: Keys, url: str, task: str, *more: str) -> subprocess.Popen[str]:
        options = (
            f"--folder={feed.folder}",
            f"--landing={self._landing}",
            f"--days={feed.days}",
            f"--records={feed.records}",
            f"--keys={keys}",
        )
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks.daily_run", task, *options, *more],
            env={**os.environ, "ETL_ASSETS_DATABASE_URL": url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _clean_up(self, feed: Days) -> None:
        self._databases.drop("bench_days")
        for folder in (self._landing, feed.folder):
            shutil.rmtree(folder, ignore_errors=True)


def _wait_until_ready(process: subprocess.Popen[str]) -> None:
    """Wait until a process has imported what it needs."""
    if process.stdout is not None:
        process.stdout.readline()


def _release(process: subprocess.Popen[str]) -> None:
    """Let a process begin."""
    if process.stdin is not None:
        process.stdin.write("\n")
        process.stdin.flush()


def _finish(process: subprocess.Popen[str]) -> str:
    """Wait for the end of a process; returns what it wrote.

    Raises:
        FailedProcessError: If it ends with anything but 0; its errors are on the terminal.
    """
    output, _ = process.communicate()
    if process.returncode != 0:
        raise FailedProcessError(f"A load of days ended with {process.returncode}.")
    return output
