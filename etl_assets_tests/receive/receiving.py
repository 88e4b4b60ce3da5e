"""Runs `etl-assets receive` as a process, and sends to it: well-formed requests, and bytes as they are."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

TOKEN = "a-token-of-the-tests-0123456789"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
_COMMAND = "from etl_assets.cli import main; main()"
_PATIENCE = 60.0
SOURCE = """
from datetime import timedelta
from etl_assets import Column, Csv, Events, Files, Inbox, Ndjson, OnChange, Schema, Secret, Signature, Source

SOURCE = Source(
    name={name!r},
    description="What is sent.",
    owner="team:tests",
    extractor=Inbox({format}, {arguments}),
    schema=Schema((Column("id", "integer", required=True), Column("name", "text")), ("id",)),
    partitions=Files(),
    trigger=OnChange(every=timedelta(seconds=30)),
    max_rejected=0.0,
)
"""
WITH_TOKEN = 'token=Secret("TEST_TOKEN")'


@dataclass(frozen=True)
class Answer:
    """The answer to a request."""

    status: int
    headers: Mapping[str, str]
    content: Any


@dataclass
class Receiving:
    """A receiver and its inboxes.

    Attributes:
        folder: Has the declarations and the home.
        port: Of the running process.
    """

    folder: Path
    port: int = 0
    process: subprocess.Popen[str] | None = None
    log: list[str] = field(default_factory=list)
    environ: dict[str, str] = field(default_factory=dict)

    def declare(self, name: str, arguments: str = WITH_TOKEN, format_: str = "Csv()") -> None:
        declared = self.folder / "declared"
        declared.mkdir(exist_ok=True)
        (declared / f"{name}.py").write_text(SOURCE.format(name=name, arguments=arguments, format=format_))

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def inbox(self, name: str) -> Path:
        return self.home / "inbox" / name

    def files(self, name: str) -> list[str]:
        return sorted(path.name for path in (self.inbox(name) / "files").glob("*"))

    def parts(self, name: str) -> list[str]:
        return sorted(path.name for path in (self.inbox(name) / "parts").glob("*"))

    def start(self, *arguments: str, code: str = _COMMAND, limit: int | None = None) -> None:
        """Start the process and wait until it answers.

        Args:
            arguments: Further arguments of the command.
            code: What the process executes.
            limit: The largest size of a file that it may write.
        """
        environ = {
            **os.environ,
            "ETL_ASSETS_HOME": str(self.home),
            "ETL_ASSETS_SOURCES": str(self.folder / "declared"),
            "ETL_ASSETS_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing",
            "TEST_TOKEN": TOKEN,
            **self.environ,
        }
        command = [sys.executable, "-c", code, "--verbose", "receive", "--port", str(self.port), *arguments]
        if limit is not None:
            command = ["prlimit", f"--fsize={limit}", *command]
        if self.process is not None:
            self.process.wait(_PATIENCE)
        self.process = subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.folder
        )
        started = threading.Event()
        threading.Thread(target=self._read, args=(self.process, started), daemon=True).start()
        assert started.wait(_PATIENCE), "".join(self.log)
        assert self.process.poll() is None, "".join(self.log)

    def _read(self, process: subprocess.Popen[str], started: threading.Event) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.log.append(line)
                if match := re.search(r"Receiving for .* at http://127\.0\.0\.1:(\d+)", line):
                    self.port = int(match[1])
                    started.set()
                elif "Receiving for" in line:
                    started.set()
        started.set()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(_PATIENCE)

    def send(
        self,
        source: str,
        body: Any = b"",
        *,
        method: str = "PUT",
        path: str = "",
        timeout: float = 30.0,
        **headers: str,
    ) -> Answer:
        """Send one request, with the token unless the headers have another; names of headers have ``_`` for ``-``."""
        given = {**AUTHORIZED, **{name.replace("_", "-"): value for name, value in headers.items()}}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request(method, path or f"/receive/{source}", body, {k: v for k, v in given.items() if v})
            response = connection.getresponse()
            text = response.read()
        return Answer(
            response.status, {k.lower(): v for k, v in response.getheaders()}, json.loads(text) if text else None
        )

    @contextlib.contextmanager
    def connection(self, data: bytes = b"") -> Iterator[socket.socket]:
        """Open a connection and send bytes as they are."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(data)
            yield connection

    def until(self, condition: Any) -> None:
        """Wait for a condition."""
        end = time.monotonic() + _PATIENCE
        while not condition():
            assert time.monotonic() < end, "".join(self.log)
            time.sleep(0.02)


def head(source: str, *lines: str, method: str = "PUT", token: str = TOKEN) -> bytes:
    """Return the head of a request."""
    return "\r\n".join(
        [f"{method} /receive/{source} HTTP/1.1", "Host: x", f"Authorization: Bearer {token}", *lines, "", ""]
    ).encode()


def read_all(connection: socket.socket) -> bytes:
    """Read until the receiver closes the connection, in whatever way it does."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while chunk := connection.recv(65536):
            data += chunk
    return data


@contextlib.contextmanager
def receiving(folder: Path, **environ: str) -> Iterator[Receiving]:
    """A receiver that is not started yet; its process ends with the block."""
    receiver = Receiving(folder, environ=environ)
    try:
        yield receiver
    finally:
        if receiver.process is not None and receiver.process.poll() is None:
            receiver.process.kill()
            receiver.process.wait()
