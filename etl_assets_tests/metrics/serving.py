"""Runs `etl-assets metrics` as a process, and reads what it exports."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_COMMAND = "from etl_assets.cli import main; main()"
_PATIENCE = 60.0


@dataclass
class Serving:
    """A process that serves metrics.

    Attributes:
        process: The process.
        port: Where it listens on 127.0.0.1; 0 until it does.
        log: Its output.
    """

    process: subprocess.Popen[str]
    port: int = 0
    log: list[str] = field(default_factory=list)

    def get(self, path: str, method: str = "GET") -> tuple[int, str]:
        """Return the status and the text of an answer."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 -- the same
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def samples(self) -> dict[str, list[tuple[dict[str, str], float]]]:
        """Return labels and values of every sample, by its name."""
        status, text = self.get("/metrics")
        assert status == 200
        found: dict[str, list[tuple[dict[str, str], float]]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
        return found

    def value(self, name: str, **labels: str) -> float | None:
        """Return the value of the only sample with a name and some labels; None if there is none."""
        values = [value for given, value in self.samples().get(name, []) if labels.items() <= given.items()]
        assert len(values) < 2, values
        return values[0] if values else None

    def until(self, condition: Callable[[], Any]) -> None:
        """Wait for a condition."""
        end = time.monotonic() + _PATIENCE
        while not condition():
            assert time.monotonic() < end, "".join(self.log)
            time.sleep(0.1)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(_PATIENCE)


@contextlib.contextmanager
def serving(environ: Mapping[str, str], *arguments: str) -> Iterator[Serving]:
    """A process that serves metrics of the warehouse in the environment; it ends with the block.

    If the command ends before it listens, its port stays 0.
    """
    command = [sys.executable, "-c", _COMMAND, *arguments, "metrics", "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(
        command, env={**os.environ, **environ}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    served = Serving(process)
    listens = threading.Event()
    reader = threading.Thread(target=_read, args=(served, listens))
    reader.start()
    try:
        assert listens.wait(_PATIENCE), "".join(served.log)
        yield served
    finally:
        process.kill()
        process.wait()
        reader.join()


def _read(served: Serving, listens: threading.Event) -> None:
    assert served.process.stdout is not None
    with served.process.stdout:
        for line in served.process.stdout:
            served.log.append(line)
            if match := re.search(r"Metrics are at http://127\.0\.0\.1:(\d+)/metrics", line):
                served.port = int(match[1])
                listens.set()
    listens.set()
