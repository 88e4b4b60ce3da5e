"""Runs ``etl-assets dev`` over a home of its own, and requests a backfill through the API of the UI."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import psutil
import psycopg

from benchmarks.backfill_feed import SOURCE
from benchmarks.measure import FailedProcessError, processor_seconds
from benchmarks.server import postmaster
from etl_assets.graph.partitions import RANGE_TAGS
from etl_assets.local import embedded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.backfill_feed import BackfillFeed
    from etl_assets.local import EmbeddedServer

_END_SECONDS: Final = 60.0
_START_SECONDS: Final = 240.0
_POLL_SECONDS: Final = 1.0
_LAYERS: Final = ("landing", "core", "quarantine")
_LAUNCH: Final = """
mutation ($keys: [AssetKeyInput!]!, $partitions: [String!]!) {
  launchPartitionBackfill(backfillParams: {assetSelection: $keys, partitionNames: $partitions}) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}
"""
_STATUS: Final = """
query ($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }
"""
_RUNS: Final = """
query ($id: String!) {
  runsOrError(filter: {tags: [{key: "dagster/backfill", value: $id}]}) {
    ... on Runs { results { status tags { key value } } }
  }
}
"""
_SENSORS: Final = """
{
  sensorsOrError(repositorySelector: {
    repositoryName: "__repository__", repositoryLocationName: "etl_assets.definitions"
  }) { ... on Sensors { results { name sensorState { id } } } }
}
"""
_STOP: Final = "mutation ($id: String!) { stopSensor(id: $id) { __typename ... on PythonError { message } } }"


@dataclass(frozen=True)
class Backfill:
    """A backfill that has ended.

    Attributes:
        status: Dagster's status of it.
        runs: Dagster's statuses of its runs, by partition.
        seconds: From its request to its end.
        processor_seconds: Of Dagster's processes and the runs, in that time.
        server_seconds: Of the database server, in that time.
        transactions: Number of transactions of both databases, in that time.
    """

    status: str
    runs: dict[str, list[str]]
    seconds: float
    processor_seconds: float
    server_seconds: float
    transactions: int


@dataclass(frozen=True)
class Dev:
    """A running ``etl-assets dev``.

    Attributes:
        process: The command.
        port: Of the UI.
        server: The database server of its home.
    """

    process: subprocess.Popen[bytes]
    port: int
    server: EmbeddedServer

    def backfill(self, feed: BackfillFeed, deadline: float) -> Backfill:
        """Load every day of a feed by one backfill.

        Args:
            feed: Its files are written, and its source is declared.
            deadline: Seconds within which the backfill must end.

        Raises:
            FailedProcessError: If Dagster refuses the backfill, or the deadline passes.
        """
        keys = [{"path": [layer, SOURCE]} for layer in _LAYERS]
        before, began = self._spent(), time.monotonic()
        launched = self.ask(_LAUNCH, keys=keys, partitions=feed.partitions)["launchPartitionBackfill"]
        if launched["__typename"] != "LaunchBackfillSuccess":
            raise FailedProcessError(f"Dagster did not accept the backfill: {launched}")
        id_ = launched["backfillId"]
        while not (status := self._status(id_)).startswith(("COMPLETED", "FAILED", "CANCELED")):
            if time.monotonic() > began + deadline:
                raise FailedProcessError(f"After {deadline:.0f} s the backfill is {status}: {self._runs(id_, feed)}")
            time.sleep(_POLL_SECONDS)
        seconds = time.monotonic() - began
        processor, server, transactions = (now - then for now, then in zip(self._spent(), before, strict=True))
        return Backfill(status, self._runs(id_, feed), seconds, processor, server, round(transactions))

    def stop_other_runs(self) -> None:
        """Stop the sensors that load the bundled feeds, so that only the backfill is measured."""
        for sensor in self.ask(_SENSORS)["sensorsOrError"]["results"]:
            if sensor["name"] == "automation" or sensor["name"].endswith("_sensor"):
                self.ask(_STOP, id=sensor["sensorState"]["id"])

    def ask(self, question: str, **values: Any) -> dict[str, Any]:
        """Ask the API of the UI; returns the data of the answer."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql",
            json.dumps({"query": question, "variables": values}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 -- http, loopback
            content: dict[str, Any] = json.load(answer)
        if "errors" in content:
            raise FailedProcessError(f"Dagster does not answer {question}: {content['errors']}")
        data: dict[str, Any] = content["data"]
        return data

    def _status(self, id_: str) -> str:
        return str(self.ask(_STATUS, id=id_)["partitionBackfillOrError"]["status"])

    def _runs(self, id_: str, feed: BackfillFeed) -> dict[str, list[str]]:
        statuses: dict[str, list[str]] = {}
        for run in self.ask(_RUNS, id=id_)["runsOrError"]["results"]:
            tags = {tag["key"]: tag["value"] for tag in run["tags"]}
            first, last = (tags.get(tag) or tags["dagster/partition"] for tag in RANGE_TAGS)
            for key in feed.partitions:
                if first <= key <= last:
                    statuses.setdefault(key, []).append(run["status"])
        return statuses

    def _spent(self) -> tuple[float, float, int]:
        """The processor seconds of Dagster and of the database server, and the transactions, so far."""
        with psycopg.connect(self.server.superuser_url(), autocommit=True) as connection:
            row = connection.execute("SELECT sum(xact_commit + xact_rollback)::int FROM pg_stat_database").fetchone()
            server = processor_seconds(postmaster(connection))
        assert row is not None  # noqa: S101 -- an aggregate
        return processor_seconds(psutil.Process(self.process.pid)), server, int(row[0])


@contextmanager
def running(home: Path, declared: Path, log: Path) -> Iterator[Dev]:
    """Run ``etl-assets dev`` for the length of a block.

    Args:
        home: Folder of its local files.
        declared: Folder of the declarations.
        log: What Dagster writes is appended to this file.

    Raises:
        FailedProcessError: If it does not start, or a process is left when it has ended.
    """
    port = _free_port()
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("ETL_ASSETS_", "DAGSTER_"))}
    mine |= {"ETL_ASSETS_HOME": str(home), "ETL_ASSETS_SOURCES": str(declared)}
    command = [sys.executable, "-P", "-c", "from etl_assets.cli import main; main()", "dev", "--port", str(port)]
    with embedded(home) as server, log.open("ab") as output:
        process = subprocess.Popen(command, env=mine, stdout=output, stderr=output)
        try:
            _wait_until_it_answers(process, port, log)
            yield Dev(process, port, server)
        finally:
            left = _end(process)
        if left:
            raise FailedProcessError(f"These processes are left: {left}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """End ``etl-assets dev`` as a service manager would; returns those of its descendants that do not end."""
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    left: list[psutil.Process] = psutil.wait_procs(family, timeout=_END_SECONDS)[1]
    return left


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=2.0):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(_POLL_SECONDS)
    raise FailedProcessError(f"etl-assets dev did not start:\n{log.read_text(errors='replace')[-4000:]}")
