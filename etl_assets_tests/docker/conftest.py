from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from etl_assets_tests.docker.stack import IMAGE, ROOT, Stack, free_port, run

if TYPE_CHECKING:
    from collections.abc import Iterator

TEAM = Path(__file__).parent / "team"
RECEIVER = """
import http.server
class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("", 8000), Receiver).serve_forever()
"""
"""Prints what is posted to it: a channel of alerts."""


@pytest.fixture(scope="session")
def image() -> str:
    """The image, built as a user builds it."""
    run("docker", "build", "--file", "docker/Dockerfile", "--tag", IMAGE, ".", cwd=ROOT)
    return IMAGE


@pytest.fixture(scope="session")
def stack(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that is up, with sources in its second code location, and a channel of alerts that prints them."""
    stack = Stack(tmp_path_factory.mktemp("stack") / "docker", f"etl{uuid4().hex[:8]}", free_port())
    stack.set_up({"ETL_ASSETS_CHANNEL_DEFAULT_FILE": "/run/secrets/channel_default"})
    (stack.folder / "secrets" / "code" / "channel_default").write_text("json://receiver:8000/\n")
    (stack.folder / "secrets" / "code" / "channel_default").chmod(0o644)
    for file in TEAM.iterdir():
        copy = stack.folder / "team" / file.name
        copy.write_bytes(file.read_bytes())
        copy.chmod(0o644)
    receiver = f"{stack.project}_receiver"
    try:
        stack.compose("up", "-d", "--no-build")
        run(
            "docker", "run", "-d", "--name", receiver, "--network", f"{stack.project}_runs",
            "--network-alias", "receiver", image, "python", "-u", "-c", RECEIVER,
        )  # fmt: skip
        stack.wait_healthy()
        yield stack
    finally:
        run("docker", "rm", "-f", receiver, check=False)
        stack.remove()
