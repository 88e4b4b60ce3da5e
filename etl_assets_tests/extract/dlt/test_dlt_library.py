"""What using dlt does to the process and around it: it writes nothing, sends nothing, and is not loaded early."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FETCH = """
import socket, sys
from etl_assets import Column, DltExtractor, Ndjson, Partition, Schema, Source
def make():
    import dlt
    @dlt.resource(primary_key="id")
    def orders(updated=dlt.sources.incremental("updated", initial_value=0)):
        yield [{"id": 1, "updated": 1, "lines": [{"a": 1}]}]
    return orders
extractor = DltExtractor(make, table=TABLE)
Source(name="orders", description="Orders.", owner="team:x", extractor=extractor,
       schema=Schema((Column("id", "integer", required=True),), key=("id",)))
assert "dlt" not in sys.modules
def refuse(*_):
    raise AssertionError("a connection")
socket.socket.connect = socket.getaddrinfo = refuse
with extractor.fetch(Partition()) as fetched:
    assert fetched.stream.read().count(b"\\n") == 1
with extractor.fetch_since(Partition(), fetched.state) as fetched:
    assert fetched.stream.read() == b"\\n"
import os, threading
from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
assert os.environ["RUNTIME__DLTHUB_TELEMETRY"] == "false"
from dlt.common.configuration.specs import RuntimeConfiguration
from dlt.common.configuration import resolve_configuration
assert resolve_configuration(RuntimeConfiguration()).dlthub_telemetry is False
assert threading.active_count() == 1, threading.enumerate()
"""


def run(code: str, home: Path, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RUNTIME__", "DLT_"))}
    environment = {**kept, "HOME": str(home), "TMPDIR": str(folder / "tmp"), **more}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)


def test_a_fetch_writes_no_file_opens_no_connection_and_leaves_no_thread(tmp_path: Path) -> None:
    for number, table in enumerate(("", "orders__lines")):
        home, folder = tmp_path / f"home{number}", tmp_path / f"cwd{number}"
        for made in (home, folder, folder / "tmp"):
            made.mkdir()
        done = run(FETCH.replace("TABLE", repr(table)), home, folder)
        assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
        assert list(home.rglob("*")) == []
        assert list(folder.rglob("*")) == [folder / "tmp"]


WITHOUT = """
import sys
sys.modules["dlt"] = None
from etl_assets import DltExtractor, Partition
from etl_assets.errors import EnvironmentFaultError
try:
    DltExtractor(lambda: None).fetch(Partition()).__enter__()
except EnvironmentFaultError as error:
    print(error)
"""


def test_a_fetch_without_dlt_names_the_extra(tmp_path: Path) -> None:
    assert "pip install 'etl-assets[dlt]'" in run(WITHOUT, tmp_path, tmp_path, TMPDIR="/tmp").stdout  # noqa: S108 -- not written to


LONG = """
import resource
from etl_assets import DltExtractor, Partition
def make():
    import dlt
    return dlt.resource(lambda: ({"id": number, "text": "x" * 100_000} for number in range(4000)), name="orders")
def measured():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
size = 0
with DltExtractor(make).fetch(Partition()) as fetched:
    before = measured()
    while data := fetched.stream.read(4 * 1024**2):
        size += len(data)
assert size > 400_000_000, size
print(measured() - before)
"""


def test_a_long_fetch_of_single_records_needs_little_memory(tmp_path: Path) -> None:
    done = run(LONG, tmp_path, tmp_path, TMPDIR="/tmp")  # noqa: S108 -- not written to
    assert done.stderr == ""
    assert int(done.stdout) < 64
