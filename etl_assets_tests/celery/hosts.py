"""Hosts that have nothing in common but the landing store, PostgreSQL and the broker: of Dagster, and of workers.

A worker's host has processes, a name and mounts of its own: what runs on it sees nothing of another. All of it is
killed together. The network is that of the machine, since all servers listen on its loopback.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil
import yaml

from etl_assets_tests.celery.declared import declare

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ROOT: Final = Path(__file__).parents[2]
_INSTANCE: Final = _ROOT / "docker" / "celery" / "dagster.yaml"
_PYTHON: Final = Path(sys.executable).parent
_UNSHARE: Final = ["unshare", "--uts", "--pid", "--ipc", "--mount", "--fork", "--kill-child=KILL", "--mount-proc"]


def can_be_apart() -> bool:
    """Return whether this machine lets us start hosts: Linux, as root, with namespaces."""
    if shutil.which("unshare") is None or os.geteuid() != 0:
        return False
    return subprocess.run([*_UNSHARE, "true"], check=False, capture_output=True).returncode == 0


class Host:
    """A folder with all that a host has on its disk, and the environment of its processes.

    Attributes:
        name: Its name.
        folder: Its disk.
        environment: With the secrets, which are nowhere else.
    """

    def __init__(self, name: str, folder: Path, common: Mapping[str, str]) -> None:
        self.name = name
        self.folder = folder
        declare(folder)
        (folder / "dagster").mkdir()
        (folder / "dagster" / "dagster.yaml").write_text(_quick(_INSTANCE.read_text()))
        own = {
            "DAGSTER_HOME": str(folder / "dagster"),
            "ETL_ASSETS_HOME": str(folder / "home"),
            "ETL_ASSETS_SOURCES": str(folder / "declared"),
            "FEEDS": str(folder / "feeds"),
            "HOME": str(folder),
            "TMPDIR": str(folder),
        }
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        self.environment = {**kept, "PYTHONPATH": str(_ROOT), "PYTHONUNBUFFERED": "1", **common, **own}

    def run(self, *command: str) -> None:
        """Run a command of the package to its end."""
        subprocess.run([str(_PYTHON / "etl-assets"), *command], env=self.environment, check=True, capture_output=True)

    @contextmanager
    def daemon(self) -> Iterator[None]:
        """Run Dagster's daemon for the length of a block."""
        workspace = self.folder / "workspace.yaml"
        workspace.write_text("load_from:\n  - python_module: etl_assets.definitions\n")
        with self._running([str(_PYTHON / "dagster-daemon"), "run", "-w", str(workspace)], "daemon.txt", 20.0):
            yield

    @contextmanager
    def worker(self, queues: str, concurrency: int) -> Iterator[subprocess.Popen[bytes]]:
        """Run a worker apart from everything else, for the length of a block."""
        hidden = " ".join(f"'{other}'" for other in self.folder.parent.iterdir() if other != self.folder)
        work = f"{_PYTHON}/etl-assets worker --queue {queues} --concurrency {concurrency}"
        script = f"hostname {self.name} && for d in {hidden}; do mount -t tmpfs none $d || exit; done; exec {work}"
        with self._running([*_UNSHARE, "sh", "-c", script], "worker.txt", 60.0) as process:
            yield process

    @contextmanager
    def _running(self, command: list[str], log: str, patience: float) -> Iterator[subprocess.Popen[bytes]]:
        with (self.folder / log).open("ab") as output:
            process = subprocess.Popen(
                command, env=self.environment, cwd=self.folder, stdout=output, stderr=output, start_new_session=True
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                end(process, patience)


def end(process: subprocess.Popen[bytes], patience: float) -> None:
    """Ask a process to end, or the first one of a host; kill it if it does not."""
    inside = psutil.Process(process.pid).children() if _UNSHARE[0] in str(process.args) else []
    os.kill(inside[0].pid if inside else process.pid, signal.SIGTERM)
    try:
        process.wait(patience)
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its group, and with the first process of a host all others of it."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _quick(text: str) -> str:
    """Return the instance file that we ship, with shorter waits."""
    instance: dict[str, Any] = yaml.safe_load(text)
    instance["run_coordinator"]["config"] = {"dequeue_interval_seconds": 1}
    instance["run_monitoring"]["poll_interval_seconds"] = 5
    return str(yaml.safe_dump(instance))
