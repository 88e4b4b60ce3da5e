"""Fixtures: homes of embedded servers, and processes that hold these servers."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from etl_assets.local import embedded, supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOLD = """
import pathlib, sys
from etl_assets.local import embedded
with embedded(pathlib.Path(sys.argv[1])) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


@dataclass
class Holder:
    """Another process that holds the server of a home."""

    process: subprocess.Popen[str]
    url: str = field(init=False)

    def wait_until_it_holds(self) -> Holder:
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("postgresql://"), "the holder did not start"
        return self

    def end(self) -> None:
        self.process.communicate("")
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@dataclass
class Holders:
    """Starts holders, and remembers them so that the fixture can kill them after the test."""

    all: list[Holder] = field(default_factory=list)

    def begin(self, home: Path) -> Holder:
        command = [sys.executable, "-c", _HOLD, str(home)]
        holder = Holder(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        self.all.append(holder)
        return holder

    def start(self, home: Path) -> Holder:
        return self.begin(home).wait_until_it_holds()


@pytest.fixture
def holders() -> Iterator[Holders]:
    started = Holders()
    yield started
    for holder in started.all:
        holder.kill()


@contextmanager
def _folder() -> Iterator[Path]:
    """Create a folder that the server's account can enter. If root runs the tests, it cannot enter pytest's folders."""
    folder = Path(tempfile.mkdtemp(prefix="etl-assets-tests-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def new_home() -> Iterator[Path]:
    """The path of a home that does not exist yet."""
    with _folder() as folder:
        yield folder / "home"
        _wait_for_the_end(folder / "home")


@pytest.fixture(scope="session")
def _shared_home() -> Iterator[Path]:
    with _folder() as folder:
        with embedded(folder / "home"):
            pass
        yield folder / "home"


@pytest.fixture
def home(_shared_home: Path) -> Iterator[Path]:
    """A home in which a server ran before, without a running server. Tests share it and must leave it usable."""
    yield _shared_home
    _wait_for_the_end(_shared_home)


@pytest.fixture
def spare_home(new_home: Path, _shared_home: Path) -> Path:
    """A copy of such a home, which the test may break."""
    subprocess.run(["cp", "-a", str(_shared_home), str(new_home)], check=True)
    return new_home


def _wait_for_the_end(home: Path) -> None:
    """Wait until the server has ended; after a test that kills processes it is still stopping."""
    for name in ("holders.lock", "supervisor.lock", "server.lock"):
        if (home / "postgres" / name).exists():
            descriptor = supervisor.lock(home / "postgres" / name, fcntl.LOCK_EX)
            assert descriptor is not None
            os.close(descriptor)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start programs as another user")
