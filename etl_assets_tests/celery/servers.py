"""RabbitMQ and Redis of a test: on free ports of this machine, with folders of their own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import amqp
import redis

from etl_assets_tests.cli.launches import until
from etl_assets_tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD: Final = "correct-horse-7531"
"""Of the broker and of the results."""
RABBITMQ: Final = next(iter(sorted(Path("/usr/lib/rabbitmq/lib").glob("*/sbin/rabbitmq-server"))), None)
REDIS: Final = shutil.which("redis-server")
_CONFIGURATION: Final = Path(__file__).parents[2] / "docker" / "celery" / "rabbitmq.conf"


@contextmanager
def rabbitmq(folder: Path) -> Iterator[str]:
    """Yield the URL of a broker with the configuration that we ship."""
    port, names = free_port(), free_port()
    configuration = folder / "rabbitmq.conf"
    lines = [f"listeners.tcp.local = 127.0.0.1:{port}", "default_user = etl", f"default_pass = {PASSWORD}"]
    configuration.write_text("\n".join([_CONFIGURATION.read_text(), *lines, ""]))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(names),
        "RABBITMQ_CONFIG_FILE": str(configuration),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_NODENAME": f"etl{port}@localhost",
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }
    url = f"amqp://etl:{PASSWORD}@127.0.0.1:{port}//"
    with (
        _running(["epmd", "-port", str(names), "-address", "127.0.0.1"], environment, folder / "epmd.txt"),
        _running([str(RABBITMQ)], environment, folder / "rabbitmq.txt"),
    ):
        until(lambda: _answers(url), 120)
        yield url


def _answers(url: str) -> bool:
    try:
        with amqp.Connection(url.partition("@")[2].rstrip("/"), "etl", PASSWORD, connect_timeout=5):
            return True
    except OSError:
        return False


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Yield the URL of a server of Redis that keeps nothing on disk."""
    port = free_port()
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    url = f"redis://:{PASSWORD}@127.0.0.1:{port}/0"
    command = [str(REDIS), *arguments, "--requirepass", PASSWORD]
    with _running(command, dict(os.environ), folder / "redis.txt"), redis.Redis.from_url(url) as client:
        until(lambda: _pings(client))
        yield url


def _pings(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.exceptions.ConnectionError:
        return False


@contextmanager
def _running(command: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in a process group of its own, all of which ends with the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
