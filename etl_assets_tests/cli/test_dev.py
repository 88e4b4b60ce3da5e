"""The command `dev`, run as a process: the UI, automatic runs under the daemon, and the end.

The tests share one process and come in this order: they are slow because they run the real Dagster.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
import pytest

from etl_assets_tests.cli.desk import Desk
from etl_assets_tests.databases import create_database, drop_database
from etl_assets_tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_COMMAND = "from etl_assets.cli import main; main()"
_DATABASE = f"live_{os.getpid()}"
_ASSETS = "{assetNodes{assetKey{path}}}"
_PATIENCE = 240.0
_SOURCE = """
import in_pythonpath
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
    "parts": ("/{key}.csv", "partitions=Static(('a', 'b')),"),
    "copies": ("/{key}.csv", "partitions=Static(('a', 'b')), trigger=After('core/parts'), max_rejected=1.0,"),
}
_IMPOSTORS = ("dagster", "dagster_webserver", "etl_assets", "polars", "psycopg", "random", "uvicorn", "yaml")
_BACKFILL = """
mutation ($keys: [AssetKeyInput!]!) {
  launchPartitionBackfill(backfillParams: {assetSelection: $keys, partitionNames: ["a", "b"]}) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}
"""
_STATUS = "query ($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"


@dataclass(frozen=True)
class Live:
    """A running ``etl-assets dev``, with methods that query Dagster and the warehouse."""

    desk: Desk
    process: subprocess.Popen[str]
    port: int

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition; fail if Dagster ends or the wait is too long."""
        end = time.monotonic() + _PATIENCE
        while not condition():
            assert self.process.poll() is None, "Dagster has ended"
            assert time.monotonic() < end, "the condition did not become true"
            time.sleep(0.5)

    def ids(self, table: str) -> list[int]:
        """Return the ids of the rows of a table; none if the table does not exist."""
        try:
            return [id_ for (id_,) in self.desk.query(f"SELECT id FROM core.{table} ORDER BY id")]
        except psycopg.errors.UndefinedTable:
            return []

    def ask(self, question: str, **values: Any) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql",
            json.dumps({"query": question, "variables": values}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 -- loopback
            data: dict[str, Any] = json.load(answer)["data"]
        return data


def _folder_of_impostors(folder: Path) -> Path:
    """Create a folder of modules that have the names of others, and end the process that imports them."""
    current = folder / "current"
    current.mkdir()
    for name in _IMPOSTORS:
        (current / f"{name}.py").write_text("raise SystemExit(f'{__file__} was imported')")
    return current


@pytest.fixture(scope="module")
def live(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    desk = Desk(create_database(postgres_url, _DATABASE), tmp_path_factory.mktemp("live"))
    for name, (file, arguments) in _DECLARED.items():
        text = _SOURCE.format(name=name, folder=str(desk.folder / "feeds"), file=file, arguments=arguments)
        (desk.folder / "declared" / f"{name}.py").write_text(text)
    port = free_port()
    library = desk.folder / "library"
    library.mkdir()
    (library / "in_pythonpath.py").touch()
    command = [sys.executable, "-P", "-c", _COMMAND, "dev", "--port", str(port)]
    environ = {**os.environ, **desk.environment, "PYTHONPATH": str(library)}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environ, cwd=_folder_of_impostors(desk.folder)
    )
    try:
        assert process.stdout is not None
        address = next(line for line in process.stdout if "Dagster is at" in line)
        assert f"http://127.0.0.1:{port}" in address
        yield Live(desk, process, port)
    finally:
        process.kill()
        process.wait()
        process.communicate()
        for name in (_DATABASE, f"{_DATABASE}_dagster"):
            drop_database(postgres_url, name)


@pytest.mark.slow
def test_the_ui_serves_every_source(live: Live) -> None:
    nodes = live.ask(_ASSETS)["assetNodes"]
    assert {("core", "stations"), ("core", "readings")} <= {tuple(node["assetKey"]["path"]) for node in nodes}


@pytest.mark.slow
@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}], ids=["another page", "a rebound name"]
)
def test_a_page_of_another_site_can_do_nothing(live: Live, headers: dict[str, str]) -> None:
    body = json.dumps({"query": "mutation {reloadWorkspace {__typename}}"})
    with closing(http.client.HTTPConnection("127.0.0.1", live.port, timeout=60)) as connection:
        connection.request("POST", "/graphql", body, {"Content-Type": "application/json", **headers})
        assert connection.getresponse().status == 403


@pytest.mark.slow
def test_a_new_file_is_loaded_and_starts_its_followers_and_a_backfill_continues_after_a_bad_partition(
    live: Live,
) -> None:
    desk = live.desk
    desk.publish("visits.csv", "id\n7\n")
    for name, record in (("a", "one"), ("b", "2")):
        desk.publish(f"{name}.csv", f"id\n{record}\n")
    desk.publish("towns.csv", "id\n1\n2\n")
    keys = [{"path": [layer, name]} for name in ("parts", "copies") for layer in ("landing", "core", "quarantine")]
    launched = live.ask(_BACKFILL, keys=keys)["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    live.until(lambda: live.ids("towns") == [1, 2])
    live.until(lambda: live.ids("visits") == [7])
    asked = {"id": launched["backfillId"]}
    live.until(lambda: live.ask(_STATUS, **asked)["partitionBackfillOrError"]["status"] == "COMPLETED_FAILED")
    assert (live.ids("parts"), live.ids("copies")) == ([2], [2])
    runs = desk.query("SELECT source, partition, count(*) FROM etl.run WHERE partition = 'a' GROUP BY 1, 2")
    assert runs == [("parts", "a", 1)]


@pytest.mark.slow
def test_no_process_is_left_when_it_ends(live: Live) -> None:
    family = psutil.Process(live.process.pid).children(recursive=True)
    assert len(family) > 2
    live.process.send_signal(signal.SIGTERM)
    assert live.process.wait(60) == 0
    assert psutil.wait_procs(family, timeout=10)[1] == []


@pytest.mark.slow
def test_commands_import_nothing_from_the_current_folder(desk: Desk) -> None:
    desk.publish("stations.csv", "code\na\n")
    current = _folder_of_impostors(desk.folder)
    for arguments in (["migrate"], ["run", "stations"], ["doctor"]):
        subprocess.run(
            [Path(sys.executable).with_name("etl-assets"), *arguments],
            check=True,
            env={**os.environ, **desk.environment},
            cwd=current,
            stdout=subprocess.DEVNULL,
        )


def test_a_port_that_is_taken_is_an_error_before_anything_starts(desk: Desk) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        result = desk.type("dev", "--port", str(other.getsockname()[1]))
    assert result.exit_code == 3
    assert "--port" in result.stderr
