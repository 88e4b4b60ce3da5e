"""A real Prometheus over a real `etl-assets metrics`, with the rules and the dashboard that are shipped."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from etl_assets_tests.metrics.test_rules import CONFIGURATION, RULES
from etl_assets_tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_PATIENCE = 60.0


@dataclass
class Prometheus:
    """A running server.

    Attributes:
        port: Where it listens on 127.0.0.1.
        log: The file of its output.
    """

    port: int
    log: Path

    def get(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of the API."""
        query = urllib.parse.urlencode(parameters)
        address = f"http://127.0.0.1:{self.port}/api/v1/{path}?{query}"
        with urllib.request.urlopen(address, timeout=30) as response:
            return json.load(response)["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the samples of an expression, as they are now."""
        found: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return found

    def firing(self) -> set[tuple[str, str]]:
        """Return the names of the alerts that fire, and their sources."""
        alerts = self.get("alerts")["alerts"]
        return {
            (alert["labels"]["alertname"], alert["labels"].get("source", ""))
            for alert in alerts
            if alert["state"] == "firing"
        }

    def until(self, condition: Callable[[], Any]) -> None:
        """Wait for a condition."""
        end = time.monotonic() + _PATIENCE
        while not condition():
            assert time.monotonic() < end, self.log.read_text()[-4000:]
            time.sleep(0.2)

    def answers(self) -> bool:
        """Return whether the server is ready."""
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            return bool(self.get("targets")["activeTargets"])
        return False


@contextlib.contextmanager
def scraping(port: int, folder: Path) -> Iterator[Prometheus]:
    """A Prometheus with the shipped configuration and rules, but for the target and shorter times.

    Args:
        port: Of the process that serves metrics.
        folder: Where it keeps its files.
    """
    if (program := shutil.which("prometheus")) is None:
        pytest.skip("prometheus is not installed (Debian: prometheus)")
    rules = yaml.safe_load(RULES.read_text("utf-8"))
    for rule in rules["groups"][0]["rules"]:
        rule["for"] = "0s"
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    configuration = yaml.safe_load(CONFIGURATION.read_text("utf-8"))
    configuration["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    configuration["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{port}"]
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
    listens = free_port()
    server = Prometheus(listens, folder / "prometheus.log")
    command = [
        program,
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{listens}",
    ]
    with server.log.open("w") as log, subprocess.Popen(command, stdout=log, stderr=log, cwd=folder) as process:
        try:
            server.until(server.answers)
            yield server
        finally:
            process.terminate()
