"""Automatic runs under a live daemon: a new file, runs that follow others, and a backfill with a bad partition.

These tests are slow because they run the real Dagster.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from etl_assets_tests.cli.desk import Desk

_COMMAND = "from etl_assets.cli import main; main()"
_PATIENCE = 240.0
_SOURCE = """
from datetime import timedelta
from etl_assets import After, Column, Csv, FileExtractor, OnChange, Schema, Source, Static

SOURCE = Source(
    name={name!r},
    description="For the daemon.",
    owner="team:tests",
    extractor=FileExtractor(location={folder!r} + {file!r}, format=Csv()),
    schema=Schema((Column("id", "integer", required=True),), ("id",)),
    {arguments}
)
"""
_DECLARED = {
    "towns": ("/towns.csv", "trigger=OnChange(every=timedelta(seconds=30)),"),
    "visits": ("/visits.csv", "trigger=After('core/towns'),"),
    "parts": ("/{key}.csv", "partitions=Static(('a', 'b', 'c')),"),
    "copies": ("/{key}.csv", "partitions=Static(('a', 'b', 'c')), trigger=After('core/parts'), max_rejected=1.0,"),
}
_BACKFILL = """
mutation ($keys: [AssetKeyInput!]!) {
  launchPartitionBackfill(backfillParams: {assetSelection: $keys, partitionNames: ["a", "b", "c"]}) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}
"""
_STATUS = "query ($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"


class Live:
    """A running ``etl-assets dev``, with methods that query Dagster and the warehouse."""

    def __init__(self, desk: Desk, process: subprocess.Popen[str], port: int) -> None:
        self._desk = desk
        self._process = process
        self._port = port

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition; fail if Dagster ends or the wait is too long."""
        end = time.monotonic() + _PATIENCE
        while not condition():
            assert self._process.poll() is None, "Dagster has ended"
            assert time.monotonic() < end, "the condition did not become true"
            time.sleep(0.5)

    def ids(self, table: str) -> list[int]:
        """Return the ids of the rows of a table; none if the table does not exist."""
        try:
            return [id_ for (id_,) in self._desk.query(f"SELECT id FROM core.{table} ORDER BY id")]
        except psycopg.errors.UndefinedTable:
            return []

    def ask(self, question: str, **values: Any) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}/graphql",
            json.dumps({"query": question, "variables": values}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 -- loopback
            data: dict[str, Any] = json.load(answer)["data"]
        return data


@contextmanager
def _live(desk: Desk) -> Iterator[Live]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = [sys.executable, "-c", _COMMAND, "dev", "--port", str(port)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env={**os.environ, **desk.environment})
    try:
        assert process.stdout is not None
        assert any("Dagster is at" in line for line in process.stdout)
        yield Live(desk, process, port)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        process.communicate()


@pytest.mark.slow
def test_a_new_file_is_loaded_and_starts_its_followers_and_a_backfill_continues_after_a_bad_partition(
    desk: Desk,
) -> None:
    for name, (file, arguments) in _DECLARED.items():
        text = _SOURCE.format(name=name, folder=str(desk.folder / "feeds"), file=file, arguments=arguments)
        (desk.folder / "declared" / f"{name}.py").write_text(text)
    desk.publish("visits.csv", "id\n7\n")
    for name, record in (("a", "1"), ("b", "two"), ("c", "3")):
        desk.publish(f"{name}.csv", f"id\n{record}\n")
    with _live(desk) as live:
        desk.publish("towns.csv", "id\n1\n2\n")
        keys = [{"path": [layer, name]} for name in ("parts", "copies") for layer in ("landing", "core", "quarantine")]
        launched = live.ask(_BACKFILL, keys=keys)["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        live.until(lambda: live.ids("towns") == [1, 2])
        live.until(lambda: live.ids("visits") == [7])
        asked = {"id": launched["backfillId"]}
        live.until(lambda: live.ask(_STATUS, **asked)["partitionBackfillOrError"]["status"] == "COMPLETED_FAILED")
        assert (live.ids("parts"), live.ids("copies")) == ([1, 3], [1, 3])
        runs = desk.query("SELECT source, partition, count(*) FROM etl.run WHERE partition = 'b' GROUP BY 1, 2")
        assert runs == [("parts", "b", 1)]
