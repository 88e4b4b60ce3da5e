"""The command `dev`, run as a process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from etl_assets_tests.cli.desk import Desk

_COMMAND = "from etl_assets.cli import main; main()"
_QUESTION = "{repositoriesOrError{... on RepositoryConnection{nodes{jobs{name}}}}}"


@pytest.mark.slow
def test_the_ui_serves_every_source_and_no_process_is_left_when_it_ends(desk: Desk) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = [sys.executable, "-c", _COMMAND, "dev", "--port", str(port)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env={**os.environ, **desk.environment})
    try:
        assert process.stdout is not None
        line = next(line for line in process.stdout if "Dagster is at" in line)
        assert f"http://127.0.0.1:{port}" in line
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/graphql",
            json.dumps({"query": _QUESTION}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 -- loopback
            nodes = json.load(answer)["data"]["repositoriesOrError"]["nodes"]
        assert {"stations", "readings", "replay"} <= {job["name"] for node in nodes for job in node["jobs"]}
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) > 2
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert psutil.wait_procs(family, timeout=10)[1] == []
    finally:
        process.kill()
        process.wait()
        process.communicate()


def test_a_port_that_is_taken_is_an_error_before_anything_starts(desk: Desk) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        result = desk.type("dev", "--port", str(other.getsockname()[1]))
    assert result.exit_code == 3
    assert "--port" in result.stderr
