from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from etl_assets_tests.docker.stack import IMAGE, ROOT, Stack, run, wait_for
from etl_assets_tests.ports import free_port

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
    """The image, built as a user builds it, with one more extra."""
    extras = "EXTRAS=demo metrics s3"
    run("docker", "build", "--file", "docker/Dockerfile", "--build-arg", extras, "--tag", IMAGE, ".", cwd=ROOT)
    return IMAGE


@pytest.fixture
def object_store(stack: Stack, tmp_path: Path) -> Iterator[str]:
    """Name of the container of a server that speaks S3 and has a bucket ``landing``. Runs reach it as ``s3``."""
    (tmp_path / "Dockerfile").write_text(
        "FROM python:3.11-slim-bookworm\nRUN python3 -m pip install --no-cache-dir 'moto[server]>=5.2'\n"
        'CMD ["moto_server", "-H", "0.0.0.0", "-p", "5000"]\n'
    )
    run("docker", "build", "--tag", "etl-assets-s3:test", ".", cwd=tmp_path)
    name = f"{stack.project}_s3"
    run(
        "docker", "run", "-d", "--name", name, "--network", f"{stack.project}_runs", "--network-alias", "s3",
        "etl-assets-s3:test",
    )  # fmt: skip
    make = "import urllib.request as u; u.urlopen(u.Request('http://127.0.0.1:5000/landing', method='PUT'))"
    try:
        wait_for(
            lambda: "Error" not in run("docker", "exec", name, "python3", "-c", make, check=False), 60, lambda: name
        )
        yield name
    finally:
        run("docker", "rm", "-f", name, check=False)


@pytest.fixture(scope="session")
def stack(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that is up, with sources in its second code location, and a channel of alerts that prints them."""
    stack = Stack(tmp_path_factory.mktemp("stack") / "docker", f"etl{uuid4().hex[:8]}", free_port())
    stack.set_up({"ETL_ASSETS_CHANNEL_DEFAULT_FILE": "/run/secrets/channel_default"})
    stack.write_secret("channel_default", "json://receiver:8000/\n")
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
