"""Processor seconds are counted, those of children that have ended too, and no autovacuum disturbs them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from benchmarks.measure import own_processor_seconds, processor_seconds
from benchmarks.server import Databases, postmaster
from etl_assets.local import EmbeddedServer

WORK = "import time\nwhile time.process_time() < 0.4: pass"


def test_the_seconds_of_a_child_that_has_ended_are_counted() -> None:
    root, before, own = psutil.Process(), processor_seconds(psutil.Process()), own_processor_seconds()
    subprocess.run([sys.executable, "-c", WORK], check=True)
    assert processor_seconds(root) - before > 0.35
    assert own_processor_seconds() - own > 0.35


def test_the_seconds_of_a_child_that_still_runs_are_counted() -> None:
    root = psutil.Process()
    before = processor_seconds(root) - own_processor_seconds()
    with subprocess.Popen([sys.executable, "-c", f"{WORK}\ninput()"], stdin=subprocess.PIPE) as child:
        end = time.monotonic() + 60
        while processor_seconds(root) - own_processor_seconds() - before < 0.35:
            assert time.monotonic() < end
        assert child.poll() is None
        child.communicate(b"\n")


def test_the_seconds_of_a_session_that_has_ended_are_those_of_the_server(postgres_url: str) -> None:
    databases = Databases(postgres_url)
    before = databases.processor_seconds()
    with psycopg.connect(postgres_url) as connection:
        backend = psutil.Process(connection.info.backend_pid)
        assert postmaster(connection).pid == backend.ppid()
        connection.execute("SELECT sum(sqrt(i)) FROM generate_series(1, 2000000) i")
        times = backend.cpu_times()
    spent = times.user + times.system
    assert spent > 0
    end = time.monotonic() + 60
    while backend.is_running():  # the postmaster has its seconds when it has waited for it
        assert time.monotonic() < end
    tick = 1 / os.sysconf("SC_CLK_TCK")
    assert databases.processor_seconds() - before > spent - tick


def test_no_autovacuum_starts_while_it_is_measured_and_afterwards_it_does_again() -> None:
    with tempfile.TemporaryDirectory(prefix="etl-assets-tests-") as folder:
        home = Path(folder)
        home.chmod(0o711)  # so that root's server, which runs under an account of its own, can enter it
        with EmbeddedServer.start(home) as server:
            url = server.superuser_url()
            with Databases(url).without_autovacuum():
                assert shown(url, "off")
            assert shown(url, "on")
            with pytest.raises(LookupError), Databases(url).without_autovacuum():
                raise LookupError
            assert shown(url, "on")


def shown(url: str, value: str) -> bool:
    """Whether new sessions have a value of the setting before long."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with psycopg.connect(url) as connection:
            if connection.execute("SHOW autovacuum").fetchone() == (value,):
                return True
    return False
