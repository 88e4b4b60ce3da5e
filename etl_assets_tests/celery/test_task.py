"""What the process of a run does at a signal, whichever worker has it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from etl_assets_tests.cli.launches import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers run on Linux")
_WAITS = """
import threading
from etl_assets.graph.celery import task
task.END_SECONDS = 1.0
task._end_at_signals()
print("ready", flush=True)
thread = threading.Thread(target=threading.Event().wait)
thread.start()
{wait}
"""


def _signalled(wait: str) -> tuple[int, float]:
    """Return how a process ends that is asked to, and after how many seconds."""
    command: Any = [sys.executable, "-c", _WAITS.format(wait=wait)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        until(lambda: process.poll() is not None)
        return process.returncode, time.monotonic() - began


def test_a_run_that_does_not_end_when_it_was_asked_to_is_killed() -> None:
    status, took = _signalled("thread.join()")  # at the end, Python waits for the thread
    assert status == -signal.SIGKILL
    assert took >= 1.0


def test_a_signal_interrupts_a_run() -> None:
    status, took = _signalled("import os\ntry:\n    thread.join()\nexcept KeyboardInterrupt:\n    os._exit(7)")
    assert status == 7
    assert took < 1.0
